"""Importance resampling: how many samples, how many repetitions."""

import math
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate

import lfi
from lfi.inference.samplers import importance
from lfi.inference.samplers.importance import StartsFromSamples, ess_of_draws
from lfi.inference.samplers.target import Proposal
from lfi.inference.samplers.time_limit import TimeLimit


@pytest.mark.parametrize(("n", "first"), [(10, 2**12), (2_000, 8_000), (5_000, 2**14)])
def test_samples_of_the_prior_are_four_for_each_draw_between_bounds(n, first):
    wide = conjugate(sd=5.0).target  # hardly narrower than its prior
    (draws,) = lfi.samplers.Importance()(wide, n, seed=1)
    assert draws.proposals == first


def test_samples_repeat_only_where_their_weight_is_above_one_draw():
    (found,) = lfi.samplers.Importance().weighted_samples(
        conjugate().target, 5_000, seed=1, limit=TimeLimit.start(60.0)
    )
    draws = found.resample(5_000, torch.Generator().manual_seed(0))
    heavy = (found.log_weights + math.log(5_000) > 0).sum()
    assert len(torch.unique(draws, dim=0)) >= 5_000 - heavy


def test_samples_end_at_their_maximum():
    (draws,) = lfi.samplers.Importance(max_samples=2**12)(conjugate(sd=1e-3).target, 5_000, seed=1)
    assert draws.proposals == 2**12
    assert draws.ess < 5_000


def test_many_observations_are_dealt_with_in_parts():
    """Two at a time or all at once: the same law, other random numbers."""
    known = conjugate(3)
    target = replace(known.target, rows=64)
    drawn = lfi.samplers.Importance(max_samples=2**20)(target, 500, seed=1)
    for draws, mean, covariance in zip(drawn, known.mean, known.covariance, strict=True):
        sd = covariance.diagonal().sqrt()
        assert ((draws.theta.mean(0) - mean).abs() / sd).max() < 5 / math.sqrt(draws.ess)


@pytest.mark.parametrize(
    ("n", "with_proposal", "initial", "extra"),
    [
        (1, False, 2**12, 0),
        (1, True, 2**10, 0),
        (2_000, True, 8_000, 0),
        (10_000, False, 2**14, 0),
        (10_001, False, 2**14, 8),
        (200_000, True, 2**14, 8 * 190_000),
    ],
)
def test_how_many_are_asked_for(n, with_proposal, initial, extra, monkeypatch):
    asked = {}
    record = lambda *_, **given: asked.update(given) or []
    monkeypatch.setattr(importance, "adaptive_importance", record)
    nothing = Proposal(torch.zeros(1, 1), lambda *_: None, lambda *_: None)
    target = replace(conjugate().target, proposal=nothing if with_proposal else None)
    sampler = lfi.samplers.Importance(target_ess=3.0, max_samples=2**15)
    sampler.weighted_samples(target, n, seed=1, limit=TimeLimit.start(60.0))
    assert asked["initial"] == initial
    assert asked["max_samples"] == 2**15 + extra
    few = lfi.samplers.Importance(max_samples=100)
    few.weighted_samples(target, n, seed=1, limit=TimeLimit.start(60.0))
    assert asked["initial"] == 100


def test_many_draws_take_less_each():
    assert ess_of_draws(2.5, 100_000) == 250_000
    assert ess_of_draws(2.5, 100_002) == 250_002
    assert ess_of_draws(0.5, 100_002) == 50_001
    assert ess_of_draws(2.5, 100_002, 2.0) == 250_004


def test_settings_and_numbers_of_draws_are_positive():
    for bad in ({"max_samples": 0}, {"target_ess": 0.0}, {"time_limit": 0.0}):
        with pytest.raises(ValueError, match=f"{next(iter(bad))} must be"):
            lfi.samplers.Importance(**bad)
    with pytest.raises(ValueError, match="n must be positive, got 0"):
        lfi.samplers.Importance()(conjugate().target, 0, seed=1)


def test_what_starts_from_samples_is_given_them():
    class Moving(StartsFromSamples):
        start, time_limit = lfi.samplers.Importance(max_samples=64), 60.0

        def continue_from(self, target, found, n, *, seed, limit):
            given.extend((target, found, n, seed, limit))
            return ()

    known, given = conjugate(2).target, []
    assert Moving()(known, 3, seed=5) == ()
    target, found, n, seed, limit = given
    assert (target, n, seed, limit.seconds) == (known, 3, 5, 60.0)
    assert [len(one.u) for one in found] == [64, 64]
