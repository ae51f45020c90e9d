"""Predators and prey of sbibm: the equations, the error, the likelihood."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import lotka_volterra


def precise(alpha, beta, gamma, delta):
    """X and then Y by an eighth-order method at a tolerance of 1e-12, in logarithms."""

    def slope(_, state):
        x, y = np.exp(state)
        return [alpha - beta * y, delta * x - gamma]

    times = np.linspace(0, 18.9, 10)
    path = scipy.integrate.solve_ivp(
        slope, (0, 18.9), np.log([30, 1]), method="DOP853", rtol=1e-12, atol=1e-12, t_eval=times
    )
    return path.y.reshape(-1)


def quantiles(shares):
    """Every combination of prior quantiles, (n, 4)."""
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(shares))
    values = [(p.loc + p.scale * normal).exp().double() for p in lotka_volterra.prior.values()]
    return torch.cartesian_prod(*values)


def test_the_prior_is_the_published_one():
    grid = torch.linspace(0.02, 3, 50)
    medians = np.exp([-0.125, -3, -0.125, -3])
    for marginal, median in zip(lotka_volterra.prior.values(), medians, strict=True):
        exact = scipy.stats.lognorm(0.5, scale=median).logpdf(grid)
        np.testing.assert_allclose(marginal.log_prob(grid), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tail", [1e-4, 1e-2], ids=str)
def test_populations_solve_the_equations_in_the_corners_of_the_prior(tail):
    theta = quantiles([tail, 1 - tail])
    exact = torch.from_numpy(np.stack([precise(*row) for row in theta.tolist()]))
    ours = lotka_volterra.populations(theta).log()  # from e^-297 to e^10
    # 1e-6 is what the module promises
    torch.testing.assert_close(ours, exact, rtol=0, atol=1e-6)


def test_populations_solve_the_equations_over_the_prior():
    marginals = lotka_volterra.prior.values()
    theta = torch.stack([p.sample((200,)).double() for p in marginals], dim=1)
    exact = torch.from_numpy(np.stack([precise(*row) for row in theta.tolist()]))
    torch.testing.assert_close(lotka_volterra.populations(theta).log(), exact, rtol=0, atol=1e-7)


def test_populations_keep_the_invariant_of_the_equations():
    theta = lotka_volterra.true_parameters.double()
    alpha, beta, gamma, delta = (p[:, None] for p in theta.T)
    x, y = lotka_volterra.populations(theta).split(10, dim=1)
    invariant = delta * x - gamma * x.log() + beta * y - alpha * y.log()
    torch.testing.assert_close(invariant, invariant[:, :1].expand(-1, 10), rtol=1e-7, atol=0)


def test_populations_have_the_gradient_of_their_differences():
    theta = lotka_volterra.true_parameters[:2].double().requires_grad_()
    assert torch.autograd.gradcheck(lotka_volterra.populations, theta, fast_mode=True)


def test_errors_are_lognormal():
    n = 20_000
    theta = lotka_volterra.true_parameters[:1].double()
    x = lotka_volterra.simulate(theta.expand(n, 4), torch.Generator().manual_seed(1))
    z = (x.log() - torch.from_numpy(precise(*theta[0].tolist()))) / 0.1
    for column in z.T.numpy():  # twenty tests: below 1e-5 once in 5000
        assert scipy.stats.kstest(column, "norm").pvalue > 1e-5
    assert (torch.corrcoef(z.T) - torch.eye(20)).abs().max() < 5 / n**0.5


@pytest.mark.parametrize("one_observation", [True, False], ids=["(20,)", "(n, 20)"])
def test_log_likelihood_is_that_of_scipys_lognormal(one_observation):
    theta = lotka_volterra.true_parameters.double()
    x = lotka_volterra.observations.double()
    x = x[2] if one_observation else x
    mean = np.exp(np.stack([precise(*row) for row in theta.tolist()]))
    exact = torch.from_numpy(scipy.stats.lognorm.logpdf(x.numpy(), 0.1, scale=mean).sum(axis=1))
    # an error of 1e-7 in a logarithm, times z / 0.1, where z is up to 100
    torch.testing.assert_close(lotka_volterra.log_likelihood(theta, x), exact, rtol=1e-6, atol=1e-3)


def test_populations_are_measured_between_bounds():
    # without predation prey grow to 30 e^(18.9 alpha), and predators die out
    theta = torch.tensor([[0.5, 1e-9, 3.0, 1e-9]])
    x = lotka_volterra.simulate(theta.expand(1000, 4), torch.Generator().manual_seed(1)).log()
    assert abs(x[:, 9].mean() - math.log(1e4)) < 5 * 0.1 / 1000**0.5
    assert abs(x[:, 19].mean() - math.log(1e-10)) < 5 * 0.1 / 1000**0.5


def test_data_that_cannot_be_have_no_density():
    theta = lotka_volterra.true_parameters[:1].double().requires_grad_()
    for value in (0.0, -1.0):
        x = lotka_volterra.x_obs.double().clone()
        x[4] = value
        log_p = lotka_volterra.log_likelihood(theta, x)
        assert log_p == -math.inf
        assert torch.autograd.grad(log_p, theta)[0].isfinite().all()


def test_log_likelihood_has_the_gradient_of_its_differences():
    theta = lotka_volterra.true_parameters[:3].double().requires_grad_()
    x = lotka_volterra.observations[:3].double()
    log_likelihood = lambda t: lotka_volterra.log_likelihood(t, x)
    assert torch.autograd.gradcheck(log_likelihood, theta, fast_mode=True)
