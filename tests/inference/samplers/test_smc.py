"""Annealing: evidence, shares of modes, genealogy."""

import math
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate, edge, two_modes

import lfi
from lfi.inference.samplers.smc import genealogical_ess


@pytest.mark.slow
@pytest.mark.parametrize("known", [conjugate(3), edge()], ids=["conjugate", "edge"])
def test_the_evidence_is_that_of_the_likelihood(known):
    """Over 4 seeds the mean is within its standard error, and that is small."""
    runs = [lfi.samplers.SMC()(known.target, 1_000, seed=seed) for seed in range(4)]
    values = torch.tensor([[draws.log_evidence for draws in run] for run in runs])
    error = values.std(0) / math.sqrt(4)
    assert (error < 0.05).all()
    # of four values the standard error itself is uncertain: Student's t, three degrees of freedom
    assert ((values.mean(0) - known.log_evidence).abs() < 12 * error).all()


@pytest.mark.slow
def test_far_narrow_modes_are_found_by_particles_that_prior_draws_would_miss():
    """Each mode is a hundred thousandth of the prior's square; SMC has 2,000 particles."""
    (draws,) = lfi.samplers.SMC()(two_modes(0.3, sd=2e-3), 2_000, seed=1)
    share = (draws.theta.sum(1) > 0).double().mean()
    assert abs(share - 0.3) < 5 * math.sqrt(0.21 / draws.ess)
    assert (draws.theta.abs() - 0.5).std() == pytest.approx(2e-3, rel=0.1)


def test_equal_descendants_count_once_and_independent_ones_each():
    assert genealogical_ess(torch.randn(4_000, 1), torch.arange(4_000) // 2) > 3_000
    equal = torch.randn(500, 1).repeat_interleave(8, 0)
    ess = genealogical_ess(equal, torch.arange(4_000) // 8)
    # a sum of 500 squares, of kurtosis 3: it errs by sqrt(2 / 500)
    assert ess == pytest.approx(500, rel=5 * math.sqrt(2 / 500))
    assert genealogical_ess(torch.randn(4_000, 1), torch.zeros(4_000, dtype=torch.long)) == 1


def test_the_time_limit_says_how_far_it_came():
    target = conjugate().target

    def slow(theta, x):
        import time

        time.sleep(0.02)
        return target.pair(theta, x)

    with pytest.raises(TimeoutError, match=r"time_limit: 0.1 seconds passed at power \d"):
        lfi.samplers.SMC(time_limit=0.1)(replace(target, pair=slow), 2_000, seed=1)
