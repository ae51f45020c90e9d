"""Pyro models as simulators, and priors by a sampler and a density."""

import pyro
import pytest
import torch
from pyro.distributions import Bernoulli, Gamma, HalfNormal, LogNormal, MultivariateNormal, Normal

import lfi
from lfi.runtime import numpy_rng
from lfi.simulation.priors.sampled import sampled_prior


def line():
    """Independent priors, one of two values."""
    slope = pyro.sample("slope", Normal(torch.zeros(2), torch.tensor([1.0, 2.0])).to_event(1))
    sigma = pyro.sample("sigma", LogNormal(-1.0, 0.5))
    with pyro.plate("days", 6):
        mean = slope[0] + slope[1] * torch.arange(6.0)
        pyro.sample("x", Normal(mean, sigma), obs=torch.zeros(6))


def hierarchy():
    """A prior that depends on another parameter, and a mean of the data on both."""
    scale = pyro.sample("scale", Gamma(2.0, 2.0))
    mean = pyro.sample("mean", Normal(0.0, scale))
    pyro.sample("x", Normal(mean, 0.1))
    pyro.sample("y", Normal(scale, 0.1).expand([2]).to_event(1))


def test_independent_sites_become_named_priors():
    simulator = lfi.Simulator.from_pyro(line, observed="x")
    assert simulator.names == ("slope[0]", "slope[1]", "sigma")
    assert simulator.prior.lower.tolist() == [-torch.inf, -torch.inf, 0.0]
    theta = simulator.prior.sample(5, seed=numpy_rng(1))
    expected = Normal(0.0, 1.0).log_prob(theta[:, 0]) + Normal(0.0, 2.0).log_prob(theta[:, 1])
    expected = expected + LogNormal(-1.0, 0.5).log_prob(theta[:, 2])
    torch.testing.assert_close(simulator.prior.log_prob(theta), expected)


def test_observed_sites_are_drawn_given_the_parameters():
    simulator = lfi.Simulator.from_pyro(line, observed="x")
    theta = torch.tensor([[1.0, 2.0, 1e-6]]).repeat(4, 1)
    x = simulator(theta, seed=1)
    expected = 1 + 2 * torch.arange(6.0).to(x)
    torch.testing.assert_close(x, expected.expand(4, 6), rtol=0, atol=1e-5)  # 10 sigma
    assert len(x[:, 0].unique()) == 4  # fresh noise, not the zeros of obs=
    simulations = lfi.simulate(simulator, 50, seed=1)
    assert simulations.valid.all() and simulations.x.shape == (50, 6)


def test_sites_that_depend_on_each_other_become_a_joint_prior():
    simulator = lfi.Simulator.from_pyro(hierarchy, observed=("x", "y"))
    assert simulator.names == ("scale", "mean") and simulator.prior.lower[0] == 0
    theta = simulator.prior.sample(400, seed=numpy_rng(1))
    scale, mean = theta.T
    expected = Gamma(2.0, 2.0).log_prob(scale) + Normal(0.0, scale).log_prob(mean)
    torch.testing.assert_close(simulator.prior.log_prob(theta), expected)
    # mean/scale is standard normal: 400 of them have a mean square of 1 +- sqrt(2/400).
    assert abs((mean / scale).square().mean() - 1) < 5 * (2 / 400) ** 0.5
    x = simulator(theta[:3], seed=1)
    assert x.shape == (3, 3)
    assert ((x[:, 0] - mean[:3]).abs() < 0.6).all() and ((x[:, 1] - scale[:3]).abs() < 0.6).all()


def test_runs_of_a_pyro_model_are_repeatable_and_leave_no_trace():
    simulator = lfi.Simulator.from_pyro(hierarchy, observed="x")
    state = torch.get_rng_state()
    one, two = (lfi.simulate(simulator, 20, seed=3) for _ in range(2))
    assert torch.equal(one.x, two.x) and torch.equal(state, torch.get_rng_state())
    assert simulator.identity == lfi.Simulator.from_pyro(hierarchy, observed="x").identity
    assert simulator.identity != lfi.Simulator.from_pyro(hierarchy, observed="y").identity


def discrete():
    coin = pyro.sample("coin", Bernoulli(0.5))
    pyro.sample("x", Normal(coin, 1.0))


def correlated():
    pair = pyro.sample("pair", MultivariateNormal(torch.zeros(2), torch.eye(2)))
    pyro.sample("x", Normal(pair.sum(), 1.0))


def fickle():
    if pyro.sample("a", HalfNormal(1.0)) > 0.7:
        pyro.sample("b", Normal(0.0, 1.0))
    pyro.sample("x", Normal(0.0, 1.0))


@pytest.mark.parametrize(
    "model, observed, says",
    [
        (line, "z", r"no site \['z'\]"),
        (line, ("x", "slope", "sigma"), "no latent site"),
        (discrete, "x", "coin is discrete"),
        (correlated, "x", "pair has dependent values"),
        (fickle, "x", "change from run to run"),
    ],
)
def test_models_that_cannot_be_wrapped_are_refused(model, observed, says):
    with pytest.raises(ValueError, match=says):
        lfi.Simulator.from_pyro(model, observed=observed)


# Priors by a sampler and a density.


def triangle(n):
    """Two ordered numbers between 0 and 1."""
    return torch.rand(n, 2).sort(dim=1).values


def density(theta):
    inside = theta[:, 0] < theta[:, 1]
    return torch.where(inside, torch.tensor(2.0).log(), -torch.inf)


def test_a_sampler_with_a_density_is_a_prior():
    prior = sampled_prior(triangle, density, names=("a", "b"), lower=[0, 0], upper=[1, 1])
    theta = prior.sample(1_000, seed=numpy_rng(1))
    assert (theta[:, 0] < theta[:, 1]).all() and prior.contains(theta).all()
    assert not prior.contains(theta.flip(1)).any()
    u = prior.to_unconstrained(theta)
    torch.testing.assert_close(prior.from_unconstrained(u)[0], theta)
    simulator = lfi.Simulator(lambda theta: theta, prior=prior)
    assert lfi.simulate(simulator, 10, seed=1).x.shape == (10, 2)


@pytest.mark.parametrize(
    "sample, log_prob, options, says",
    [
        (lambda n: torch.rand(n), density, {}, r"must return \(n, 2\)"),
        (triangle, lambda t: t, {}, "log_prob must return a finite density"),
        (triangle, density, {"upper": [0.0, 0.0]}, "not between the bounds"),
        (triangle, density, {"lower": [0.0]}, "lower must hold a bound for each"),
    ],
)
def test_samplers_that_are_no_priors_are_refused(sample, log_prob, options, says):
    with pytest.raises(ValueError, match=says):
        sampled_prior(sample, log_prob, names=("a", "b"), **options)
