"""Minimum distance with simulations weighed by their noise."""

import math
from functools import partial

import pytest
import torch
from torch.distributions import LogNormal, Normal

import lfi
from lfi.discrepancies import MMD, Biased, Energy, OptimalWeights
from lfi.inference.minimum_distance.noise import with_noise_beside
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.runtime import child
from lfi.simulation import Pushforward

NOISE = Normal(0.0, 1.0)
KERNEL = lfi.kernels.Gaussian(1.0)
BIASED, WEIGHTS = MMD(KERNEL, Biased()), OptimalWeights()
U = torch.tensor([[0.3, -0.2]], dtype=torch.float64)


def normal(theta, u):
    return theta[..., :1] + theta[..., 1:] * u


def simulator(function=normal, **settings):
    prior = {"mean": Normal(0.0, 2.0), "sd": LogNormal(0.0, 0.5)}
    settings = {"differentiable": True} | settings
    return lfi.Simulator(Pushforward(function, NOISE), prior=prior, **settings)


def distances(discrepancy=BIASED, weights=WEIGHTS, **settings):
    return Distances(simulator(**settings), discrepancy, 16, weights=weights)


def problem(data):
    return DistanceProblems(data[None], torch.tensor([0]), torch.tensor([0]))


def noise_of(one, seed, size=16):
    """The simulations of a distance at U, and their noise."""
    theta = one.simulator.prior.from_unconstrained(U)[0].expand(size, 2)
    return with_noise_beside(one.simulator)(theta, child(seed, 0)).split([1, 1], dim=1)


def test_noise_is_returned_beside_what_it_makes():
    squares = lambda x: torch.cat([x, x.square()], 1)
    for settings in ({}, {"batched": False}, {"summary": squares}):
        own = simulator(**settings)
        theta = own.prior.sample(5, seed=1)
        both = with_noise_beside(own)(theta, seed=2)
        torch.testing.assert_close(both[:, :-1], own(theta, seed=2))
        torch.testing.assert_close(both[:, :1], normal(theta, both[:, -1:]))


@pytest.mark.parametrize("discrepancy", [MMD(KERNEL, Biased()), Energy(Biased())])
def test_distances_are_those_of_weighted_simulations(discrepancy):
    one, data = distances(discrepancy), torch.randn(30, 1)
    x, u = noise_of(one, 3)
    w = OptimalWeights()(u, NOISE)
    assert (w < 0).any()  # which equal or importance weights never are
    value = one.value(problem(data), U, 3)
    torch.testing.assert_close(value, discrepancy.of_q(data, x, weight_q=w)[None])


def test_gradients_are_differences_of_weighted_distances():
    one, data = distances(), torch.randn(30, 1)
    found = one.gradient(problem(data), U, torch.ones(2), 3)
    black = distances(differentiable=False)
    differences = black.gradient(problem(data), U, torch.full((2,), 1e-4), 3)
    for t in range(2):
        step = 1e-6 * torch.eye(2)[t]
        rise = one.value(problem(data), U + step, 3) - one.value(problem(data), U - step, 3)
        torch.testing.assert_close(found[:, t], rise / 2e-6, rtol=1e-4, atol=1e-6)
    # of the same kind, though of other noise
    assert ((differences - found).abs() < 0.3).all() and (differences != 0).all()


def test_simulations_that_are_not_finite_weigh_nothing():
    gaps = lambda theta, u: torch.where(u > 0.5, math.nan, normal(theta, u))
    one, data = distances(function=gaps), torch.randn(30, 1)
    x, u = noise_of(one, 3)
    kept = x.isfinite()[:, 0]
    assert 0 < kept.sum() < 16
    w = OptimalWeights()(u[kept], NOISE)
    expected = MMD(KERNEL, Biased()).of_q(data, x[kept], weight_q=w)
    torch.testing.assert_close(one.value(problem(data), U, 3), expected[None])
    assert one.gradient(problem(data), U, torch.ones(2), 3).isfinite().all()
    never = distances(function=lambda theta, u: normal(theta, u) * math.nan)
    assert never.value(problem(data), U, 3).tolist() == [math.inf]


def test_gradients_scatter_less_than_those_of_equal_weights():
    data, rounds = torch.randn(50, 1), 200
    many = problem(data).repeated(rounds), U.repeat(rounds, 1), torch.ones(2)
    weighed, *equal = (
        one.gradient(*many, 1).std(0)
        for one in (distances(), distances(weights=None), distances(MMD(KERNEL), None))
    )
    # deviations of 200 are known within 5%; of 16 points a fourth was seen
    assert all((weighed < each / 2).all() for each in equal)


def test_weights_that_cannot_be_had_are_refused():
    x = torch.randn(10, 1)
    fit = partial(lfi.fit_minimum_distance, x_obs=x, weights=OptimalWeights(), bootstrap=None)
    plain = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 1), prior={"mean": NOISE})
    with pytest.raises(ValueError, match=r"weights: the noise of plain is not known: make the"):
        fit(plain)
    with pytest.raises(ValueError, match="weights: some are negative"):
        fit(simulator(), discrepancy=MMD())
    with pytest.raises(ValueError, match=r"weights: normal draws trials=2 data points"):
        fit(simulator(trials=2))


def closest(x):
    """Mean and deviation of the normal law with the least MMD to x, in closed form."""
    x, theta = x.double(), torch.zeros(2, dtype=torch.float64, requires_grad=True)
    newton = torch.optim.LBFGS([theta], max_iter=100, line_search_fn="strong_wolfe")

    def risk():
        newton.zero_grad()
        mean, variance = theta[0], (2 * theta[1]).exp()
        across = torch.exp(-((x - mean) ** 2) / (2 * (1 + variance))).mean() / (1 + variance).sqrt()
        value = 1 / (1 + 2 * variance).sqrt() - 2 * across
        value.backward()
        return value

    newton.step(risk)
    return torch.stack([theta[0], theta[1].exp()]).detach()


def test_an_estimate_is_the_closest_to_half_the_noise_of_equal_weights():
    x, n = torch.randn(40, 1), 40
    fit = partial(
        lfi.fit_minimum_distance, simulator(), x, starts=1, steps=40, seed=1, progress=False
    )
    found = fit(discrepancy=BIASED, weights=WEIGHTS, bootstrap=20)
    assert found.converged, found
    # at the minimum 200 n points are averaged: of equal weights, a mean's error is 1 / sqrt(200 n)
    assert (found.theta - closest(x)).abs().max() < 1 / math.sqrt(200 * n) / 2
    # the MMD's estimates of a normal law are about as precise as its mean: a third more at most
    assert 0.7 / math.sqrt(n) < found.draws.theta[:, 0].std() < 2.2 / math.sqrt(n)
