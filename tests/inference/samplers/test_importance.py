"""Importance resampling: how many samples, how many repetitions."""

import math
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate

import lfi
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
