"""Exact draws, by which fits are judged: against quadrature, conjugacy and reference draws."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from support.exact_draws import exact_draws, observation

from lfi.simulation import as_prior
from simulators import fuel

N = 2_000
ON_GRID = ["heavy_tails", "mixture_means", "rc_circuit", "o_rings", "reaction_times"]
ON_GRID += ["lake_huron", "earthquakes"]
CASES = [(name, 1) for name in ON_GRID] + [("on_off", number) for number in (1, 2, 3)]


def assert_moments(draws, mean, variance):
    """Of all parameters, within five standard errors of an effective sample size."""
    theta = draws.theta.double()
    centred = theta - mean
    for own, exact in ((centred, 0 * mean), (centred.square(), variance)):
        error = own.std(dim=0) / draws.ess**0.5
        assert ((own.mean(dim=0) - exact).abs() < 5 * error).all()


@pytest.mark.parametrize(("name", "number"), CASES)
def test_draws_and_evidence_are_those_of_quadrature(name, number):
    module = import_module(f"simulators.{name}")
    x = observation(module, number)
    draws = exact_draws(module, x, N, steps=10)
    prior = as_prior(module.prior)
    # the trapezoidal rule in unconstrained coordinates, ten deviations around the draws' centre
    u = prior.to_unconstrained(draws.theta).double()
    points = 200 if u.shape[1] == 2 else 60
    steps = torch.linspace(-10, 10, points)
    axes = u.mean(dim=0) + u.std(dim=0) * steps[:, None]
    grid = torch.cartesian_prod(*axes.T)
    theta, log_jacobian = prior.from_unconstrained(grid)
    density = torch.cat(
        [module.log_likelihood(part, x.double()) for part in theta.split(20_000)]
    ) + (prior.log_prob(theta) + log_jacobian)
    density = density.nan_to_num(nan=-torch.inf)
    share = density.softmax(dim=0)[:, None]
    mean = (share * theta).sum(dim=0)
    assert_moments(draws, mean, (share * (theta - mean).square()).sum(dim=0))
    evidence = density.logsumexp(dim=0) + (axes[1] - axes[0]).log().sum()
    assert draws.log_evidence == pytest.approx(evidence.item(), abs=0.3)


def test_draws_of_a_regression_are_those_of_conjugacy():
    # given sigma all is normal; sigma by the trapezoidal rule in its logarithm
    *laws, noise = fuel.prior.values()
    before = torch.tensor([[law.mean(), law.var()] for law in laws])
    design = torch.cat([torch.ones(32, 1), fuel.properties], dim=1)
    x = observation(fuel, 1).double()
    weights, means, variances = [], [], []
    for sigma in np.geomspace(0.5, 10, 100):
        precision = design.T @ design / sigma**2 + (1 / before[:, 1]).diag()
        shift = design.T @ x / sigma**2 + before[:, 0] / before[:, 1]
        covariance = torch.linalg.inv(precision)
        means.append(covariance @ shift)
        variances.append(covariance.diagonal())
        of_x = torch.distributions.MultivariateNormal(
            design @ before[:, 0], design * before[:, 1] @ design.T + sigma**2 * torch.eye(32)
        )
        weights.append(of_x.log_prob(x) + noise.logpdf(sigma) + np.log(sigma))
    share = torch.stack(weights).softmax(dim=0)[:, None]
    sigma = torch.from_numpy(np.geomspace(0.5, 10, 100))[:, None]
    conditional = torch.cat([torch.stack(means), sigma], dim=1)
    mean = (share * conditional).sum(dim=0)
    within = torch.cat([torch.stack(variances), torch.zeros(100, 1)], dim=1)
    variance = (share * (within + (conditional - mean).square())).sum(dim=0)
    assert_moments(exact_draws(fuel, x, N, steps=10), mean, variance)


@pytest.mark.parametrize("name", ["yeast", "theophylline"])
def test_draws_are_those_of_the_reference(name):
    with np.load(Path(__file__).parents[1] / "reference" / f"{name}.npz") as file:
        reference = torch.from_numpy(file["draws"]).double()
    module = import_module(f"simulators.{name}")
    draws = exact_draws(module, observation(module, 1), N, steps=10)
    # of 10,000 draws, which have an error of their own: a fifth of the variance of ours
    assert_moments(draws, reference.mean(dim=0), reference.var(dim=0))


def test_observations_are_real_ones_first_and_the_same_every_time():
    for name in ("yeast", "on_off"):
        module = import_module(f"simulators.{name}")
        assert torch.equal(observation(module, 1), module.x_obs)
    module = import_module("simulators.heavy_tails")
    first, again, second = (observation(module, number) for number in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert first.shape == (12,)
