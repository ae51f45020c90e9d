"""Ensembles of critics, and the correction for failed simulations, against their formulas."""

import json

import pytest
import torch

from lfi.networks import (
    EnsembleCritic,
    PairCritic,
    SetEmbedding,
    ValidCritic,
    Validity,
    build_critic,
    embedding_sizes,
)


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def members():
    torch.manual_seed(0)
    return [
        PairCritic([0.0, 0.0], [1.0, 1.0], (3,), rank=4, width=8).eval(),
        PairCritic([0.0, 0.0], [1.0, 1.0], (3,), head_layers=1, width=8).eval(),
    ]


def pairs(n=6):
    return torch.rand(n, 2, dtype=torch.float32), single(n, 3)


def ensemble(critics, weights):
    return EnsembleCritic(critics, weights, [embedding_sizes(each, *pairs(1)) for each in critics])


def test_an_ensemble_is_the_weighted_sum_of_its_members():
    first, second = members()
    summed, (theta, x) = ensemble([first, second], [0.3, 0.9]), pairs()
    expected = 0.3 * first(theta, x) + 0.9 * second(theta, x)
    torch.testing.assert_close(summed(theta, x), expected)
    table = summed.pair(summed.embed_theta(theta), summed.embed_x(x)[:, None])
    torch.testing.assert_close(table.diagonal(), expected)


def test_a_corrected_critic_adds_the_log_probability_of_a_valid_outcome():
    critic, validity = members()[0], Validity([0.0, 0.0], [1.0, 1.0])
    corrected, (theta, x) = ValidCritic(critic, validity), pairs()
    expected = critic(theta, x) + validity.logit(theta).sigmoid().log()
    torch.testing.assert_close(corrected(theta, x), expected)
    table = corrected.pair(corrected.embed_theta(theta), corrected.embed_x(x)[:, None])
    torch.testing.assert_close(table.diagonal(), expected)


def test_a_corrected_ensemble_is_rebuilt_from_its_spec():
    validity = Validity([0.0, 0.0], [1.0, 1.0], width=8)
    critic = ValidCritic(ensemble(members(), [0.3, 0.9]), validity).eval()
    again = build_critic(critic.spec).eval()
    again.load_state_dict(critic.state_dict())
    theta, x = pairs()
    assert torch.equal(again(theta, x), critic(theta, x))


def test_members_that_cannot_be_named_are_asked_for():
    own = torch.nn.Linear(1, 1)
    spec = EnsembleCritic([own, own], [1.0, 2.0], [(1, 1), (1, 1)]).spec
    assert spec["members"] == [None, None]
    with pytest.raises(ValueError, match="critic is a network of your own"):
        build_critic(spec)
    first, second = build_critic(spec, lambda name: own).members
    assert first is not own and first is not second and torch.equal(first.weight, own.weight)


@pytest.mark.parametrize("embedding", [SetEmbedding((4, 3), size=2), torch.nn.Flatten()])
def test_critics_are_rebuilt_with_their_embedding(embedding):
    critic = PairCritic([0.0], [1.0], (4, 3), width=8, rank=2, embedding=embedding).eval()
    again = build_critic(json.loads(json.dumps(critic.spec)), lambda name: embedding).eval()
    again.load_state_dict(critic.state_dict())
    theta, x = torch.rand(6, 1).float(), torch.rand(6, 4, 3).float()
    assert torch.equal(again(theta, x), critic(theta, x))


def test_members_without_weights_are_refused():
    with pytest.raises(ValueError, match="2 members, 1 weights and 2 sizes"):
        ensemble(members(), [1.0])
