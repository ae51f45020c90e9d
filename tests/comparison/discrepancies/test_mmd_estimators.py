"""Estimators: against double sums, over every sample of a discrete distribution, and in tiles."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from lfi.comparison import (
    MMD,
    Biased,
    Block,
    Estimator,
    Gaussian,
    Laplace,
    RationalQuadratic,
    Unbiased,
    energy_kernel,
)

KERNEL = RationalQuadratic(0.8)
UNBIASED = [Unbiased(), Block(2), Block()]
names = lambda estimator: str(estimator)


def every_sample(probabilities, points, n):
    """All samples of n points, (points^n, n, d), and how probable each is."""
    index = torch.tensor(list(itertools.product(range(len(points)), repeat=n)))
    return points[index], probabilities[index].prod(dim=-1)


@pytest.mark.parametrize("estimator", [*UNBIASED, Biased()], ids=names)
def test_unbiased_ones_are_right_on_average_over_every_sample(estimator):
    points = torch.randn(2, 2)
    p, q = torch.tensor([0.3, 0.7]), torch.tensor([0.6, 0.4])
    matrix = KERNEL(points, points)
    exact = (p - q) @ matrix @ (p - q)
    x, weight_p = every_sample(p, points, 4)
    y, weight_q = every_sample(q, points, 5)
    assert isinstance(estimator, Estimator)
    mean = weight_p @ estimator(KERNEL, x[:, None], y, None, None) @ weight_q
    if isinstance(estimator, Biased):  # in excess by E[k(x, x) - k(x, x')] / n of both
        exact = exact + (1 - p @ matrix @ p) / 4 + (1 - q @ matrix @ q) / 5
    torch.testing.assert_close(mean, exact, rtol=1e-12, atol=1e-14)


def test_importance_weights_turn_samples_of_one_distribution_into_another():
    """Of 4,000 points of N(0, 1), weighed into N(0.5, 1), nothing differs from N(0.5, 1)."""
    x, y = torch.randn(100, 400, 1), 0.5 + torch.randn(100, 400, 1)
    weight = torch.exp(0.5 * x[..., 0])
    value = Unbiased()(Gaussian(1.0), x, y, weight, None)
    plain = Unbiased()(Gaussian(1.0), x, y, None, None)
    error = value.std() / 10
    bias = 2 / 400  # of self-normalised weights, whose variance is e^0.25 - 1
    assert abs(value.mean()) < 5 * error + bias
    assert plain.mean() > 20 * abs(value.mean())


def test_blocks_are_means_of_unbiased_statistics():
    x, y = torch.randn(13, 2), torch.randn(22, 2)
    parts = [Unbiased()(KERNEL, x[4 * i : 4 * i + 4], y[7 * i : 7 * i + 7]) for i in range(3)]
    torch.testing.assert_close(Block(4)(KERNEL, x, y), torch.stack(parts).mean())
    torch.testing.assert_close(Block(3)(KERNEL, x, y), Block()(KERNEL, x, y))  # 3 = isqrt(13)


@pytest.mark.parametrize("kernel", [Gaussian(1.0), Laplace(1.0), energy_kernel])
@pytest.mark.parametrize("estimator", [Unbiased(), Biased(), Block(20)], ids=names)
def test_tiles_give_the_same_values_and_gradients(kernel, estimator):
    x, y = torch.randn(2, 90, 3), torch.randn(70, 3)
    w, v = (torch.rand(2, 90), torch.rand(70)) if not isinstance(estimator, Block) else (None,) * 2
    found = []
    for entries in (2**20, 600):
        estimator = replace(estimator, max_entries=entries)
        inputs = [t.clone().requires_grad_() for t in (x, y, w, v) if t is not None]
        value = (
            estimator(kernel, *inputs) if w is not None else estimator(kernel, *inputs, None, None)
        )
        value.square().sum().backward()
        found.append([value.detach(), *(t.grad for t in inputs)])
    for whole, tiled in zip(*found, strict=True):
        torch.testing.assert_close(tiled, whole, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("estimator", [Unbiased(), Block(4)], ids=names)
def test_tiles_are_differentiable_twice_and_reach_a_bandwidth(estimator):
    estimator = replace(estimator, max_entries=20)
    x, y = torch.randn(12, 1, requires_grad=True), torch.randn(9, 1, requires_grad=True)
    distance = lambda x, y: estimator(Gaussian(0.9), x, y, None, None)
    assert gradcheck(distance, (x, y))
    assert gradgradcheck(distance, (x, y), fast_mode=True)
    bandwidth = torch.tensor(0.7, requires_grad=True)
    assert gradcheck(lambda b: estimator(Gaussian(b), x, y, None, None), bandwidth)
    assert gradcheck(lambda x: estimator(Gaussian(bandwidth), x, y, None, None), x)


def test_kernels_of_several_bandwidths_give_several_values():
    x, y = torch.randn(12, 2), torch.randn(9, 2)
    many = Gaussian(torch.tensor([0.5, 1.0, 2.0]))
    for estimator in [*UNBIASED, Biased()]:
        value = estimator(many, x, y, None, None)
        assert value.shape == (3,)
        torch.testing.assert_close(value[1], estimator(Gaussian(1.0), x, y, None, None))


def test_samples_that_are_too_short_are_refused():
    x, y = torch.randn(1, 2), torch.randn(9, 2)
    for estimator, message in [
        (Unbiased(), "p must have two points of positive weight, got one"),
        (Block(4), "p and q are too short, got 1 and 9 points; a block has 4 of each"),
    ]:
        with pytest.raises(ValueError, match=message):
            estimator(KERNEL, x, y, None, None)
    with pytest.raises(ValueError, match="q must have two points of positive weight"):
        MMD(KERNEL)(y, y, weight_q=torch.eye(9)[3])
    with pytest.raises(ValueError, match="size must be at least 2, got 1"):
        Block(1)
    assert MMD(KERNEL, Biased())(x, x + 1) > 0
