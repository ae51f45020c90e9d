"""ARCH(1): moments by recursion, the likelihood by SciPy's quadrature, features by a loop."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import arch1

THETA = [(0.3, 0.7), (-0.9, 0.2), (0.5, 0.0), (0.99, 0.99), (0.0, 0.45)]


def draw(theta, n, seed=1):
    return arch1.simulate(torch.tensor([theta]).expand(n, 2), torch.Generator().manual_seed(seed))


def moments(theta1, theta2):
    """E x_t^2 and E x_t x_{t-1} for t = 1 to 100: of e, then of x, which it drives."""
    square, of_x, lagged = 1.0, 0.0, []
    squares = []
    for _ in range(100):
        square = 0.2 + theta2 * square
        lagged.append(theta1 * of_x)
        of_x = theta1**2 * of_x + square
        squares.append(of_x)
    return torch.tensor(squares), torch.tensor(lagged[1:])


@pytest.mark.parametrize("theta", [(0.3, 0.3), (-0.9, 0.2), (0.5, 0.0)], ids=str)
def test_series_have_the_moments_of_the_recursion(theta):
    # theta2 below 0.5, where squares have a finite variance
    n = 50_000
    x = draw(theta, n)
    assert x.shape == (n, 100)
    squares, lagged = moments(*theta)
    for own, exact in ((x, 0.0), (x**2, squares), (x[:, 1:] * x[:, :-1], lagged)):
        error = own.std(dim=0) / n**0.5
        assert ((own.mean(dim=0) - exact).abs() < 5 * error).all()


def test_the_variance_tends_to_its_stationary_value():
    theta1, theta2 = 0.3, 0.3
    squares, _ = moments(theta1, theta2)
    assert squares[-1] == pytest.approx(0.2 / (1 - theta2) / (1 - theta1**2))


@pytest.mark.parametrize("theta", THETA, ids=str)
def test_log_likelihood_is_that_of_scipy(theta):
    theta1, theta2 = theta
    norm = scipy.stats.norm
    for x in [*draw(theta, 3), torch.zeros(5), torch.tensor([4.0, -3.0, 0.1])]:
        e = x.numpy().copy()
        e[1:] -= theta1 * x.numpy()[:-1]
        first, _ = scipy.integrate.quad(
            lambda e0, e1=e[0]: norm.pdf(e0) * norm.pdf(e1, scale=(0.2 + theta2 * e0**2) ** 0.5),
            *(-12, 12),
            epsrel=1e-12,
            limit=200,
        )
        later = norm.logpdf(e[1:], scale=np.sqrt(0.2 + theta2 * e[:-1] ** 2))
        own = arch1.log_likelihood(torch.tensor([theta]), x)
        assert own.item() == pytest.approx(np.log(first) + later.sum(), abs=1e-9)


def test_the_first_factor_integrates_to_one():
    x = torch.linspace(-40, 40, 4001)[:, None]
    for theta in THETA:
        density = arch1.log_likelihood(torch.tensor([theta]).expand(len(x), 2), x).exp()
        assert torch.trapezoid(density, x[:, 0]) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("theta", [(0.3, 0.7), (-0.9, 0.2)], ids=str)
def test_the_score_has_mean_zero(theta):
    n = 20_000
    x = draw(theta, n)
    rows = torch.tensor([theta]).expand(n, 2).clone().requires_grad_()
    score = torch.autograd.grad(arch1.log_likelihood(rows, x).sum(), rows)[0]
    assert (score.mean(dim=0).abs() < 5 * score.std(dim=0) / n**0.5).all()


def test_features_are_those_of_a_loop():
    x = draw((0.3, 0.7), 4)
    own = arch1.summaries(x)
    for row, features in zip(x.numpy(), own.tolist(), strict=True):
        z = (row - np.mean(row)) / np.std(row, ddof=1)
        lags = [sum(z[i] * z[i + k] for i in range(100 - k)) / (100 - k) for k in range(1, 6)]
        pairs = [lags[i] * lags[j] for i in range(5) for j in range(i + 1, 5)]
        assert features == pytest.approx([row.mean(), row.var(ddof=1), *lags, *pairs])


def test_weighted_least_squares_finds_the_parameters(monkeypatch):
    monkeypatch.setattr(arch1, "length", 20_000)
    x = draw((0.3, 0.5), 1)
    found = arch1.weighted_summaries(x)
    assert found.shape == (1, 26)
    theta1, theta2 = found[0, 17:19]
    # its guess of theta2 is right here, so that its errors are those of weighted least squares:
    # Var theta1 = 1 / sum x^2 / v, and of e^2, whose variance is 2 v^2, 2 / sum e^4 / v^2
    e = x[:, 1:] - 0.3 * x[:, :-1]
    v = 0.2 + 0.5 * e[:, :-1].square()
    assert abs(theta1 - 0.3) < 5 / (x[:, 1:-1].square() / v).sum().sqrt()
    assert abs(theta2 - 0.5) < 5 * (2 / (e[:, :-1] ** 4 / v.square()).sum()).sqrt()
    torch.testing.assert_close(found[:, 1], x.var(dim=1).log())
    torch.testing.assert_close(found[0, 21], theta1 * theta2)


def test_gradients_are_those_of_differences():
    theta = torch.tensor(THETA[:2], requires_grad=True)
    assert arch1.differentiable
    x = draw((0.3, 0.7), 2)
    assert torch.autograd.gradcheck(lambda t: arch1.log_likelihood(t, x), theta)
    noise = lambda: torch.Generator().manual_seed(1)
    assert torch.autograd.gradcheck(lambda t: arch1.simulate(t, noise()), theta, fast_mode=True)
