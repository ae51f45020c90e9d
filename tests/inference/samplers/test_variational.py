"""Variational flows: what they reach, and what their weights say of them."""

import math

import pytest
import torch
from support.known_targets import conjugate, two_modes

import lfi
from lfi.inference.samplers.adaptive_importance import ImportanceSamples
from lfi.inference.samplers.variational import lacks_mass


@pytest.mark.slow
def test_most_draws_of_a_fitted_flow_count():
    known = conjugate()
    (draws,) = lfi.samplers.Variational()(known.target, 4_000, seed=1)
    # the posterior is Gaussian, which the flow can be: most draws count, with light tails
    assert draws.khat < 0.7
    assert draws.proposals <= 2**14
    sd = known.covariance[0].diagonal().sqrt()
    assert ((draws.theta.mean(0) - known.mean[0]).abs() / sd).max() < 5 / math.sqrt(draws.ess)
    assert (draws.theta.std(0) / sd - 1).abs().max() < 5 / math.sqrt(2 * draws.ess)
    # the mean weight is the evidence: it errs by 1 / sqrt(ess) at the most
    assert abs(draws.log_evidence - known.log_evidence[0]) < 5 / math.sqrt(draws.ess)


def test_a_flow_that_was_not_fitted_has_a_small_effective_sample_size():
    """As wide as the points in each direction, it knows nothing of their correlation."""
    known = conjugate(sd=0.1)
    idle = lfi.samplers.Variational(steps=1, transforms=1, width=8, max_samples=2**13)
    learnt = lfi.samplers.Variational(steps=60, batch=128, transforms=1, width=8, max_samples=2**13)
    (before,), (after,) = (each(known.target, 4_000, seed=1) for each in (idle, learnt))
    assert before.ess < after.ess
    assert before.unique < after.unique
    assert torch.isfinite(before.theta).all()


def test_the_time_limit_leaves_the_flow_as_it_is():
    quick = lfi.samplers.Variational(time_limit=1e-9, max_samples=2**13)
    (draws,) = quick(conjugate().target, 50, seed=1)
    assert draws.theta.shape == (50, 2)
    assert draws.timed_out


def test_weights_that_miss_mass_are_found_by_others():
    """Half of the evidence is lost, log 2: more than 4 errors at 400 draws, less at 40."""
    made = lambda evidence, ess: ImportanceSamples(
        torch.zeros(1, 1), torch.zeros(1), 0.1, ess, evidence, False
    )
    assert lacks_mass(made(-math.log(2), 400.0), made(0.0, 400.0))
    assert not lacks_mass(made(-math.log(2), 40.0), made(0.0, 40.0))
    assert not lacks_mass(made(0.0, 400.0), made(0.0, 400.0))
    assert not lacks_mass(made(1.0, 400.0), made(0.0, 400.0))


@pytest.mark.slow
def test_a_flow_that_loses_a_mode_says_so():
    (draws,) = lfi.samplers.Variational()(two_modes(), 500, seed=1)
    of_one = (draws.theta > draws.theta.mean(0)).all(1).double().mean()
    assert draws.khat > 0.7 or 0.1 < of_one < 0.9
