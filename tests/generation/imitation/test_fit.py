"""Policies learn to do as the expert does, whatever the comparison's reward, and from states."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.corridor import EXIT, PLACES, Corridor, to_the_exit
from torch import nn

import lfi
from lfi.generation.imitation.fit import check_network
from lfi.imitation import ImitationSettings, Trajectories
from lfi.training import Checkpoint
from simulators import experts

QUICK = ImitationSettings(
    horizon=16, discount=0.9, epochs=4, batch_size=64, critic_steps=10, width=16, average=0.0,
    learning_rate=1e-2, critic_learning_rate=1e-2,
)  # fmt: skip
TINY = replace(QUICK, epochs=1, critic_steps=1)
PLACES_INSIDE = np.eye(PLACES, dtype=np.float32)[:EXIT]


@pytest.fixture(scope="module")
def expert():
    return lfi.imitation.record(Corridor(8), to_the_exit, 40, seed=1)


@pytest.mark.parametrize(
    "loss, state_only",
    [
        (lfi.losses.Bernoulli(), False),  # rewards above 0, by which long episodes would gain
        (lfi.losses.NonSaturating(), False),  # below 0
        (lfi.losses.ReverseKL(), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_policy_walks_to_the_exit_whatever_the_sign_of_rewards(expert, loss, state_only):
    seen = expert.without_actions() if state_only else expert
    comparison = lfi.Adversarial(lfi.losses.Bernoulli(), loss, lfi.penalties.R1(0.1))
    policy = lfi.fit_imitation(
        Corridor(16), seen, comparison=comparison, state_only=state_only,
        budget=1_500, settings=QUICK, seed=1,
    )  # fmt: skip
    assert policy.act(PLACES_INSIDE).tolist() == [1] * EXIT


def test_a_fit_that_is_interrupted_ends_as_if_it_were_not(expert, tmp_path):
    whole = lfi.fit_imitation(Corridor(4), expert, budget=400, settings=TINY, seed=1)
    kept = Checkpoint(tmp_path / "kept", every=2)

    def stop(taken, policy):
        if taken == 4 * 64:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lfi.fit_imitation(
            Corridor(4), expert, budget=400, settings=TINY, callback=stop, checkpoint=kept, seed=1
        )
    again = lfi.fit_imitation(
        Corridor(4), expert, budget=400, settings=TINY, checkpoint=kept, seed=1
    )
    for ours, theirs in zip(whole.parameters(), again.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert whole.history.columns == again.history.columns


def test_the_history_tells_of_every_turn_and_the_budget_is_kept(expert):
    told = []
    policy = lfi.fit_imitation(
        Corridor(4), expert, budget=400, settings=TINY, seed=1,
        callback=lambda taken, now: told.append((taken, now.act(PLACES_INSIDE).shape)),
    )  # fmt: skip
    assert policy.history.steps == 400 // (4 * 16) - 1  # a turn standardises states
    assert told == [(64 * (turn + 2), (EXIT,)) for turn in range(5)]
    columns = set(policy.history.columns)
    assert {"critic", "policy", "baseline", "reward", "return, not trained on"} <= columns
    assert policy.history.seed == 1


@pytest.mark.parametrize(
    "comparison",
    [
        lfi.gans.LSGAN(),
        lfi.gans.WGANGP(),
        lfi.gans.R3GAN(),
        lfi.gans.WGAN(),
        lfi.gans.HingeGAN(),
        lfi.Adversarial(lfi.losses.KL(), lfi.losses.KL()),
    ],
    ids=lambda comparison: type(comparison.critic_loss).__name__,
)
def test_any_comparison_by_critic_serves(expert, comparison):
    policy = lfi.fit_imitation(
        Corridor(4), expert, comparison=comparison, budget=128, settings=TINY, seed=1
    )
    assert torch.isfinite(policy(torch.from_numpy(PLACES_INSIDE))).all()


@pytest.mark.parametrize("squashed", [False, True])
def test_actions_in_a_box_are_learnt_too(squashed):
    seen = Trajectories(**experts.trajectories("Pendulum-v1"))[:2]
    settings = replace(TINY, copies=2, squashed=squashed)
    policy = lfi.fit_imitation("Pendulum-v1", seen, budget=64, settings=settings, seed=1)
    assert policy.environment == "Pendulum-v1"
    assert policy.act(seen.observations[:5]).shape == (5, 1)


def test_networks_of_the_users_own_are_trained_in_place(expert):
    network, critic = nn.Linear(PLACES, 2), nn.Sequential(nn.Linear(PLACES + 3, 1), nn.Flatten(0))
    begin = [part.weight.detach().clone() for part in (network.float(), critic.float()[0])]
    lfi.fit_imitation(
        Corridor(4), expert, policy=network, critic=critic, budget=64, settings=TINY, seed=1
    )
    assert not torch.equal(begin[0], network.weight)
    assert not torch.equal(begin[1], critic[0].weight)


@pytest.mark.parametrize(
    "own, text",
    [
        ({"policy": nn.Linear(PLACES, 1)}, r"policy must return \(2, 2\) .*, got \(2, 1\)"),
        ({"policy": nn.Linear(PLACES + 1, 2)}, r"policy does not take \(n, 5\)"),
        ({"critic": nn.Linear(PLACES + 3, 1)}, r"critic must return \(2,\) .*, got \(2, 1\)"),
        ({"critic": nn.Linear(PLACES, 1)}, r"critic does not take \(n, 8\)"),
    ],
)
def test_networks_of_another_shape_are_refused(expert, own, text):
    own = {name: network.float() for name, network in own.items()}
    with pytest.raises(ValueError, match=text):
        lfi.fit_imitation(Corridor(2), expert, **own, budget=64, settings=TINY, seed=1)
    if "policy" in own:
        with pytest.raises(ValueError, match=text):
            lfi.imitation.fit_cloning(Corridor(1), expert, **own, seed=1)


def test_a_look_at_a_network_leaves_no_trace():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)).float()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    check_network("policy", network, 2, (1,))
    assert network.training
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())


def test_cloning_finds_the_experts_frequencies():
    places, right = torch.eye(PLACES)[torch.arange(400) % EXIT], (torch.arange(400) // EXIT) % 10
    episode = torch.cat([places, torch.eye(PLACES)[EXIT:]])
    seen = Trajectories([episode], [(right < 7).long()])  # right seven times in ten
    quick = lfi.TrainSettings(steps=150, learning_rate=2e-2, weight_decay=0.0)
    policy = lfi.imitation.fit_cloning(Corridor(1), seen, settings=quick, width=16, seed=1)
    p = policy.log_prob(PLACES_INSIDE, [1] * EXIT).exp()
    # of about 90 rows each to train on, 5 standard errors of a share
    assert ((p - 0.7).abs() < 5 * (0.7 * 0.3 / 90) ** 0.5).all()


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"expert": Trajectories([np.zeros((3, 2))], [[0, 1]])}, ValueError, "observations have"),
        ({"expert": Trajectories([np.zeros((3, 5))], [[0, 7]])}, ValueError, "from 0 to 1, got 0"),
        ({"expert": Trajectories([np.zeros((3, 5))])}, ValueError, "hold no actions"),
        ({"budget": 0}, ValueError, "budget must be at least 1, got 0"),
        ({"checkpoint": Checkpoint("x"), "seed": None}, ValueError, "seed: a checkpoint needs"),
        ({"comparison": lfi.discrepancies.MMD()}, TypeError, "comparison must be an Adversarial"),
        ({"comparison": lfi.gans.CramerGAN()}, TypeError, "comparison: learned features compare"),
    ],
)
def test_what_does_not_fit_is_refused(expert, change, error, text):
    with pytest.raises(error, match=text):
        lfi.fit_imitation(**{"environment": Corridor(2), "expert": expert, "seed": 1} | change)


@pytest.mark.slow
def test_the_pole_stands_as_long_as_the_experts():
    seen = Trajectories(**experts.trajectories("CartPole-v1"))
    policy = lfi.fit_imitation("CartPole-v1", seen, budget=60_000, seed=1)
    assert policy.play(20, seed=2).returns.mean() > 0.95 * seen.returns.mean()
