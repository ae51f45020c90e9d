"""The three tasks of a Gaussian's mean: likelihoods and posteriors against SciPy's."""

from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from simulators import gaussian_linear, gaussian_linear_uniform, gaussian_mixture

POSTERIORS = np.load(Path(__file__).parents[1] / "reference" / "sbibm_posteriors.npz")
LINEAR = (gaussian_linear, gaussian_linear_uniform)
scale = 0.1**0.5

name = lambda module: module.__name__.rpartition(".")[2]
each_linear = pytest.mark.parametrize("module", LINEAR, ids=name)
each = pytest.mark.parametrize("module", (*LINEAR, gaussian_mixture), ids=name)


# Priors and noise.


def test_the_prior_of_the_linear_task_has_variance_a_tenth():
    for marginal in gaussian_linear.prior.values():
        assert marginal.mean == 0
        assert float(marginal.variance) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("module", "bound"), [(gaussian_linear_uniform, 1), (gaussian_mixture, 10)], ids=str
)
def test_the_other_priors_are_uniform_in_a_box(module, bound):
    for marginal in module.prior.values():
        assert (marginal.low, marginal.high) == (-bound, bound)


@each_linear
def test_noise_is_normal_with_variance_a_tenth_in_every_coordinate(module):
    theta = torch.linspace(-1, 1, 10).expand(4_000, 10)
    z = (module.simulate(theta, torch.Generator().manual_seed(1)) - theta) / scale
    for column in z.T:  # 20 tests at once: the least of their p-values is below 1e-5 once in 5000
        assert scipy.stats.kstest(column.numpy(), "norm").pvalue > 1e-5
    # correlations have a standard error of 4000^(-1/2)
    off = torch.corrcoef(z.T) - torch.eye(10)
    assert off.abs().max() < 5 / 4_000**0.5


def test_both_coordinates_of_a_mixture_come_from_one_component():
    x = gaussian_mixture.simulate(torch.zeros(20_000, 2), torch.Generator().manual_seed(1))
    squares = x**2
    # E x_1^2 x_2^2 is (1 + 10^-4) / 2 where components are shared, (1.01 / 2)^2 where they are not
    products = squares[:, 0] * squares[:, 1]
    assert (products.mean() - (1 + 1e-4) / 2).abs() < 5 * products.std() / 20_000**0.5
    assert (squares.mean(dim=0) - 1.01 / 2).abs().max() < 5 * squares.std() / 20_000**0.5


# Likelihoods.


@each_linear
def test_log_likelihood_is_scipys(module):
    theta, x = torch.randn(7, 10), torch.randn(7, 10)
    exact = scipy.stats.norm.logpdf(x, theta, scale).sum(axis=1)
    torch.testing.assert_close(module.log_likelihood(theta, x), torch.from_numpy(exact))


def test_log_likelihood_of_the_mixture_is_scipys():
    theta, x = torch.randn(7, 2), torch.randn(7, 2)
    parts = [scipy.stats.norm.logpdf(x, theta, s).sum(axis=1) for s in (1.0, 0.1)]
    exact = scipy.special.logsumexp(parts, axis=0) - np.log(2)
    torch.testing.assert_close(gaussian_mixture.log_likelihood(theta, x), torch.from_numpy(exact))


@each
def test_log_likelihood_has_the_gradient_of_its_differences(module):
    theta = module.true_parameters[:3].double().requires_grad_()
    x = module.observations[:3].double()
    assert torch.autograd.gradcheck(lambda t: module.log_likelihood(t, x), theta)


# Posteriors.


def test_posterior_of_the_linear_task_is_conjugate():
    x_obs = gaussian_linear.x_obs.double()
    posterior = gaussian_linear.posterior(x_obs)
    torch.testing.assert_close(posterior.mean, x_obs / 2)
    torch.testing.assert_close(posterior.variance, torch.full((10,), 0.05))


@pytest.mark.parametrize("shift", [0.0, 3.0, -3.0, 9.0, -9.0], ids=str)
def test_posterior_of_the_uniform_task_is_scipys_truncated_normal(shift):
    x_obs = gaussian_linear_uniform.x_obs.double() + shift  # 28 scales off, too
    posterior = gaussian_linear_uniform.posterior(x_obs)
    ends = [(end - x_obs.numpy()) / scale for end in (-1, 1)]
    exact = scipy.stats.truncnorm(*ends, loc=x_obs.numpy(), scale=scale)
    theta = torch.rand(20, 10) * 2 - 1
    expected = torch.from_numpy(exact.logpdf(theta.numpy()).sum(axis=1))
    torch.testing.assert_close(posterior.log_prob(theta), expected, rtol=1e-9, atol=1e-9)
    draws = posterior.sample((4_000,))
    assert (draws.abs() <= 1).all()
    uniform = exact.cdf(draws.numpy())  # ten tests: below 1e-5 once in 10,000
    assert min(scipy.stats.kstest(column, "uniform").pvalue for column in uniform.T) > 1e-5


def test_density_is_zero_outside_of_the_box():
    outside = torch.zeros(1, 10)
    outside[0, 3] = 1.01
    posterior = gaussian_linear_uniform.posterior(gaussian_linear_uniform.x_obs.double())
    assert posterior.log_prob(outside) == -torch.inf


@pytest.mark.parametrize("x_obs", [(0.0, 1.0), (-9.5, 9.9), (11.0, 0.0), (10.1, -10.2)], ids=str)
def test_posterior_of_the_mixture_is_normalised_and_samples_its_density(x_obs):
    x_obs = torch.tensor(x_obs)
    posterior = gaussian_mixture.posterior(x_obs)
    # its narrow part by Gauss-Legendre quadrature in cells of a tenth, in the part of the square
    # that holds all but 1e-15 of the wide one
    ends = [np.arange(max(-10, x - 8), min(10, x + 8) - 1e-9, 0.1) for x in x_obs.tolist()]
    nodes, weights = np.polynomial.legendre.leggauss(8)
    grid, mass = [], []
    for starts, x in zip(ends, x_obs.tolist(), strict=True):
        widths = np.diff(np.append(starts, min(10, x + 8)))
        grid.append((starts[:, None] + widths[:, None] * (nodes + 1) / 2).ravel())
        mass.append((widths[:, None] * weights / 2).ravel())
    theta = torch.cartesian_prod(*map(torch.from_numpy, grid))
    density = posterior.log_prob(theta).exp().reshape(len(grid[0]), len(grid[1]))
    share = density.numpy() * mass[0][:, None] * mass[1]
    assert share.sum() == pytest.approx(1, abs=1e-9)
    draws = posterior.sample((10_000,))
    for i in range(2):
        mean = (share.sum(axis=1 - i) * grid[i]).sum()
        error = draws[:, i].std() / 100
        assert abs(draws[:, i].mean() - mean) < 5 * error


@each
def test_sbibms_reference_draws_have_the_posteriors_moments(module):
    draws = torch.from_numpy(POSTERIORS[name(module)]).double()
    ours = module.posterior(module.x_obs.double()).sample((40_000,))
    for f in (lambda t: t, lambda t: (t - ours.mean(dim=0)) ** 2):
        error = f(ours).std(dim=0) * (1 / 400 + 1 / 40_000) ** 0.5
        assert ((f(draws).mean(dim=0) - f(ours).mean(dim=0)).abs() < 5 * error).all()
