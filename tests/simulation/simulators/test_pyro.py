"""Pyro models as simulators, and priors by a sampler and a density."""

import numpy as np
import pyro
import pytest
import scipy.stats
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


# Some sites as parameters.

EFFECTS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def eight_schools():
    """Rubin (1981): effects of coaching in eight schools, with known standard errors."""
    mu = pyro.sample("mu", Normal(0.0, 10.0))
    tau = pyro.sample("tau", HalfNormal(10.0))
    with pyro.plate("schools", 8):
        theta = pyro.sample("theta", Normal(mu, tau))
        pyro.sample("y", Normal(theta, ERRORS.to(theta)), obs=EFFECTS)


def schools(*names):
    return lfi.Simulator.from_pyro(eight_schools, observed="y", parameters=list(names))


def test_sites_that_are_no_parameters_are_integrated_out():
    """Line 17 of a first day: eight schools had the schools' own effects among the parameters."""
    simulator = schools("tau", "mu")
    assert simulator.names == ("tau", "mu") and simulator.prior.lower.tolist() == [0, -torch.inf]
    theta = torch.tensor([[8.0, 3.0]]).repeat(2_000, 1)
    x = simulator(theta, seed=1)
    # y given mu and tau is normal, of variance tau^2 + error^2, independent in each school
    z = ((x - 3.0) / (64 + ERRORS.square()).sqrt()).numpy()
    assert scipy.stats.kstest(z.ravel(), scipy.stats.norm.cdf).pvalue > 1e-3
    # a correlation of 2,000 independent pairs has a standard error of 1 / sqrt(2,000)
    off = np.corrcoef(z.T)[~np.eye(8, dtype=bool)]
    assert np.abs(off).max() < 5 / 2_000**0.5
    prior = simulator.prior.sample(5, seed=1)
    expected = HalfNormal(10.0).log_prob(prior[:, 0]) + Normal(0.0, 10.0).log_prob(prior[:, 1])
    torch.testing.assert_close(simulator.prior.log_prob(prior), expected)


def quadrature(grid_mu, grid_tau):
    """The exact posterior of mu and tau on a grid: y is normal given them."""
    scale = (grid_tau.square() + ERRORS.square()[:, None, None]).sqrt()
    log_p = Normal(grid_mu, scale).log_prob(EFFECTS[:, None, None]).sum(0)
    log_p = log_p + Normal(0.0, 10.0).log_prob(grid_mu) + HalfNormal(10.0).log_prob(grid_tau)
    return (log_p - log_p.logsumexp((0, 1))).exp()


@pytest.mark.slow
def test_eight_schools_have_the_posterior_of_a_quadrature():
    simulations = lfi.simulate(schools("mu", "tau"), 20_000, seed=1, progress=False)
    posterior = lfi.fit_posterior(simulations, method=lfi.PosteriorFlow(), seed=1, progress=False)
    theta = posterior.sample(10_000, EFFECTS, seed=2).double()
    mu, tau = torch.linspace(-40, 50, 901)[:, None], torch.linspace(0.005, 60, 1_200)[None]
    p = quadrature(mu, tau)
    for column, grid in zip(theta.T, (mu, tau), strict=True):
        mean = float((p * grid).sum())
        sd = float((p * (grid - mean).square()).sum().sqrt())
        # 10,000 draws know the mean to 1% of an sd; flows of 20,000 simulations err by a few more
        assert abs(float(column.mean()) - mean) < 0.15 * sd
        assert abs(float(column.std()) / sd - 1) < 0.15


def test_parameters_that_depend_on_each_other_alone_have_a_joint_prior():
    simulator = lfi.Simulator.from_pyro(hierarchy, observed="x", parameters=["mean", "scale"])
    assert simulator.names == ("mean", "scale")  # y is drawn, and left out of the data
    theta = simulator.prior.sample(20, seed=1)
    mean, scale = theta.T
    expected = Gamma(2.0, 2.0).log_prob(scale) + Normal(0.0, scale).log_prob(mean)
    torch.testing.assert_close(simulator.prior.log_prob(theta), expected)


def mixture():
    side = pyro.sample("side", Bernoulli(0.5))
    shift = pyro.sample("shift", Normal(0.0, 1.0))
    pyro.sample("x", Normal(shift * (2 * side - 1), 0.01))


def test_discrete_sites_may_be_drawn():
    simulator = lfi.Simulator.from_pyro(mixture, observed="x", parameters=["shift"])
    x = simulator(torch.full((400, 1), 1.0), seed=1)
    # 400 fair coins: a share of 1/2 with a standard error of 2.5%
    assert abs(float((x > 0).double().mean()) - 0.5) < 5 * 0.025


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["theta", "mu"], "theta depends on a site that is not among theta, mu"),
        (["sigma"], "some of mu, tau, theta, got sigma"),
        (["mu", "mu"], "parameters must be different latent sites"),
        (["y"], "some of mu, tau, theta, got y"),
    ],
    ids=str,
)
def test_parameters_that_a_model_does_not_have_are_refused(names, says):
    with pytest.raises(ValueError, match=says):
        schools(*names)


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
