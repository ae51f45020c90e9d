"""Random features: against the exact MMD, with an error that falls as it should."""

import math

import pytest
import torch
from torch.autograd import gradcheck

from lfi.comparison import (
    MMD,
    Biased,
    Gaussian,
    InverseMultiquadric,
    Laplace,
    Learned,
    Linear,
    RandomFeatureMMD,
    RationalQuadratic,
    Sum,
    Unbiased,
)

KERNELS = [Gaussian(1.0), Laplace(2.0), RationalQuadratic(1.0, 0.5), InverseMultiquadric(1.0)]
each = pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: type(kernel).__name__)


def values(kernel, features, x, y, seeds, estimator=None, **weights):
    make = lambda seed: RandomFeatureMMD(kernel, features, seed, estimator or Unbiased())
    return torch.stack([make(seed)(x, y, **weights) for seed in range(seeds)])


@each
@pytest.mark.parametrize("estimator", [Unbiased(), Biased()], ids=str)
def test_the_mean_over_frequencies_is_the_exact_value(kernel, estimator):
    x, y = torch.randn(30, 2), torch.randn(20, 2) + 0.7
    weights = {"weight_p": torch.rand(30)}
    found = values(kernel, 60, x, y, 100, estimator, **weights)
    exact = MMD(kernel, estimator)(x, y, **weights)
    assert abs(found.mean() - exact) < 5 * found.std() / 100**0.5


@each
def test_the_error_falls_as_the_root_of_their_number(kernel):
    x, y = torch.randn(50, 2), torch.randn(40, 2) + 0.7
    exact = MMD(kernel)(x, y)
    few, many = ((values(kernel, d, x, y, 100) - exact).square().mean().sqrt() for d in (20, 1280))
    # a root mean square of 100 errors scatters by 1/sqrt(200) of itself; more where tails are heavy
    assert abs(math.log(few / many / 8)) < 5 * math.sqrt(2 / 200)


def test_equal_seeds_are_equal_and_others_are_not():
    x, y = torch.randn(50, 2), torch.randn(40, 2) + 0.7
    first, again, other = (RandomFeatureMMD(features=20, seed=s)(x, y) for s in (1, 1, 2))
    assert first == again != other


def test_points_far_from_zero_lose_no_digits():
    x, y = torch.randn(50, 2).float(), torch.randn(40, 2).float() + 0.7
    near, far = (RandomFeatureMMD(Gaussian(1.0))(x + s, y + s) for s in (0.0, 4096.0))
    # float32 holds 4096 + x to 2.4e-4, and a shift of each point by so little moves the sum so
    assert abs(near - far) < 1e-3


def test_parts_give_the_same_values_and_gradients():
    x, y = torch.randn(2, 50, 2), torch.randn(40, 2)
    found = []
    for entries in (2**20, 100):
        a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
        value = RandomFeatureMMD(Gaussian(1.0), 40, max_entries=entries)(a, b)
        value.square().sum().backward()
        found.append((value.detach(), a.grad, b.grad))
    for whole, parts in zip(*found, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-11, atol=1e-14)


def test_bandwidths_and_networks_are_reached_by_gradients():
    x, y = torch.randn(20, 2), torch.randn(15, 2) + 0.7
    bandwidth = torch.tensor(0.8, requires_grad=True)
    assert gradcheck(lambda b: RandomFeatureMMD(Laplace(b), 30, max_entries=50)(x, y), bandwidth)
    network = torch.nn.Linear(2, 2, dtype=torch.float64)
    RandomFeatureMMD(Learned(network, Gaussian(1.0)), 30, max_entries=50)(x, y).backward()
    assert network.weight.grad.abs().sum() > 0


def test_several_bandwidths_give_several_values():
    x, y = torch.randn(20, 2), torch.randn(15, 2) + 0.7
    value = RandomFeatureMMD(Gaussian(torch.tensor([0.5, 1.0])), 30)(x, y)
    assert value.shape == (2,)
    torch.testing.assert_close(value[1], RandomFeatureMMD(Gaussian(1.0), 30)(x, y))


def test_kernels_without_a_spectrum_are_refused():
    for kernel in (Linear(), Sum((Gaussian(),)), Learned(torch.nn.Identity(), Linear())):
        with pytest.raises(TypeError, match="kernel with a spectral measure .*, got"):
            RandomFeatureMMD(kernel)
    for features in (0, 3):
        with pytest.raises(ValueError, match="features must be"):
            RandomFeatureMMD(features=features)
    with pytest.raises(ValueError, match="q must have two points of positive weight, got one"):
        RandomFeatureMMD()(torch.randn(4, 1), torch.randn(1, 1))


@pytest.mark.parametrize("kernel", [Gaussian(1.0), Laplace(1.0), RationalQuadratic(1.0)], ids=repr)
def test_features_do_not_depend_on_the_default_dtype(kernel):
    x, y = torch.randn(20, 2), torch.randn(20, 2) + 1
    wide = RandomFeatureMMD(kernel, seed=0)(x, y)
    torch.set_default_dtype(torch.float32)
    assert torch.equal(RandomFeatureMMD(kernel, seed=0)(x, y), wide)
