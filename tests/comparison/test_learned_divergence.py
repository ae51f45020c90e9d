"""Divergences by a fitted critic: closed forms, gradients, weights, and samples far apart."""

import math

import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.discrepancies import LearnedDivergence

GRID = torch.linspace(-12, 12, 20_001, dtype=torch.float64)


def exactly(loss, u):
    """The divergence of N(0, 1) from N(u0, exp u1), and the variances of its terms, on a grid."""
    p, q = Normal(0.0, 1.0).log_prob(GRID), Normal(u[0], u[1].exp()).log_prob(GRID)
    mass_p, mass_q = (each.exp() * (GRID[1] - GRID[0]) for each in (p, q))
    slope, conjugate = loss.slope(p - q), loss.conjugate(p - q)
    mean_p, mean_q = (mass_p * slope).sum(), (mass_q * conjugate).sum()
    variance = (mass_p * (slope - mean_p) ** 2).sum() + (mass_q * (conjugate - mean_q) ** 2).sum()
    return mean_p - mean_q - loss.f(torch.zeros(())), variance.detach()


LOSSES = (
    lfi.losses.JensenShannon,
    lfi.losses.KL,
    lfi.losses.ReverseKL,
    lfi.losses.SquaredHellinger,
)


@pytest.mark.parametrize("loss", [each() for each in LOSSES], ids=repr)
def test_divergences_of_normal_distributions_are_found(loss):
    n, u = 20_000, torch.tensor([0.5, -0.2], dtype=torch.float64)
    expected, variance = exactly(loss, u)
    x, noise = torch.randn(2, n, 1, dtype=torch.float64)
    found = LearnedDivergence(loss, ridge=1e-6)(x, u[0] + u[1].exp() * noise)
    # four standard errors, and the excess of two free weights
    assert (found - expected).abs() < 4 * (variance / n).sqrt() + 2 / n


def test_gradients_in_parameters_are_those_of_the_divergence():
    """Through points of q, of which the critic has been fitted to: KL, by its closed form."""
    n, u = 20_000, torch.tensor([0.5, -0.2], dtype=torch.float64, requires_grad=True)
    x, noise = torch.randn(2, 10, n, 1, dtype=torch.float64)
    found = LearnedDivergence(lfi.losses.KL(), ridge=1e-6)(x, u[0] + u[1].exp() * noise)
    each = torch.stack([torch.autograd.grad(one, u, retain_graph=True)[0] for one in found])
    variance = (2 * u[1]).exp()
    (exact,) = torch.autograd.grad(u[1] + (1 + u[0] ** 2) / (2 * variance), u)
    # Student's t of 9 degrees: a probability of 1e-3
    assert ((each.mean(0) - exact).abs() < 4.8 * each.std(0) / math.sqrt(10)).all()


@pytest.mark.parametrize("loss", [lfi.losses.JensenShannon(), lfi.losses.KL()], ids=repr)
def test_gradients_are_differences_though_no_step_of_the_fit_is_differentiated(loss):
    divergence = LearnedDivergence(loss)
    x, y, move = torch.randn(3, 30, 2, dtype=torch.float64)
    weight, turn = torch.rand(2, 30, dtype=torch.float64) + 0.5
    y.requires_grad_(), weight.requires_grad_()
    value = divergence(x, y, weight_q=weight)
    of_y, of_weight = torch.autograd.grad(value, (y, weight))
    step = 1e-4
    with torch.no_grad():
        ends = [divergence(x, y + s * move, weight_q=weight) for s in (step, -step)]
        rise = [divergence(x, y, weight_q=weight + s * turn) for s in (step, -step)]
    # errors of central differences, and of critics within 1e-8 of the best: of the order of 1e-4
    torch.testing.assert_close(
        (ends[0] - ends[1]) / (2 * step), (of_y * move).sum(), rtol=1e-3, atol=1e-3
    )
    torch.testing.assert_close(
        (rise[0] - rise[1]) / (2 * step), (of_weight * turn).sum(), rtol=1e-3, atol=1e-3
    )


def test_samples_that_do_not_overlap_attract_each_other():
    x, y = torch.randn(40, 2), (torch.randn(40, 2) + 6.0).requires_grad_()
    (slope,) = torch.autograd.grad(LearnedDivergence()(x, y), y)
    assert (slope.sum(0) > 0).all()  # away from p, so that descents go towards it


def test_a_critic_of_one_s_own_features_sees_no_more():
    """The sign tells 2 JS of two coins: whether numbers are positive."""
    x, y = (
        torch.tensor([[-1.0], [1.0], [2.0], [3.0]]),
        torch.tensor([[-1.0], [-2.0], [-3.0], [4.0]]),
    )
    x, y = x.double(), y.double()
    sides = LearnedDivergence(features=lambda z: (z > -x.mean() / x.std()).to(z), ridge=1e-9)
    p, q = torch.tensor([0.75, 0.25]).double(), torch.tensor([0.25, 0.75]).double()
    m = (p + q) / 2
    expected = (p * (p / m).log() + q * (q / m).log()).sum()
    torch.testing.assert_close(sides(x, y), expected, rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match=r"features must map points .* got \(1, 4\)"):
        LearnedDivergence(features=lambda z: z[..., 0])(x, y)


def test_a_divergence_without_slope_is_refused():
    with pytest.raises(ValueError, match="TotalVariation has no slope"):
        LearnedDivergence(lfi.losses.TotalVariation())


def test_too_few_steps_are_told():
    with pytest.warns(RuntimeWarning, match="could still gain .* after 1 steps"):
        LearnedDivergence(steps=1)(torch.randn(30, 1), torch.randn(30, 1) + 3.0)
