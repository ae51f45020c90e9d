"""The boarding-school outbreak: its equations, its noise, its likelihood and its data."""

from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import influenza

PUBLISHED = [1.73, 0.54, 0.14]  # posterior means of Grinsztajn et al. 2021


def corners(quantiles):
    """Every pair of prior quantiles of beta and gamma, with the published phi_inv, (n, 3)."""
    beta = torch.from_numpy(influenza.prior["beta"].ppf(quantiles))
    gamma = torch.from_numpy(influenza.prior["gamma"].ppf(quantiles))
    pairs = torch.cartesian_prod(beta, gamma)
    return torch.cat([pairs, torch.full((len(pairs), 1), PUBLISHED[2])], dim=1)


def precise(beta, gamma):
    """I(t) on days 1 to 14 by an eighth-order method at a tolerance of 1e-11."""

    def slope(_, state):
        new = beta * state[0] * state[1] / influenza.boys
        return [-new, new - gamma * state[1]]

    return scipy.integrate.solve_ivp(
        slope, (0, 14), [762, 1], method="DOP853", rtol=1e-11, atol=1e-13, t_eval=range(1, 15)
    ).y[1]


# The equations.


def test_infected_boys_solve_the_equations_over_the_prior():
    theta = corners(np.array([0.001, 0.01, 0.05, 0.5, 0.9, 0.99, 0.999]))
    exact = torch.from_numpy(np.stack([precise(*row[:2].tolist()) for row in theta]))
    # 0.3% is what the module promises; 1e-9 boys is the solver's own absolute error
    torch.testing.assert_close(influenza.infected(theta), exact, rtol=3e-3, atol=1e-9)


def test_infected_boys_solve_the_equations_to_1e_4_at_the_published_rates():
    theta = torch.tensor([PUBLISHED])
    exact = torch.from_numpy(precise(*PUBLISHED[:2]))[None]
    torch.testing.assert_close(influenza.infected(theta), exact, rtol=1e-4, atol=0)


def test_without_infection_the_first_boy_recovers_exponentially():
    gamma = torch.tensor([0.1, 0.5, 1.0])
    theta = torch.stack([torch.zeros(3), gamma, torch.ones(3)], dim=1)
    exact = torch.exp(-gamma[:, None] * torch.arange(1, 15))
    # the stability function of the method differs from exp(-z) by z^5/120 a step, z = gamma/8
    error = 14 * influenza.steps_per_day * (1 / influenza.steps_per_day) ** 5 / 120
    torch.testing.assert_close(influenza.infected(theta), exact, rtol=2 * error, atol=0)


@pytest.mark.slow
def test_infected_boys_have_the_gradient_of_their_differences():
    theta = torch.tensor([PUBLISHED, [2.5, 0.3, 0.5]], requires_grad=True)
    assert torch.autograd.gradcheck(influenza.infected, theta)


# The likelihood.


@pytest.mark.parametrize("one_observation", [True, False], ids=["(14,)", "(n, 14)"])
def test_log_likelihood_is_that_of_scipys_negative_binomial(one_observation):
    theta = torch.tensor([PUBLISHED, [2.5, 0.3, 0.5], [1.2, 0.7, 0.01]])
    x = influenza.x_obs.double()
    x = x if one_observation else torch.stack([x, x.flip(0), x + 1])
    mean, size = influenza.infected(theta).numpy(), 1 / theta[:, 2:].numpy()
    exact = scipy.stats.nbinom(size, size / (size + mean)).logpmf(x.numpy()).sum(axis=1)
    torch.testing.assert_close(
        influenza.log_likelihood(theta, x), torch.from_numpy(exact), rtol=1e-9, atol=0
    )


def test_log_likelihood_has_the_gradient_of_its_differences():
    theta = torch.tensor([PUBLISHED, [2.5, 0.3, 0.5]], requires_grad=True)
    x = influenza.x_obs.double()
    assert torch.autograd.gradcheck(lambda t: influenza.log_likelihood(t, x), theta)


def test_log_likelihood_prefers_the_published_rates_to_twice_and_half_of_them():
    theta = torch.tensor(PUBLISHED) * torch.tensor([[1.0], [0.5], [2.0]])
    assert influenza.log_likelihood(theta, influenza.x_obs.double()).argmax() == 0


# The noise.


def test_counts_have_the_mean_and_variance_of_the_negative_binomial():
    n = 100_000
    x = influenza.simulate(torch.tensor([PUBLISHED]).expand(n, 3), torch.Generator().manual_seed(1))
    mean = influenza.infected(torch.tensor([PUBLISHED]))[0]
    variance = mean + PUBLISHED[2] * mean**2
    centred = x - mean
    error = (variance / n).sqrt()
    assert (centred.mean(dim=0).abs() < 5 * error).all()
    squares = centred**2
    assert ((squares.mean(dim=0) - variance).abs() < 5 * squares.std(dim=0) / n**0.5).all()


def test_counts_are_whole_nonnegative_numbers_in_the_dtype_of_theta():
    theta = torch.tensor([PUBLISHED], dtype=torch.float32).expand(100, 3)
    x = influenza.simulate(theta, torch.Generator().manual_seed(1))
    assert x.shape == (100, 14)
    assert x.dtype == torch.float32
    assert (x >= 0).all()
    assert (x == x.round()).all()


def test_counts_depend_on_the_generator_alone():
    theta = torch.tensor([PUBLISHED]).expand(50, 3)
    first = influenza.simulate(theta, torch.Generator().manual_seed(1))
    torch.manual_seed(1234)
    again = influenza.simulate(theta, torch.Generator().manual_seed(1))
    other = influenza.simulate(theta, torch.Generator().manual_seed(2))
    assert (first == again).all()
    assert (first != other).any()


# The prior and the data.


def test_rates_are_positive_and_the_prior_is_the_published_one():
    beta, gamma, phi_inv = influenza.prior.values()
    grid = np.linspace(0.01, 6, 100)
    for marginal, normal in (
        (beta, scipy.stats.norm(2, 1)),
        (gamma, scipy.stats.norm(0.4, 0.5)),
    ):
        assert marginal.cdf(0) == 0
        np.testing.assert_allclose(marginal.pdf(grid), normal.pdf(grid) / normal.sf(0))
    np.testing.assert_allclose(phi_inv.pdf(grid), 5 * np.exp(-5 * grid))


def test_observation_is_the_file():
    lines = (Path(influenza.__file__).parent / "data" / "influenza.csv").read_text().splitlines()
    rows = [line.split(",") for line in lines if line[0].isdigit()]
    assert [int(day) for day, _ in rows] == list(range(1, 15))
    assert influenza.x_obs.tolist() == [int(in_bed) for _, in_bed in rows]
    assert influenza.x_obs.dtype == torch.float32
