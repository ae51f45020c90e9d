"""Feature moments: they are an MMD, and see what they are asked about."""

import pytest
import torch
from hypothesis import given, strategies as st
from torch.autograd import gradcheck

from lfi.comparison import MMD, Biased, Linear, Moments

seeds = st.integers(0, 2**31)


def draw(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng), torch.rand(shape[:-1], generator=rng)


def quadratic(x, y):
    product = x @ y.mT
    return product + product.square()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), seeds)
def test_means_are_the_linear_kernel(n, m, d, seed):
    (x, a), (y, b) = draw(n, d, seed=seed), draw(m, d, seed=seed + 1)
    mmd = MMD(Linear(), Biased())(x, y, weight_p=a, weight_q=b)
    assert torch.isclose(Moments()(x, y, weight_p=a, weight_q=b), mmd, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), seeds)
def test_covariances_are_the_quadratic_kernel_about_the_midpoint(n, m, d, seed):
    (x, a), (y, b) = draw(n, d, seed=seed), draw(m, d, seed=seed + 1)
    y, a, b = 3 * y + 1, a / a.sum(), b / b.sum()
    middle = (a @ x + b @ y) / 2
    mmd = MMD(quadratic, Biased())(x - middle, y - middle, weight_p=a, weight_q=b)
    value = Moments(covariances=True)(x, y, weight_p=a, weight_q=b)
    assert torch.isclose(value, mmd, rtol=1e-9, atol=1e-12)


def test_it_is_the_distance_of_means_and_covariances():
    (x, a), (y, b) = draw(30, 3), draw(20, 3, seed=1)
    mean = (x.mean(0) - y.mean(0)).square().sum()
    spread = (torch.cov(x.T, correction=0) - torch.cov(y.T, correction=0)).square().sum()
    assert torch.isclose(Moments()(x, y), mean)
    assert torch.isclose(Moments(covariances=True)(x, y), mean + spread)
    cov = lambda x, w: torch.cov(x.T, correction=0, aweights=w)
    mean = (torch.softmax(a.log(), 0) @ x - torch.softmax(b.log(), 0) @ y).square().sum()
    expected = mean + (cov(x, a) - cov(y, b)).square().sum()
    weighted = Moments(covariances=True)(x, y, weight_p=a, weight_q=b)
    assert torch.isclose(weighted, expected)


def test_features_are_compared_in_their_place():
    network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh())
    (x, _), (y, _) = draw(2, 30, 3), draw(20, 3, seed=1)
    expected = Moments(covariances=True)(network(x), network(y))
    assert torch.equal(Moments(network, covariances=True)(x, y), expected)
    torch.autograd.grad(expected.sum(), network[0].weight)


@pytest.mark.parametrize("covariances", [False, True])
def test_standardised_moments_have_no_units(covariances):
    x, y = draw(30, 3)[0], draw(20, 3, seed=1)[0] + 1
    moments = Moments(covariances=covariances, standardise=True)
    units, origin = torch.tensor([1e-3, 1.0, 1e5]), torch.tensor([5.0, -2.0, 0.1])
    value = moments(x, y)
    assert torch.isclose(moments(x * units + origin, y * units + origin), value)
    c = (x.mean(0) + y.mean(0)) / 2
    scale = (((x - c).square().mean(0) + (y - c).square().mean(0)) / 2).sqrt()
    assert torch.isclose(Moments(covariances=covariances)(x / scale, y / scale), value)


def test_the_scale_is_a_constant_to_autograd():
    (x, _), (y, _) = draw(30, 2), draw(20, 2, seed=1)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(Moments(standardise=True)(x, y), x)
    c = (x.mean(0) + y.mean(0)) / 2
    scale = (((x - c).square().mean(0) + (y - c).square().mean(0)) / 2).detach()
    assert torch.allclose(gradient, (2 / 30 * (x.mean(0) - y.mean(0)) / scale).expand(30, 2))


def test_features_that_never_vary_divide_nothing():
    x = torch.ones(5, 2)
    assert Moments(covariances=True, standardise=True)(x, x.clone()) == 0


def test_moments_see_nothing_else():
    """Two points at +-1 and a normal sample with its mean and variance."""
    x = torch.tensor([[-1.0], [1.0]])
    y = draw(50, 1)[0]
    y = (y - y.mean()) / y.std(correction=0)
    assert Moments(covariances=True)(x, y) < 1e-24
    assert MMD(estimator=Biased())(x, y) > 0.01


@pytest.mark.parametrize("covariances", [False, True])
def test_gradients(covariances):
    (x, a), (y, b) = draw(2, 5, 2), draw(4, 2, seed=1)
    inputs = [t.requires_grad_() for t in (x, y, a, b)]
    moments = Moments(torch.tanh, covariances=covariances)
    assert gradcheck(lambda x, y, a, b: moments(x, y, weight_p=a, weight_q=b), inputs)


def test_features_must_be_rows():
    x = draw(6, 2)[0]
    with pytest.raises(ValueError, match=r"features of p, of shape \(6, 2\), must have shape"):
        Moments(lambda x: x.mean(-2))(x, x)
