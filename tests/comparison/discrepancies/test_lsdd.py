"""Least-squares density difference: closed forms, brute force, identities."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch.autograd import gradcheck
from torch.distributions import Normal

from lfi.comparison import LSDD
from lfi.comparison.discrepancies.lsdd import RIDGES, WIDTHS, _leave_one_out
from lfi.numerics.distances import quantile_distances

seeds = st.integers(0, 2**31)


def draw(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng), torch.rand(shape[:-1], generator=rng)


def distance(shift, d=1):
    """int (p - q)^2 of N(0, I) and N(shift, I)."""
    return 2 * (1 - math.exp(-d * shift**2 / 4)) / (4 * math.pi) ** (d / 2)


def model(x, centres, width):
    return torch.exp(-torch.cdist(x, centres).square() / (2 * width**2))


def solved(h, centres, share, width, ridge):
    """Theta and H, from the formulas of the paper."""
    d = centres.shape[1]
    volume = (math.pi * width**2) ** (d / 2)
    big_h = volume * torch.exp(-torch.cdist(centres, centres).square() / (4 * width**2))
    return torch.linalg.solve(big_h + ridge * volume * torch.diag(1 / share), h), big_h


def test_overlaps_are_the_integrals_of_products():
    centres, width = torch.tensor([[-0.3], [0.4], [1.5]]), 0.7
    z = torch.linspace(-10, 10, 4001)[:, None]
    psi = model(z, centres, width)
    _, big_h = solved(torch.ones(3), centres, torch.full((3,), 1 / 3), width, 0.1)
    assert torch.allclose(torch.trapezoid(psi[:, :, None] * psi[:, None], z[:, 0], dim=0), big_h)


@pytest.mark.parametrize("d", [1, 3])
def test_the_value_is_the_recommended_combination(d):
    (x, a), (y, b) = draw(9, d), draw(7, d, seed=1)
    a, b = a / a.sum(), b / b.sum()
    centres, share = torch.cat([x, y]), torch.cat([a, b]) / 2
    h = a @ model(x, centres, 0.8) - b @ model(y, centres, 0.8)
    theta, big_h = solved(h, centres, share, 0.8, 0.01)
    lsdd = LSDD(width=0.8, ridge=0.01)
    value = lsdd(x, y, weight_p=a, weight_q=b)
    assert torch.isclose(value, 2 * h @ theta - theta @ big_h @ theta, rtol=1e-10)
    points = draw(4, d, seed=2)[0]
    difference = lsdd.difference(x, y, points, weight_p=a, weight_q=b)
    assert torch.allclose(difference, model(points, centres, 0.8) @ theta, rtol=1e-8)


def test_the_choice_is_that_of_fits_without_each_point():
    """The least leave-one-out error by refitting, over the whole grid."""
    (x, a), (y, b) = draw(7, 2), draw(6, 2, seed=1)
    y, a, b = y + 1, a / a.sum(), b / b.sum()
    centres, share = torch.cat([x, y]), torch.cat([a, b]) / 2
    chosen = LSDD().fixed(x, y, a, b)
    unit = quantile_distances(x, y, (0.5,), weight_p=a, weight_q=b)[0]
    widths = [float(factor * unit) for factor in WIDTHS]

    def error(width, ridge):
        mean = lambda a, b: a @ model(x, centres, width) - b @ model(y, centres, width)
        fit = lambda a, b: solved(mean(a, b), centres, share, width, ridge)
        theta, big_h = fit(a, b)
        total = theta @ big_h @ theta
        for i in range(len(x)):
            left = a.clone()
            left[i] = 0
            own = model(x[i : i + 1], centres, width) @ fit(left / left.sum(), b)[0]
            total = total - 2 * a[i] * own[0]
        for j in range(len(y)):
            left = b.clone()
            left[j] = 0
            own = model(y[j : j + 1], centres, width) @ fit(a, left / left.sum())[0]
            total = total + 2 * b[j] * own[0]
        return total

    errors = torch.stack([error(width, ridge) for width in widths for ridge in RIDGES])
    best = int(errors.argmin())
    assert chosen.width == pytest.approx(widths[best // len(RIDGES)])
    assert chosen.ridge == pytest.approx(RIDGES[best % len(RIDGES)])
    scores = _leave_one_out(
        x, y, a, b, centres, share, torch.tensor(widths[4]), torch.tensor(RIDGES)
    )
    refitted = torch.stack([error(widths[4], ridge) for ridge in RIDGES])
    assert torch.allclose(scores, refitted, rtol=1e-8)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_gaussians_reach_their_closed_form_on_quantiles(shift):
    """Without sampling noise what remains is what 1,000 quantiles miss of the tails."""
    x = Normal(0.0, 1.0).icdf((torch.arange(1000) + 0.5) / 1000)[:, None]
    value = LSDD(width=1.0, ridge=1e-6)(x, x + shift)
    assert value.item() == pytest.approx(distance(shift), rel=0.01)
    points = torch.linspace(-2, 2 + shift, 20)[:, None]
    exact = Normal(0.0, 1.0).log_prob(points).exp() - Normal(shift, 1.0).log_prob(points).exp()
    estimate = LSDD(width=1.0, ridge=1e-6).difference(x, x + shift, points)
    assert (estimate - exact[:, 0]).abs().max() < 0.01


@pytest.mark.parametrize("d", [1, 2])
def test_samples_of_gaussians_reach_it_within_sampling_error(d):
    """10 pairs of 1,000 points, width and ridge chosen: five standard errors."""
    pairs = [(draw(1000, d, seed=i)[0], draw(1000, d, seed=1000 + i)[0] + 1) for i in range(10)]
    values = torch.stack([LSDD()(x, y) for x, y in pairs])
    assert abs(values.mean() - distance(1.0, d)) < 5 * values.std() / 10**0.5
    # its first-order deviation, 2 sqrt(Var_p(p - q) + Var_q(p - q)) / sqrt(n), is by quadrature 11%
    # of it for d = 1, less for 2; that of a deviation from 10 draws is 1 / sqrt(18), and five are
    # allowed
    assert values.std() < 0.107 * (1 + 5 / 18**0.5) * distance(1.0, d)


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 3), seeds)
@settings(max_examples=15)
def test_it_is_symmetric_never_negative_and_zero_at_equal_samples(n, m, d, seed):
    (x, a), (y, b) = draw(n, d, seed=seed), draw(m, d, seed=seed + 1)
    value = LSDD()(x, y, weight_p=a, weight_q=b)
    assert value >= 0
    assert torch.isclose(value, LSDD()(y, x, weight_p=b, weight_q=a), rtol=1e-7)
    assert LSDD()(x, x.clone()) == 0


@given(st.floats(0.01, 100), st.integers(1, 3), seeds)
@settings(max_examples=15)
def test_it_is_a_density_and_scales_like_one(factor, d, seed):
    (x, _), (y, _) = draw(8, d, seed=seed), draw(6, d, seed=seed + 1)
    expected = LSDD()(x, y) / factor**d
    assert torch.isclose(LSDD()(factor * x + 1, factor * y + 1), expected, rtol=1e-7)


def test_whole_weights_are_repeated_points():
    (x, _), (y, b) = draw(8, 2), draw(6, 2, seed=1)
    times = torch.tensor([1, 3, 0, 2, 1, 1, 4, 1])
    lsdd = LSDD(width=0.7, ridge=0.01)
    repeated = lsdd(x.repeat_interleave(times, 0), y, weight_q=b)
    assert torch.isclose(lsdd(x, y, weight_p=times.double(), weight_q=b), repeated, rtol=1e-9)


def test_gradients():
    (x, a), (y, b) = draw(2, 5, 2), draw(4, 2, seed=1)
    inputs = [t.requires_grad_() for t in (x, y, a, b)]
    lsdd = LSDD(width=0.8, ridge=0.05)
    assert gradcheck(lambda x, y, a, b: lsdd(x, y, weight_p=a, weight_q=b), inputs)
    chosen = LSDD()(x, y)
    assert all(g.isfinite().all() for g in torch.autograd.grad(chosen.sum(), (x, y)))


def test_of_many_points_some_are_centres():
    (x, a), (y, _) = draw(300, 1), draw(40, 1, seed=1)
    y = y + 1
    few = LSDD(width=0.7, ridge=1e-3, centres=60)
    assert torch.equal(few(x, y), few(x, y))
    assert torch.isclose(few(x, y), LSDD(width=0.7, ridge=1e-3, centres=400)(x, y), rtol=0.05)
    assert torch.isclose(few(x, y), few(y, x), rtol=1e-9)
    a[torch.rand(300) < 0.9] = 0
    kept = a > 0
    assert torch.isclose(few(x, y, weight_p=a), few(x[kept], y, weight_p=a[kept]), rtol=0.05)


def test_many_samples_are_chosen_for_one_by_one():
    x, y = draw(3, 20, 2)[0] * torch.tensor([0.1, 1.0, 10.0])[:, None, None], draw(15, 2, seed=1)[0]
    together = LSDD().fixed(x, y)
    assert together.width.shape == together.ridge.shape == (3,)
    alone = [LSDD().fixed(row, y) for row in x]
    assert torch.allclose(together.width, torch.stack([one.width for one in alone]))
    assert torch.allclose(together.ridge, torch.stack([one.ridge for one in alone]))
    assert torch.allclose(together(x, y), LSDD()(x, y))


def test_what_is_given_is_not_chosen():
    (x, _), (y, _) = draw(20, 2), draw(15, 2, seed=1)
    assert LSDD(width=0.3).fixed(x, y).width == 0.3
    assert LSDD(ridge=0.3).fixed(x, y).ridge == 0.3
    given = LSDD(width=1.0, ridge=0.3)
    assert given.fixed(x, y) is given


def test_one_broken_sample_does_not_spoil_the_others():
    (x, _), (y, _) = draw(3, 20, 2), draw(15, 2, seed=1)
    sound = LSDD()(x, y)
    x[1, 3] = torch.nan
    value = LSDD()(x, y)
    assert value.isnan().tolist() == [False, True, False]
    assert torch.equal(value[[0, 2]], sound[[0, 2]])


def test_what_cannot_be_fitted_is_refused():
    for wrong, message in (
        ({"width": 0.0}, "width must be positive"),
        ({"ridge": torch.tensor([1.0, -1.0])}, "ridge must be positive"),
        ({"centres": 1}, "centres must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            LSDD(**wrong)
    x, y = draw(1, 2)[0], draw(5, 2)[0]
    with pytest.raises(ValueError, match="p has a sample of one point"):
        LSDD()(x, y)
    assert LSDD(width=1.0, ridge=0.1)(x, y) > 0
