"""Targets: batched log densities, in chunks, with gradients, inside the support."""

import math

import pytest
import torch
from torch.distributions import LogNormal, Normal, Uniform

from lfi.inference.samplers.target import Proposal, Sampler, Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.runtime import numpy_rng
from lfi.simulation import as_prior

ZERO, ONE = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
PRIOR = as_prior(
    {"mean": Normal(ZERO, ONE), "sd": LogNormal(ZERO, ONE / 2), "shift": Uniform(-ONE, 2 * ONE)}
)
X = torch.tensor([[0.3], [-1.0], [2.0]], dtype=torch.float64)


def pair(theta, x):
    return Normal(theta[..., 0] + theta[..., 2], theta[..., 1]).log_prob(x[..., 0])


def target(rows=2**14):
    return Target(PRIOR, (X,), pair, rows=rows)


@pytest.mark.parametrize("rows", [1, 2, 7, 10_000])
def test_weights_do_not_depend_on_the_chunks(rows):
    theta = PRIOR.sample(3 * 5, seed=numpy_rng(0)).reshape(3, 5, 3)
    expected = torch.stack([pair(theta[j], X[j]) for j in range(3)])
    assert torch.equal(target(rows).log_weight(theta), expected)
    shared = torch.stack([pair(theta[0], X[j]) for j in range(3)])
    assert torch.equal(target(rows).log_weight(theta[:1]), shared)


def test_a_selection_is_of_the_observations_asked_for():
    theta = PRIOR.sample(5, seed=numpy_rng(0))[None]
    some = target().select(torch.tensor([2, 0]))
    assert torch.equal(some.log_weight(theta), target().log_weight(theta)[[2, 0]])


def test_a_selection_takes_its_proposal_along():
    proposal = Proposal(X, lambda n, x, rng: x[:, None].expand(-1, n, 3), pair)
    some = Target(PRIOR, (X,), pair, proposal).select(torch.tensor([1]))
    assert torch.equal(some.proposal.x, X[1:2])


def test_densities_are_minus_infinity_outside_the_support():
    theta = torch.tensor([[[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 1.0, 2.5]]])
    density = target().log_density(theta)
    assert (density[:, 1:] == -math.inf).all()
    expected = PRIOR.log_prob(theta[0, 0]) + pair(theta[0, 0], X)
    torch.testing.assert_close(density[:, 0], expected)


def test_the_density_in_unconstrained_coordinates_is_the_change_of_variables():
    u = torch.randn(3, 4, 3)
    prior, weight = target().unconstrained(u)
    theta = PRIOR.from_unconstrained(u)[0]
    for j in range(3):
        for i in range(4):
            jacobian = torch.autograd.functional.jacobian(
                lambda v: PRIOR.from_unconstrained(v)[0], u[j, i]
            )
            expected = PRIOR.log_prob(theta[j, i]) + jacobian.slogdet().logabsdet
            torch.testing.assert_close(prior[j, i], expected)
    torch.testing.assert_close(weight, target().log_weight(theta))


@pytest.mark.parametrize("rows", [2, 10_000])
def test_gradients_are_right_by_central_differences(rows):
    u, step = torch.randn(3, 4, 3), 1e-5
    density, gradient = target(rows).density_and_gradient(u)
    torch.testing.assert_close(density, sum(target().unconstrained(u)))
    for d in range(3):
        h = step * torch.eye(3)[d]
        ends = [sum(target().unconstrained(u + sign * h)) for sign in (1, -1)]
        # central differences err by step^2 and by rounding over the step
        torch.testing.assert_close(
            gradient[..., d], (ends[0] - ends[1]) / (2 * step), atol=1e-7, rtol=1e-7
        )


def test_time_runs_out():
    assert TimeLimit.start(1e-9).over
    limit = TimeLimit.start(60.0)
    assert 0 <= limit.elapsed < 1 and not limit.over
    with pytest.raises(ValueError, match="time_limit must be positive, got 0"):
        TimeLimit.start(0)


def test_a_function_of_the_right_face_is_a_sampler():
    assert isinstance(lambda target, n, *, seed=None: (), Sampler)
