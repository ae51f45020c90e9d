"""Splines: values and gradients against zuko's, each other's inverse, the identity outside."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from zuko.transforms import MonotonicRQSTransform

from lfi.networks.splines import MIN_SLOPE, inverse_spline, spline

BOUND, BINS = 6.0, 5


def numbers(n, seed=0, *, spread=4.0):
    rng = torch.Generator().manual_seed(seed)
    x = spread * torch.randn(n, generator=rng)
    return x, 2 * torch.randn(n, 3 * BINS - 1, generator=rng)


def test_values_and_gradients_are_those_of_another_implementation():
    x, parameters = numbers(500)
    x, parameters = x.requires_grad_(), parameters.requires_grad_()
    parts = parameters.split([BINS, BINS, BINS - 1], -1)
    peer = MonotonicRQSTransform(*parts, bound=BOUND, slope=MIN_SLOPE)
    ours, theirs = spline(x, parameters, BOUND), peer.call_and_ladj(x)
    torch.testing.assert_close(ours, theirs)
    weights = numbers(500, seed=1)[0]

    def gradients(y, log_slope):
        return torch.autograd.grad((weights * (y + log_slope.sin())).sum(), (x, parameters))

    torch.testing.assert_close(gradients(*ours), gradients(*theirs))


@pytest.mark.parametrize("function", [spline, inverse_spline])
def test_gradients_are_derivatives_twice(function):
    x, parameters = numbers(6)
    inputs = x.requires_grad_(), parameters.requires_grad_()
    assert gradcheck(lambda x, p: function(x, p, BOUND), inputs)
    assert gradgradcheck(lambda x, p: function(x, p, BOUND), inputs)


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-10), (torch.float32, 2e-3)])
def test_the_inverse_returns_to_where_it_began(dtype, within):
    """In float32 a slope near the smallest, 1e-3, stretches a rounding of 5e-7 a thousandfold."""
    x, parameters = (part.to(dtype) for part in numbers(5_000))
    y, _ = spline(x, parameters, BOUND)
    assert (inverse_spline(y, parameters, BOUND) - x).abs().max() < within


def test_a_spline_rises_within_its_bounds_and_is_the_identity_beyond():
    _, parameters = numbers(20)
    grid = torch.linspace(-9, 9, 3_001).expand(20, -1)
    y, log_slope = spline(grid, parameters[:, None].expand(-1, 3_001, -1), BOUND)
    assert (y.diff(dim=1) > 0).all()
    outside = grid.abs() >= BOUND
    assert torch.equal(y[outside], grid[outside])
    assert (log_slope[outside] == 0).all()
    assert (y[~outside].abs() <= BOUND).all()


def test_extreme_parameters_leave_values_finite():
    x = torch.linspace(-6, 6, 101).float()
    signs = torch.tensor([1.0, -1.0]).repeat(BINS)[: 3 * BINS - 1].float()
    parameters = (1e8 * torch.cat([signs, signs])[: 3 * BINS - 1]).expand(101, -1)
    y, log_slope = spline(x, parameters, BOUND)
    assert y.isfinite().all() and log_slope.isfinite().all()
    assert inverse_spline(y, parameters, BOUND).isfinite().all()


def test_functional_transforms_differentiate_splines_too():
    x, parameters = numbers(6)
    one = lambda x, p: spline(x[None], p[None], BOUND)[0][0]
    slopes = torch.func.vmap(torch.func.grad(one))(x, parameters)
    torch.testing.assert_close(slopes, spline(x, parameters, BOUND)[1].exp())
    back = lambda y, p: inverse_spline(y[None], p[None], BOUND)[0]
    y = spline(x, parameters, BOUND)[0]
    slopes_back = torch.func.vmap(torch.func.grad(back))(y, parameters)
    torch.testing.assert_close(slopes_back, 1 / slopes)
