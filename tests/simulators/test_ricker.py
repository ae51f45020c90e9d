"""The Ricker map: its counts by a direct loop and by quadrature, Wood's summaries by a loop."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from simulators import ricker

WOOD = ricker.theta_true


def draw(theta, n, seed=1):
    return ricker.simulate(torch.tensor([theta]).expand(n, 3), torch.Generator().manual_seed(seed))


def laws_of_the_population(log_r, sigma, generations):
    """Values of N, and their probabilities at some generations, by quadrature of the Markov kernel.

    The mean of the next log N is log_r + log N - N. Nodes are equidistant in s = log N + N, where
    the trapezoidal rule converges fast: that mean never changes faster than s does.
    """
    h = 0.125
    n = scipy.special.wrightomega(np.arange(-160, 160, h))
    mean = log_r + np.log(n) - n
    weights = h / (1 + n)  # d log N = ds / (1 + N)
    kernel = scipy.stats.norm.pdf(np.log(n), mean[:, None], sigma) * weights
    law = scipy.stats.norm.pdf(np.log(n), log_r - 1, sigma) * weights
    laws = []
    for _ in range(max(generations)):
        laws.append(law)
        law = law @ kernel
    return n, [laws[generation - 1] for generation in generations]


# The counts.


@pytest.mark.parametrize("theta", [WOOD, (3.2, 0.4, 7.0)], ids=str)
def test_counts_have_the_moments_of_the_markov_chain(theta):
    n = 20_000
    x = draw(theta, n)
    assert x.shape == (n, 50)
    columns = (0, 1, 49)
    population, laws = laws_of_the_population(*theta[:2], [51 + column for column in columns])
    rate = theta[2] * population
    for column, law in zip(columns, laws, strict=True):
        assert law.sum() == pytest.approx(1, abs=1e-9)
        counts = x[:, column]
        for values, exact in (
            (counts, law @ rate),
            (counts.square(), law @ (rate + rate**2)),
            ((counts == 0).double(), law @ np.exp(-rate)),
        ):
            assert (values.mean() - exact).abs() < 5 * values.std() / n**0.5


def test_without_noise_counts_are_poisson_around_the_map():
    n, log_r, phi = 20_000, 2.3, 10.0  # two generations repeat: no chaos, which multiplies rounding
    population, path = 1.0, []
    for _ in range(100):
        population = np.exp(log_r) * population * np.exp(-population)
        path.append(population)
    mean = phi * torch.tensor(path[50:])
    x = draw((log_r, 0.0, phi), n)
    assert ((x.mean(dim=0) - mean).abs() < 5 * (mean / n).sqrt()).all()
    squares = (x - mean).square()
    assert ((squares.mean(dim=0) - mean).abs() < 5 * squares.std(dim=0) / n**0.5 + 1e-12).all()


def test_counts_are_whole_over_the_prior():
    rng = np.random.default_rng(0)
    rows = [law.rvs(2000, random_state=rng) for law in ricker.prior.values()]
    theta = torch.from_numpy(np.stack(rows, axis=1)).float()
    x = ricker.simulate(theta, torch.Generator().manual_seed(1))
    assert x.isfinite().all()
    assert (x >= 0).all()
    assert (x == x.round()).all()
    assert not ricker.differentiable


# The summaries.


def by_hand(x, x_obs):
    """Wood's 13 numbers of one series, with NumPy's least squares."""
    t, m = len(x), x.mean()
    covariances = [sum((x[i] - m) * (x[i + k] - m) for i in range(t - k)) / t for k in range(6)]
    z = x**0.3 - (x**0.3).mean()
    fit = lambda columns, y: np.linalg.lstsq(np.stack(columns, axis=1), y)[0]
    d, d_obs = np.sort(np.diff(x)), np.sort(np.diff(x_obs))
    d, d_obs = d - d.mean(), d_obs - d_obs.mean()
    cubic = fit([d_obs, d_obs**2, d_obs**3], d)
    return [*covariances, *fit([z[:-1], z[:-1] ** 2], z[1:]), *cubic, m, (x == 0).sum()]


def test_summaries_are_those_of_a_loop():
    x, x_obs = draw(WOOD, 20), draw(WOOD, 1, seed=2)[0]
    own = ricker.summaries(x, x_obs)
    assert own.shape == (20, 13)
    exact = np.array([by_hand(row, x_obs.numpy()) for row in x.numpy()])
    np.testing.assert_allclose(own.numpy(), exact, rtol=1e-8, atol=1e-8)


def test_the_observation_regressed_on_itself_is_itself():
    x_obs = draw(WOOD, 1)[0]
    cubic = ricker.summaries(x_obs[None], x_obs)[0, 8:11]
    torch.testing.assert_close(cubic, torch.tensor([1.0, 0.0, 0.0]), rtol=0, atol=1e-9)


def test_summaries_of_constant_series_are_finite():
    x = torch.cat([torch.zeros(1, 50), torch.full((1, 50), 7.0)])
    own = ricker.summaries(x, draw(WOOD, 1)[0])
    assert own[:, :11].abs().max() < 1e-9
    assert own[:, 11:].tolist() == [[0.0, 50.0], [7.0, 0.0]]


def test_summaries_of_both_dtypes_agree():
    x, x_obs = draw(WOOD, 10), draw(WOOD, 1, seed=2)[0]
    own = ricker.summaries(x.float(), x_obs.float())
    assert own.dtype == torch.float32
    torch.testing.assert_close(own, ricker.summaries(x, x_obs).float())
