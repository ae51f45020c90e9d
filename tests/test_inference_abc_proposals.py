"""Proposals of sequential ABC: the mixtures that they say they are, drawn and evaluated alike."""

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from lfi.inference import Global, Local, abc_proposals

KERNELS = (Global(), Global(0.5), Local())
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=repr)


def survivors(k=40, d=3):
    weights = torch.rand(k)
    return torch.randn(k, d) @ torch.randn(d, d), weights / weights.sum()


def by_loop(kernel, u, weights):
    """The covariances, one after the other."""
    if isinstance(kernel, Global):
        shared = kernel.scale * torch.cov(u.T, correction=0, aweights=weights)
        return shared.expand(len(u), -1, -1)
    return torch.stack(
        [sum(w * torch.outer(v - c, v - c) for v, w in zip(u, weights, strict=True)) for c in u]
    )


@each_kernel
def test_densities_are_those_of_the_mixture(kernel, monkeypatch):
    u, weights = survivors()
    covariances = by_loop(kernel, u, weights)
    exact = MixtureSameFamily(Categorical(weights), MultivariateNormal(u, covariances))
    at = 3 * torch.randn(50, 3)
    mixture = kernel.around(u, weights)
    # the jitter is 1e-9 of the variances
    torch.testing.assert_close(mixture.log_prob(at), exact.log_prob(at), rtol=1e-6, atol=1e-6)
    monkeypatch.setattr(abc_proposals, "ENTRIES", 500)  # in parts
    torch.testing.assert_close(mixture.log_prob(at), exact.log_prob(at), rtol=1e-6, atol=1e-6)


@each_kernel
def test_draws_follow_the_density(kernel):
    mixture = kernel.around(*survivors(k=5, d=2))
    draws = mixture.sample(20_000, torch.Generator().manual_seed(1))
    # E_q[p / q] = 1 for any density p, here a normal one that is narrower than q
    inner = MultivariateNormal(draws.mean(dim=0), torch.cov(draws.T) / 4)
    ratio = torch.exp(inner.log_prob(draws) - mixture.log_prob(draws))
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / 20_000**0.5
    covariances = mixture.roots @ mixture.roots.mT
    mean = mixture.weights @ mixture.centres
    centred = mixture.centres - mean
    total = torch.einsum("k,ki,kj->ij", mixture.weights, centred, centred)
    inside = (
        covariances
        if covariances.ndim == 2
        else torch.tensordot(mixture.weights, covariances, dims=1)
    )
    exact = total + inside
    found = (draws - mean).square()
    error = found.std(dim=0) / 20_000**0.5
    assert ((found.mean(dim=0) - exact.diagonal()).abs() < 5 * error).all()


@each_kernel
def test_a_direction_without_spread_is_no_obstacle(kernel):
    u = torch.cat([torch.randn(40, 1), torch.ones(40, 1)], dim=1)
    mixture = kernel.around(u, torch.full((40,), 1 / 40))
    assert mixture.log_prob(u).isfinite().all()
    assert mixture.sample(10, torch.Generator()).isfinite().all()


def test_a_scale_must_be_positive():
    with pytest.raises(ValueError, match="scale must be positive"):
        Global(0.0)
