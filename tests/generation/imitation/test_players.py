"""The policy's gradient is exact on average, and the critic sees both sides as they are."""

import pytest
import torch
from support.corridor import EXIT, PLACES, Corridor, exact_values
from torch import nn

import lfi
from lfi.generation.gradient_estimators import score_function
from lfi.generation.imitation.action_models import CategoricalActions
from lfi.generation.imitation.advantages import advantages_of
from lfi.generation.imitation.environments import Copies
from lfi.generation.imitation.players import ImitationGame
from lfi.generation.imitation.policy import Policy
from lfi.generation.imitation.rollouts import Rollouts
from lfi.generation.imitation.settings import ImitationSettings
from lfi.generation.imitation.step_encoding import StepEncoding
from lfi.imitation import Trajectories
from lfi.networks import Standardise
from lfi.training import Step

COPIES, HORIZON, DISCOUNT = 2_000, 12, 0.9
STEP = Step(0, torch.Generator(), lambda *_: None)


def tabular(logits=None, state_only=False):
    """A policy of the corridor with a logit for each place and action."""
    network = nn.Linear(PLACES, 2, bias=False, dtype=torch.float32)
    logits = torch.zeros(PLACES, 2) if logits is None else logits
    network.weight.data.copy_(logits.T)
    encoding = StepEncoding(Standardise((PLACES,)), CategoricalActions(2), state_only=state_only)
    return Policy(network, encoding)


def expert_of(policy, **options):
    walk = Trajectories([torch.eye(PLACES)[[2, 3, EXIT]]], [[1, 1]], terminated=[True])
    critic = nn.Sequential(nn.Linear(policy.encoding.size, 1, dtype=torch.float32), nn.Flatten(0))
    baseline = nn.Sequential(nn.Linear(PLACES, 1, dtype=torch.float32), nn.Flatten(0))
    comparison = lfi.Adversarial(lfi.losses.Bernoulli(), lfi.losses.ReverseKL())
    settings = ImitationSettings(discount=DISCOUNT, **options)
    return ImitationGame(policy, baseline, critic, walk, comparison, settings)


def test_the_policys_gradient_is_that_of_the_exact_advantages():
    """At the policy that has played, with a full trace, and the exact value where steps are up.

    Then the mean of each step's advantage times its score has the expectation of the exact
    advantage's, given the place. Copies are independent.
    """
    torch.manual_seed(0)
    policy = tabular(torch.randn(PLACES, 2))
    rewards, absorbing = torch.randn(EXIT, 2, dtype=torch.float64), 0.8
    steps = Rollouts(Copies(Corridor(COPIES), 1), policy, HORIZON).play(torch.Generator())
    logits = policy.network.weight.detach().double().T[:EXIT]
    values, action_values = exact_values(logits.softmax(1), rewards, absorbing, DISCOUNT)
    places, places_after = steps.observations.argmax(2), steps.after.argmax(2)
    known = torch.cat([values, torch.zeros(1, dtype=torch.float64)])
    found = advantages_of(
        rewards[places, steps.actions],
        known[places],
        known[places_after],
        steps.terminated,
        steps.cut,
        absorbing=absorbing,
        discount=DISCOUNT,
        trace=1.0,
    )

    states, game = torch.eye(PLACES).float()[places.flatten()], expert_of(policy)
    draws, outputs = steps.actions.flatten(), policy.network(states)
    log_prob = policy.model.log_prob(outputs, draws)
    batch = (states, draws, log_prob.detach(), found.flatten().float(), found.flatten())
    value = game.policy_objective(batch, STEP)
    (ours,) = torch.autograd.grad(-value, policy.network.weight)

    # the score function of the library, with the baseline that is in the advantages
    score = score_function(
        found.flatten().float(),
        policy.model.log_prob(policy.network(states), draws),
        baseline=torch.zeros(len(draws)).float(),
    )
    torch.testing.assert_close(torch.autograd.grad(score, policy.network.weight)[0], ours)

    probability = logits.softmax(1)
    exact = probability * (action_values - values[:, None])  # at each place, for each logit
    chosen = nn.functional.one_hot(steps.actions, 2) - probability[places]
    expected = torch.zeros(COPIES, PLACES, 2, dtype=torch.float64)
    sampled = torch.zeros_like(expected)
    for t in range(HORIZON):
        rows = torch.arange(COPIES)
        expected[rows, places[t]] += exact[places[t]] / HORIZON
        sampled[rows, places[t]] += found[t][:, None] * chosen[t] / HORIZON
    torch.testing.assert_close(sampled.mean(0).T.float(), ours, rtol=1e-4, atol=1e-6)
    error = (sampled - expected).std(0) / COPIES**0.5
    gap = (sampled - expected).mean(0)
    assert (gap.abs() <= 5 * error).all()  # 5 standard errors; 0 at the exit, which is never left
    assert (error[:EXIT] > 0).all()


def test_an_advantage_beyond_the_clipped_ratio_has_no_gradient():
    policy = tabular()
    game, states, draws = expert_of(policy), torch.eye(PLACES).float()[:2], torch.tensor([0, 0])
    then = policy.model.log_prob(policy.network(states), draws).detach() - 0.5  # w = e^0.5
    for advantages, moves in (([1.0, 1.0], False), ([-1.0, -1.0], True)):
        batch = (states, draws, then, torch.tensor(advantages).float(), then)
        value = game.policy_objective(batch, STEP)
        (gradient,) = torch.autograd.grad(value, policy.network.weight)
        assert bool(gradient.any()) is moves


def test_entropy_is_rewarded_by_its_weight():
    policy = tabular(torch.randn(PLACES, 2))
    states, zero = torch.eye(PLACES).float(), torch.zeros(PLACES).float()
    batch = (states, zero.long(), policy.model.log_prob(policy.network(states), zero.long()))
    value = expert_of(policy, entropy=0.5).policy_objective((*batch, zero, zero), STEP)
    entropy = policy.model.entropy(policy.network(states)).mean()
    torch.testing.assert_close(value, -0.5 * entropy)


@pytest.mark.parametrize("state_only", [False, True])
def test_the_absorbing_state_stands_for_what_is_left_of_a_discounted_episode(state_only):
    policy = tabular(state_only=state_only)
    game = expert_of(policy)
    assert game.expert_weights.tolist() == [1, 1, pytest.approx(1 / (1 - DISCOUNT))]
    absorbing = game.expert[-1]
    assert absorbing[PLACES] == 1
    assert game.expert[0, :PLACES].tolist() == [0, 0, 1, 0, 0]
    if state_only:  # from place 2 to 3, and from there to the absorbing state
        assert game.expert[0, PLACES + 1 :].tolist() == [0, 0, 0, 1, 0, 0]
        assert game.expert[1, PLACES + 1 :].tolist() == [0, 0, 0, 0, 0, 1]
    else:
        assert game.expert[0, PLACES:].tolist() == [0, 0, 1]


def test_the_critic_sees_the_policys_steps_with_their_ends():
    policy = tabular()
    game, rollouts = expert_of(policy), Rollouts(Copies(Corridor(50), 1), policy, 20)
    steps = rollouts.play(torch.Generator().manual_seed(1))
    rows = game.show(steps)
    assert rows.shape == (1_000, policy.encoding.size)
    ends = float(steps.terminated.sum())
    assert game.weights[-1].item() == pytest.approx(ends / (1 - DISCOUNT))
    judged = game.judge(steps, rows, STEP)
    # advantages that the critic's rewards give, standardised
    assert judged.advantages.mean().abs() < 1e-5
    assert judged.advantages.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    sizes = [len(batch[0]) for batch in judged.batches(300, torch.Generator())]
    assert sum(sizes) == 1_000
    assert len(sizes) == 3
