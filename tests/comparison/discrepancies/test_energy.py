"""Energy distance: against double sums, integrals of distribution functions, and closed forms."""

import math

import pytest
import torch
from hypothesis import given, strategies as st

from lfi.comparison import (
    MMD,
    Biased,
    Block,
    Energy,
    Unbiased,
    energy_kernel,
    energy_to,
)

both = pytest.mark.parametrize("estimator", [Unbiased(), Biased()], ids=str)


def double_sums(x, y, w, v, unbiased):
    """Every pair by itself, as the formula is written."""
    w, v = w / w.sum(), v / v.sum()
    mean = lambda a, b, p, q: sum(
        p[i] * q[j] * (a[i] - b[j]).norm() for i in range(len(a)) for j in range(len(b))
    )
    scale = lambda p: 1 - p.square().sum() if unbiased else 1
    return 2 * mean(x, y, w, v) - mean(x, x, w, w) / scale(w) - mean(y, y, v, v) / scale(v)


@both
@pytest.mark.parametrize("d", [1, 2, 20])
@pytest.mark.parametrize("weighted", [False, True])
def test_values_are_the_double_sums(estimator, d, weighted):
    x, y = torch.randn(9, d), torch.randn(7, d) + 100  # far from zero, where digits are lost
    w, v = (torch.rand(9), torch.rand(7)) if weighted else (torch.ones(9), torch.ones(7))
    weights = {"weight_p": w, "weight_q": v} if weighted else {}
    expected = double_sums(x, y, w, v, isinstance(estimator, Unbiased))
    value = Energy(estimator)(x, y, **weights)
    torch.testing.assert_close(value, expected, rtol=0, atol=1e-10)


@both
@given(
    st.lists(st.integers(-4, 4), min_size=2, max_size=12),
    st.lists(st.integers(-4, 4), min_size=2, max_size=12),
)
def test_sorting_and_pairs_agree_on_a_line_with_ties_too(estimator, x, y):
    found = []
    for distance in (Energy(estimator), MMD(energy_kernel, estimator)):
        a, b = (torch.tensor(side).double()[:, None].requires_grad_() for side in (x, y))
        value = distance(a, b)
        value.backward()
        found.append((value.detach(), a.grad, b.grad))
    for sorted_, pairs in zip(*found, strict=True):
        torch.testing.assert_close(sorted_, pairs, rtol=0, atol=1e-12)


def test_on_a_line_it_is_twice_the_area_of_squared_differences():
    x, y, v = torch.randn(40, 1), torch.randn(25, 1), torch.rand(25)
    points = torch.cat([x, y]).sort(dim=0).values[:, 0]
    f, g = (x <= points).double().mean(0), ((y <= points) * v[:, None]).sum(0) / v.sum()
    area = 2 * ((f - g).square()[:-1] * points.diff()).sum()
    torch.testing.assert_close(Energy(Biased())(x, y, weight_q=v), area)


def test_normals_on_a_line_have_a_closed_form():
    """E|N(m, s^2)| = s sqrt(2/pi) exp(-m^2 / (2 s^2)) + m erf(m / (s sqrt 2))."""

    def absolute(m, s):
        normal = s * math.sqrt(2 / math.pi) * math.exp(-(m**2) / (2 * s**2))
        return normal + m * math.erf(m / (s * math.sqrt(2)))

    exact = 2 * absolute(0.7, math.hypot(1, 1.5)) - absolute(0, 2**0.5) - absolute(0, 1.5 * 2**0.5)
    repetitions = 400
    x, y = torch.randn(repetitions, 60, 1), 0.7 + 1.5 * torch.randn(repetitions, 50, 1)
    for estimator in (Unbiased(), Block()):
        value = Energy(estimator)(x, y)
        assert abs(value.mean() - exact) < 5 * value.std() / repetitions**0.5


def test_many_points_on_a_line_are_sorted_instead_of_paired():
    """A quarter of a million against as many: 3 x 10^11 pairs, were they made."""
    n = 250_000
    x, y = torch.randn(n, 1), torch.randn(n, 1) + 1
    value = Energy()(x, y)
    quantiles = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(4000) + 0.5) / 4000)
    exact = Energy(Biased())(quantiles[:, None], quantiles[:, None] + 1)
    # twice the deviations of F and G, 1/(2 sqrt n) each, times |F - G| <= 0.4 over a width of 5
    assert abs(value - exact) < 5 * 4 * 0.4 * 5 / (2 * n**0.5)


def test_rotations_and_shifts_change_nothing_and_a_scale_scales():
    x, y = torch.randn(20, 3), torch.randn(15, 3) + 0.5
    rotation = torch.linalg.qr(torch.randn(3, 3)).Q
    value = Energy()(x, y)
    torch.testing.assert_close(Energy()(x @ rotation + 7, y @ rotation + 7), value)
    torch.testing.assert_close(Energy()(3 * x, 3 * y), 3 * value)


def test_one_point_each_is_enough_for_the_biased_one():
    x, y = torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])
    assert Energy(Biased())(x, y) == 10
    with pytest.raises(ValueError, match="p must have two points of positive weight, got one"):
        Energy()(x, y)
    with pytest.raises(ValueError, match="p must have two points of positive weight, got one"):
        Energy()(x[:, :1], y[:, :1])


@pytest.mark.parametrize("d", [1, 3, 20])
def test_the_distance_to_one_sample_is_that_of_both(d):
    y = torch.randn(40, d)
    distance = energy_to(y)
    for x in (torch.randn(30, d), torch.randn(50, d) + 1, y):
        torch.testing.assert_close(distance(x), Energy()(x, y))
        with torch.no_grad():
            found, exact = energy_to(y.float())(x.float()), Energy()(x, y)
        # 6e-8 of distances of about sqrt(2 d), in each of some operations
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-6 * d**0.5)


def test_the_distance_to_one_sample_asks_for_samples():
    with pytest.raises(ValueError, match="q must have two points, got one"):
        energy_to(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="p must have two points, got one"):
        energy_to(torch.zeros(3, 2))(torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"p must be one sample, \(n, d\), got shape \(4, 3, 2\)"):
        energy_to(torch.zeros(3, 2))(torch.zeros(4, 3, 2))
