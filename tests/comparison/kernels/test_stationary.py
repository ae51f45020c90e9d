"""Kernels: their formulas, their spectra, positive definiteness, and bandwidths from data."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lfi.comparison import (
    Gaussian,
    InverseMultiquadric,
    Kernel,
    Laplace,
    Learned,
    Linear,
    Quantile,
    RationalQuadratic,
    Sum,
    fixed,
)
from lfi.comparison.kernels import composite as composite_kernels
from lfi.comparison.kernels.composite import innermost
from lfi.numerics import manhattan_distances, median_distance, quantile_distances

SCALED = [Gaussian(0.7), Laplace(1.3), RationalQuadratic(0.7, 0.3), InverseMultiquadric(1.5)]
NETWORK = torch.nn.Linear(3, 2, dtype=torch.float64)
KERNELS = [*SCALED, Linear(), Sum((SCALED[0], Linear())), Learned(NETWORK, SCALED[2])]

each = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)
each_scaled = pytest.mark.parametrize("kernel", SCALED, ids=lambda kernel: type(kernel).__name__)


def formula(kernel, u):
    """The kernel of one difference u, as a textbook writes it."""
    b, square = kernel.bandwidth, float(u.square().sum())
    match kernel:
        case Gaussian():
            return math.exp(-square / (2 * b**2))
        case Laplace():
            return math.exp(-float(u.abs().sum()) / b)
        case RationalQuadratic():
            return (1 + square / (2 * kernel.alpha * b**2)) ** -kernel.alpha
        case InverseMultiquadric():
            return 1 / math.sqrt(1 + square / b**2)


@each_scaled
def test_matrices_hold_the_formula_of_every_pair(kernel):
    x, y = torch.randn(5, 3), torch.randn(4, 3)
    expected = torch.tensor([[formula(kernel, a - b) for b in y] for a in x])
    torch.testing.assert_close(kernel(x, y), expected, rtol=1e-13, atol=0)


@pytest.mark.parametrize("kernel", [Gaussian(1e-3), Laplace(1e-3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_from_each_other_points_have_the_least_normal_number(kernel, dtype):
    """Where results underflow, exp takes ten to thirty times as long."""
    x, y = torch.zeros(2, 1, dtype=dtype), torch.tensor([[0.0], [9.0]], dtype=dtype)
    tiny = torch.finfo(dtype).tiny
    value = kernel(x, y)
    assert (value[:, 0] == 1).all() and ((value[:, 1] >= tiny) & (value[:, 1] < 1e3 * tiny)).all()


@each
def test_kernels_are_symmetric_positive_definite_and_batched(kernel):
    x, y = torch.randn(2, 1, 9, 3), torch.randn(4, 6, 3)
    assert isinstance(kernel, Kernel)
    value = kernel(x, y)
    assert value.shape == (2, 4, 9, 6)
    torch.testing.assert_close(value[1, 2], kernel(x[1, 0], y[2]))
    torch.testing.assert_close(value.mT, kernel(y, x))
    assert torch.linalg.eigvalsh(kernel(x, x)).min() > -1e-12  # rounding of 9 x 9


@each
def test_gradients_are_derivatives(kernel):
    x, y = torch.randn(3, 3, requires_grad=True), torch.randn(2, 3, requires_grad=True)
    assert gradcheck(kernel, (x, y))
    if not isinstance(kernel, Laplace):
        assert gradgradcheck(kernel, (x, y))


@each_scaled
def test_spectral_measures_are_those_of_the_kernels(kernel):
    """The mean of cos(w . u / bandwidth) is k(u)."""
    n = 100_000
    u = torch.tensor([0.3, -0.8, 0.5])
    w = kernel.frequencies(n, 3, torch.Generator().manual_seed(1))
    cosines = torch.cos(w @ u / kernel.bandwidth)
    assert abs(cosines.mean() - formula(kernel, u)) < 5 * cosines.std() / n**0.5


@each_scaled
def test_a_kernel_of_no_bandwidth_takes_the_median(kernel):
    x, y = torch.randn(30, 3), 1 + torch.randn(20, 3)
    adaptive = type(kernel)()
    norm = manhattan_distances if isinstance(kernel, Laplace) else None
    options = {"distance": norm} if norm else {}
    (median,) = quantile_distances(x, y, (0.5,), **options)
    chosen = fixed(adaptive, x, y)
    assert chosen.bandwidth == median
    torch.testing.assert_close(adaptive(x, y), chosen(x, y))
    scaled = fixed(type(kernel)(Quantile(0.5, scale=3.0)), x, y)
    assert torch.isclose(scaled.bandwidth, 3 * median)
    assert fixed(kernel, x, y) == kernel


def test_each_sample_of_a_batch_has_its_own_median():
    x, y = torch.randn(4, 30, 2) * torch.arange(1, 5)[:, None, None], torch.randn(20, 2)
    chosen = fixed(Gaussian(), x, y).bandwidth
    assert chosen.shape == (4,)
    assert torch.equal(chosen[2], median_distance(x[2], y))


def test_a_tensor_of_bandwidths_makes_as_many_matrices():
    x, y = torch.randn(5, 2), torch.randn(4, 2)
    value = Gaussian(torch.tensor([0.5, 1.0, 2.0]))(x, y)
    assert value.shape == (3, 5, 4)
    torch.testing.assert_close(value[2], Gaussian(2.0)(x, y))


def test_bandwidths_can_be_learnt():
    x, y = torch.randn(5, 2), torch.randn(4, 2)
    assert gradcheck(lambda b: Laplace(b)(x, y), torch.tensor(0.8, requires_grad=True))


def test_small_powers_join_many_scales_and_large_ones_are_gaussian():
    x, y = torch.randn(5, 2), torch.randn(4, 2)
    torch.testing.assert_close(
        RationalQuadratic(1.2, alpha=1e7)(x, y), Gaussian(1.2)(x, y), rtol=1e-5, atol=1e-5
    )
    torch.testing.assert_close(RationalQuadratic(1.2, 0.5)(x, y), InverseMultiquadric(1.2)(x, y))


def test_the_median_of_learned_features_is_theirs():
    kernel = Learned(NETWORK, Gaussian())
    x, y = torch.randn(8, 3), torch.randn(8, 3)
    chosen = fixed(kernel, x, y)
    assert chosen.kernel.bandwidth == median_distance(NETWORK(x), NETWORK(y))
    kernel(x, y).sum().backward()
    assert NETWORK.weight.grad.abs().sum() > 0
    NETWORK.zero_grad()


def test_sums_fix_each_bandwidth_and_plain_functions_have_none():
    x, y = torch.randn(8, 3), torch.randn(8, 3)
    plain = lambda x, y: x @ y.mT
    chosen = fixed(Sum((Gaussian(), plain)), x, y)
    assert chosen.kernels[0].bandwidth == median_distance(x, y)
    assert chosen.kernels[1] is plain
    learned = fixed(Sum((Learned(NETWORK, Gaussian()),)), x, y).kernels[0]
    assert learned.kernel.bandwidth == median_distance(NETWORK(x), NETWORK(y))
    torch.testing.assert_close(chosen(x, y), Gaussian()(x, y) + x @ y.mT)


def test_sums_are_of_their_terms_and_share_what_is_apart():
    x, y = torch.randn(6, 3), torch.randn(4, 3)
    many = (*SCALED, Linear(), Gaussian(), Gaussian(torch.tensor([0.5, 2.0])))
    torch.testing.assert_close(Sum(many)(x, y), sum(kernel(x, y) for kernel in many))
    calls = []
    squared = Gaussian.apart

    def counted(x, y):
        calls.append(len(x))
        return squared(x, y)

    with pytest.MonkeyPatch.context() as patch:
        for kind in (Gaussian, RationalQuadratic, InverseMultiquadric):
            patch.setattr(kind, "apart", staticmethod(counted))
        Sum(many)(x, y)
    assert calls == [6]


def test_bandwidths_of_a_sum_are_those_of_its_terms():
    x, y = torch.randn(2, 8, 3), torch.randn(5, 3)
    many = (Gaussian(), Gaussian(Quantile(0.1, 2.0)), Laplace(Quantile(0.1)), Gaussian(1.5))
    alone = tuple(fixed(kernel, x, y) for kernel in many)
    for kernel, one in zip(fixed(Sum(many), x, y).kernels, alone, strict=True):
        torch.testing.assert_close(kernel.bandwidth, one.bandwidth, rtol=0, atol=0)
    torch.testing.assert_close(Sum(many)(x, y), sum(kernel(x, y) for kernel in many))


def test_a_sum_sorts_the_distances_of_one_norm_once(monkeypatch):
    asked = []

    def counted(x, y, levels, **options):
        asked.append(levels)
        return quantile_distances(x, y, levels, **options)

    monkeypatch.setattr(composite_kernels, "quantile_distances", counted)
    many = (Gaussian(), RationalQuadratic(Quantile(0.1)), Gaussian(Quantile(scale=3.0)), Laplace())
    Sum(many)(torch.randn(8, 3), torch.randn(5, 3))
    assert asked == [(0.5, 0.1), (0.5,)]


@pytest.mark.parametrize("bad", [0.0, -1.0, math.inf, math.nan, torch.tensor([1.0, 0.0])], ids=str)
@pytest.mark.parametrize("kind", [Gaussian, RationalQuadratic])
def test_bandwidths_are_positive(kind, bad):
    with pytest.raises(ValueError, match="bandwidth must be positive and finite, got"):
        kind(bad)


def test_the_linear_kernel_is_of_points_of_one_dimension():
    with pytest.raises(ValueError, match="x and y must be points of one dimension"):
        Linear()(torch.zeros(3, 2), torch.zeros(3, 4))


def test_under_networks_is_the_innermost_kernel_of_their_features():
    x, y, double = torch.randn(4, 3), torch.randn(5, 3), lambda x: 2 * x
    kernel, *features = innermost(Learned(NETWORK, Learned(double, SCALED[0])), x, y)
    assert kernel == SCALED[0]
    for found, sample in zip(features, (x, y), strict=True):
        torch.testing.assert_close(found, 2 * NETWORK(sample))
    assert innermost(SCALED[1], x) == (SCALED[1], x)


def test_a_bandwidth_may_be_any_real_number():
    x, y = torch.randn(4, 2), torch.randn(3, 2)
    for given in (2, np.float32(2), Fraction(2)):
        torch.testing.assert_close(Gaussian(given)(x, y), Gaussian(2.0)(x, y))


def test_a_kernel_of_distances_needs_its_bandwidth():
    with pytest.raises(TypeError, match="bandwidth: it is chosen from data; call `fixed"):
        Gaussian().of(torch.ones(2, 2))


def test_settings_that_make_no_kernel_are_refused():
    with pytest.raises(ValueError, match="alpha must be positive and finite, got 0"):
        RationalQuadratic(alpha=0)
    with pytest.raises(ValueError, match=r"level must lie in \[0, 1\], got 1.5"):
        Quantile(1.5)
    with pytest.raises(ValueError, match="scale must be positive and finite, got 0"):
        Quantile(scale=0)
    with pytest.raises(ValueError, match="kernels must have at least one, got none"):
        Sum(())
