"""Variational flows: what they reach, and what their weights say of them."""

import math

import pytest
import torch
from support.known_targets import conjugate

import lfi


@pytest.mark.slow
def test_a_fitted_flow_is_worth_most_of_its_draws():
    known = conjugate()
    (draws,) = lfi.samplers.Variational()(known.target, 4_000, seed=1)
    # the posterior is Gaussian, which the flow can be: most draws count, with light tails
    assert draws.khat < 0.7
    assert draws.candidates <= 2**14
    sd = known.covariance[0].diagonal().sqrt()
    assert ((draws.theta.mean(0) - known.mean[0]).abs() / sd).max() < 5 / math.sqrt(draws.ess)
    assert (draws.theta.std(0) / sd - 1).abs().max() < 5 / math.sqrt(2 * draws.ess)
    # the mean weight is the evidence: it errs by 1 / sqrt(ess) at the most
    assert abs(draws.log_evidence - known.log_evidence[0]) < 5 / math.sqrt(draws.ess)


def test_a_flow_that_never_learnt_says_so_by_what_its_draws_are_worth():
    """As wide as the points in each direction, it knows nothing of their correlation."""
    known = conjugate(sd=0.1)
    idle = lfi.samplers.Variational(steps=0, transforms=1, width=8, most=2**13)
    learnt = lfi.samplers.Variational(steps=60, batch=128, transforms=1, width=8, most=2**13)
    (before,), (after,) = (each(known.target, 4_000, seed=1) for each in (idle, learnt))
    assert before.ess < after.ess
    assert before.unique < after.unique
    assert torch.isfinite(before.theta).all()


def test_the_time_limit_leaves_the_flow_as_it_is():
    quick = lfi.samplers.Variational(time_limit=1e-9, most=2**13)
    (draws,) = quick(conjugate().target, 50, seed=1)
    assert draws.theta.shape == (50, 2)
    assert draws.timed_out
