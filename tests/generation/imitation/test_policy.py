"""Policies act as their distribution says, from files too."""

import gymnasium
import numpy as np
import pytest
import torch
from torch import nn

import lfi
from lfi.generation.imitation.action_models import CategoricalActions, GaussianActions
from lfi.generation.imitation.policy import Policy, policy_network
from lfi.generation.imitation.step_encoding import StepEncoding
from lfi.networks import Standardise


def policy_of(model, states=4, environment=None):
    torch.manual_seed(1)
    standardise = Standardise((states,))
    standardise.fit_from_data(torch.randn(20, states))
    network = policy_network(states, model.outputs, 16)
    nn.init.normal_(network.rest[-1].weight)
    return Policy(network, StepEncoding(standardise, model), environment=environment).eval()


@pytest.fixture(scope="module")
def discrete():
    return policy_of(CategoricalActions(2), environment="CartPole-v1")


@pytest.fixture(scope="module")
def boxed():
    return policy_of(GaussianActions((1,), [-2.0], [2.0]), states=3)


def test_an_environment_takes_the_actions(discrete, boxed):
    for policy, name in ((discrete, "CartPole-v1"), (boxed, "Pendulum-v1")):
        environment = gymnasium.make(name)
        state, _ = environment.reset(seed=1)
        environment.step(policy.act(state))
        action = policy.act(state, sample=True, seed=1)
        assert environment.action_space.contains(action)
        assert np.array_equal(action, policy.act(state[None], sample=True, seed=1)[0])


def test_actions_are_drawn_by_their_density(discrete):
    state = torch.randn(4)
    log_prob = discrete.log_prob(state.expand(2, 4), [0, 1])
    assert log_prob.exp().sum().item() == pytest.approx(1, abs=1e-6)
    drawn = discrete.act(state.expand(10_000, 4), sample=True, seed=1)
    p = log_prob[1].exp().item()
    assert abs(drawn.mean() - p) < 5 * (p * (1 - p) / 10_000) ** 0.5  # 5 standard errors
    assert discrete.act(state) == int(p > 0.5)


def test_episodes_are_played_in_the_environment_of_its_fit(discrete):
    found = discrete.play(3, longest=30, seed=1)
    assert found.episodes == 3
    states, actions = found.observations, found.actions
    assert np.array_equal(discrete.act(states), actions.numpy())
    sampled = [discrete.play(3, longest=30, sample=True, seed=s).actions for s in (1, 1, 2)]
    assert torch.equal(sampled[0], sampled[1])
    assert not torch.equal(sampled[0][:20], sampled[2][:20])


def test_a_policy_comes_back_from_its_file(discrete, boxed, tmp_path):
    for policy in (discrete, boxed):
        policy.save(tmp_path / "policy.lfi")
        again = lfi.load(tmp_path / "policy.lfi")
        states = torch.randn(9, *policy.shape)
        assert np.array_equal(again.act(states), policy.act(states))
        assert again.environment == policy.environment
        assert repr(again) == repr(policy)


def test_a_network_of_the_users_own_is_asked_for(tmp_path):
    network = nn.Linear(4, 2, dtype=torch.float32)
    encoding = StepEncoding(Standardise((4,)), CategoricalActions(2))
    Policy(network, encoding, own=True).save(tmp_path / "policy.lfi")
    with pytest.raises(ValueError, match=r'modules=\{"policy": network\}'):
        lfi.load(tmp_path / "policy.lfi")
    fresh = nn.Linear(4, 2, dtype=torch.float32)
    again = lfi.load(tmp_path / "policy.lfi", modules={"policy": fresh})
    assert torch.equal(again.network.weight, network.weight)


def test_a_file_keeps_open_boxes(tmp_path):
    policy = policy_of(GaussianActions((2,), [-1.0, -np.inf], [np.inf, np.inf]))
    policy.model.fit_from_data(torch.tensor([[0.0, 5.0], [2.0, 9.0]]))
    policy.save(tmp_path / "policy.lfi")
    states = 5 * torch.randn(20, 4)
    again = lfi.load(tmp_path / "policy.lfi")
    assert np.array_equal(again.act(states), policy.act(states))


def test_it_says_what_it_is(discrete, boxed):
    assert repr(discrete).startswith("policy in CartPole-v1: states (4,) to 2 actions, ")
    assert repr(boxed).startswith("policy: states (3,) to actions (1,), clipped, ")


def test_what_it_cannot_take_is_refused(discrete, boxed):
    with pytest.raises(ValueError, match=r"observation has shape \(3,\), expected \(n, 4\)"):
        discrete.act([0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="environment: .* has no name"):
        boxed.play()
    with pytest.raises(ValueError, match="actions has 1 rows for 2 observations"):
        boxed.log_prob(torch.zeros(2, 3), torch.zeros(1, 1))
