"""Pyro's samplers through our face: right moments, an account of them, a time limit that holds."""

import math
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate

import lfi


@pytest.mark.slow
@pytest.mark.parametrize("trajectory", [None, 1.5])
def test_chains_have_the_posteriors_mean_and_covariance(trajectory):
    known, n = conjugate(2), 600
    sampler = lfi.samplers.NUTS(chains=2, warmup=100, trajectory=trajectory, time_limit=3_600)
    drawn = sampler(known.target, n, seed=1)
    for draws, mean, covariance in zip(drawn, known.mean, known.covariance, strict=True):
        sd = covariance.diagonal().sqrt()
        assert draws.ess > 60  # a tenth of the draws: a fixed trajectory comes back on itself
        # 5 standard errors of draws worth draws.ess
        assert ((draws.theta.mean(0) - mean).abs() / sd).max() < 5 / math.sqrt(draws.ess)
        assert (draws.theta.std(0) / sd - 1).abs().max() < 5 / math.sqrt(2 * draws.ess)
        assert (draws.r_hat < 1.05).all()
        assert draws.sampler == ("nuts" if trajectory is None else "pyro hmc")
        assert 0.5 < draws.acceptance <= 1


def test_chains_repeat_themselves_and_leave_the_global_state_alone():
    target, state = conjugate().target, torch.get_rng_state()
    brief = lfi.samplers.NUTS(chains=1, warmup=5)
    first, again, other = (brief(target, 5, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first.theta, again.theta)
    assert not torch.equal(first.theta, other.theta)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.theta.shape == (5, 2)
    assert first.r_hat is not None


def test_the_time_limit_returns_what_there_is_or_says_that_there_is_nothing():
    target = conjugate().target
    quick = lfi.samplers.NUTS(chains=1, warmup=1, time_limit=0.5)
    (draws,) = quick(target, 100_000, seed=1)
    assert draws.timed_out
    assert draws.seconds < 10  # one trajectory more than allowed, on a busy machine
    assert draws.unique < 100_000
    with pytest.raises(TimeoutError, match="time_limit: 0.5 seconds"):
        replace(quick, warmup=100_000)(target, 10, seed=1)
