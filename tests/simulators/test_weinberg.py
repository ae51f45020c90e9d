"""Muon pairs: the density against quadrature and closed forms, the draws, the gradient."""

import numpy as np
import pytest
import scipy.integrate
import torch

from simulators import weinberg

# beam energies and Fermi constants with A = 0, of both signs, and beyond 2 at both edges
THETA = [[45.0, 1.0], [42.0, 0.9], [47.0, 1.2], [40.0, 1.5], [50.0, 1.5], [45.1, 0.5]]


def density(theta):
    """The cross section of the documentation, normalised by SciPy's quadrature."""
    a = float(2 * theta[1] * np.tanh(10 * (2 * theta[0] - 90) / 90))
    bare = lambda c: max(0.0, 1 + c**2 + a * c)
    zero = [2 / (-a + np.copysign(np.sqrt(a**2 - 4), -a))] if abs(a) > 2 else None
    integrate = lambda f, top=1.0: scipy.integrate.quad(
        f, -1, top, points=[z for z in zero or [] if z < top] or None, epsabs=1e-13
    )[0]
    mass = integrate(bare)
    return (
        lambda c: bare(c) / mass,
        lambda f, top=1.0: integrate(lambda c: f(c) * bare(c), top) / mass,
    )


@pytest.mark.parametrize("theta", THETA, ids=str)
def test_the_likelihood_is_the_normalised_cross_section(theta):
    c = torch.linspace(-1, 1, 41)
    p, _ = density(theta)
    own = weinberg.log_likelihood(torch.tensor([theta]).expand(41, 2), c[:, None]).exp()
    torch.testing.assert_close(own, torch.tensor([p(v) for v in c.tolist()]))


@pytest.mark.parametrize("theta", THETA, ids=str)
def test_cosines_are_quantiles_of_the_density(theta):
    u = (torch.arange(20) + 0.5) / 20
    c = weinberg.quantile(u, weinberg.asymmetry(torch.tensor([theta])).expand(20))
    _, mean = density(theta)
    below = torch.tensor([mean(lambda _: 1.0, top) for top in c.tolist()])
    torch.testing.assert_close(below, u, rtol=0, atol=1e-10)  # what quadrature is asked for


@pytest.mark.parametrize("theta", THETA, ids=str)
def test_draws_have_the_moments_of_the_density(theta):
    n = 100_000
    x = weinberg.simulate(torch.tensor([theta]).expand(n, 2), torch.Generator().manual_seed(1))
    _, mean = density(theta)
    assert x.shape == (n, 1)
    for power in (1, 2, 3):
        error = (x**power).std() / n**0.5
        assert ((x**power).mean() - mean(lambda c, k=power: c**k)).abs() < 5 * error


def test_the_mean_is_a_quarter_of_the_asymmetry_where_that_is_below_two():
    theta = torch.tensor([row for row in THETA if abs(row[0] - 45) < 4])
    for a, row in zip(weinberg.asymmetry(theta).tolist(), theta.tolist(), strict=True):
        assert abs(a) < 2
        _, mean = density(row)
        assert mean(lambda c: c) == pytest.approx(a / 4)  # int c (1 + c^2 + a c) dc / (8/3)
        assert mean(lambda c: c**2) == pytest.approx(0.4)


def test_collisions_beyond_the_zero_of_the_cross_section_do_not_happen():
    theta = torch.tensor([[50.0, 1.5]])
    assert weinberg.log_likelihood(theta, torch.tensor([-0.9])) == -torch.inf
    assert weinberg.log_likelihood(theta, torch.tensor([-1.5])) == -torch.inf
    edges = weinberg.quantile(torch.tensor([0.0, 1.0]), weinberg.asymmetry(theta).expand(2))
    assert edges.isfinite().all()
    assert edges[1] == pytest.approx(1)


def test_many_collisions_of_one_theta_are_independent():
    theta, x = torch.tensor(THETA[:3]), torch.tensor([0.3, -0.5, 0.9])
    each = sum(weinberg.log_likelihood(theta, v[None]) for v in x)
    torch.testing.assert_close(weinberg.log_likelihood(theta, x), each)
    torch.testing.assert_close(weinberg.log_likelihood(theta, x.expand(3, 3)), each)


def test_only_the_asymmetry_is_identified():
    factor = weinberg.asymmetry(torch.tensor([[42.0, 0.9]])) / weinberg.asymmetry(
        torch.tensor([[41.0, 1.0]])
    )
    twins = torch.tensor([[42.0, 0.9], [41.0, factor.item()]])
    first, second = weinberg.log_likelihood(twins, torch.linspace(-0.9, 0.9, 7))
    torch.testing.assert_close(first, second)


def test_gradients_are_those_of_differences():
    theta = torch.tensor([row for row in THETA if row[0] != 45.0], requires_grad=True)
    assert weinberg.differentiable
    assert torch.autograd.gradcheck(
        lambda t: weinberg.simulate(t, torch.Generator().manual_seed(1)), theta
    )
    x = torch.tensor([0.2, 0.1, 0.05])
    assert torch.autograd.gradcheck(lambda t: weinberg.log_likelihood(t, x), theta)


def test_the_pathwise_gradient_of_the_mean_is_a_quarter():
    a = torch.full((100_000,), -1.05, requires_grad=True)
    u = torch.rand(len(a), generator=torch.Generator().manual_seed(1))
    slope = torch.autograd.grad(weinberg.quantile(u, a).sum(), a)[0]
    assert (slope.mean() - 0.25).abs() < 5 * slope.std() / len(a) ** 0.5
