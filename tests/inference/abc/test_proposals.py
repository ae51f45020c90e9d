"""Proposals of sequential ABC: the mixtures that they say they are, drawn and evaluated alike."""

import math

import pytest
import torch
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal

from lfi.inference import DefensiveMixture, GlobalCovariance, LocalCovariance
from lfi.inference.abc.proposals import GaussianMixture, PopulationProposal, population_log_weights

KERNELS = (GlobalCovariance(), GlobalCovariance(0.5), LocalCovariance(), DefensiveMixture())
each_kernel = pytest.mark.parametrize("kernel", KERNELS, ids=repr)


def particles(k=40, d=3):
    weights = torch.rand(k)
    return torch.randn(k, d) @ torch.randn(d, d), weights / weights.sum()


def by_loop(kernel, u, weights):
    """The covariances, one after the other."""
    if isinstance(kernel, DefensiveMixture):
        k, d = u.shape
        narrow = (4 / ((d + 2) / weights.square().sum())) ** (2 / (d + 4))
        scales = torch.stack([narrow, torch.tensor(kernel.scale)]).repeat(k // 2)
        return scales[:, None, None] * torch.cov(u.T, correction=0, aweights=weights)
    if isinstance(kernel, GlobalCovariance):
        shared = kernel.scale * torch.cov(u.T, correction=0, aweights=weights)
        return shared.expand(len(u), -1, -1)
    return torch.stack(
        [sum(w * torch.outer(v - c, v - c) for v, w in zip(u, weights, strict=True)) for c in u]
    )


@each_kernel
def test_densities_are_those_of_the_mixture(kernel):
    u, weights = particles()
    covariances = by_loop(kernel, u, weights)
    exact = MixtureSameFamily(Categorical(weights), MultivariateNormal(u, covariances))
    at = 3 * torch.randn(50, 3)
    mixture = kernel.around(u, weights)
    # the jitter is 1e-9 of the variances
    torch.testing.assert_close(mixture.log_prob(at), exact.log_prob(at), rtol=1e-6, atol=1e-6)
    in_parts = mixture.log_prob(at, max_entries=500)
    torch.testing.assert_close(in_parts, exact.log_prob(at), rtol=1e-6, atol=1e-6)


@each_kernel
def test_draws_follow_the_density(kernel):
    mixture = kernel.around(*particles(k=5, d=2))
    draws = mixture.sample(20_000, torch.Generator().manual_seed(1))
    # E_q[p / q] = 1 for any density p, here a normal one that is narrower than q
    inner = MultivariateNormal(draws.mean(dim=0), torch.cov(draws.T) / 4)
    ratio = torch.exp(inner.log_prob(draws) - mixture.log_prob(draws))
    assert abs(ratio.mean() - 1) < 5 * ratio.std() / 20_000**0.5
    covariances = mixture.roots @ mixture.roots.mT
    if mixture.scales is not None:
        covariances = covariances * mixture.scales.square()[:, None, None]
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


def test_steps_have_the_scale_of_the_component_that_they_start_from():
    centres, scales = torch.tensor([[-1e3], [1e3]]), torch.tensor([0.1, 10.0])
    mixture = GaussianMixture(centres, torch.full((2,), 0.5), torch.eye(1), scales)
    draws = mixture.sample(2_000, torch.Generator().manual_seed(1))[:, 0]
    for rows, sd in ((draws < 0, 0.1), (draws > 0, 10.0)):
        assert draws[rows].std() == pytest.approx(sd, rel=5 / (2 * rows.sum().item()) ** 0.5)


@each_kernel
def test_a_direction_without_spread_is_no_obstacle(kernel):
    u = torch.cat([torch.randn(40, 1), torch.ones(40, 1)], dim=1)
    mixture = kernel.around(u, torch.full((40,), 1 / 40))
    assert mixture.log_prob(u).isfinite().all()
    assert mixture.sample(10, torch.Generator()).isfinite().all()


def test_a_draw_does_not_count_the_component_around_itself():
    u, weights = particles()
    mixture = GlobalCovariance(0.1).around(u, weights)
    rest = torch.arange(40) != 7
    without = GaussianMixture(u[rest], weights[rest] / weights[rest].sum(), mixture.roots)
    found = mixture.log_prob(u, others=True)[7]
    torch.testing.assert_close(found, without.log_prob(u[7:8])[0])
    at = torch.randn(5, 3)  # no centres
    torch.testing.assert_close(mixture.log_prob(at, others=True), mixture.log_prob(at))


def test_a_draw_counts_others_of_the_same_first_coordinate():
    u = torch.tensor([[0.0, 0.0], [0.0, 1.0], [2.0, 3.0]])
    mixture = GaussianMixture(u, torch.full((3,), 1 / 3), torch.eye(2))
    without = GaussianMixture(u[1:], torch.full((2,), 1 / 2), torch.eye(2))
    torch.testing.assert_close(mixture.log_prob(u, others=True)[0], without.log_prob(u[:1])[0])


def test_without_other_components_the_density_is_zero():
    u = torch.tensor([[0.0], [1.0]])
    alone = GaussianMixture(u[:1], torch.ones(1), torch.eye(1))
    found = alone.log_prob(u, others=True)
    assert found[0] == -torch.inf
    torch.testing.assert_close(found[1], alone.log_prob(u)[1])
    nearly = GaussianMixture(u, torch.tensor([1.0, 0.0]), torch.eye(1))
    assert nearly.log_prob(u, others=True)[0] == -torch.inf


def test_simulations_of_all_generations_are_one_weighted_sample():
    """From N(0, 9) and two proposals of other widths: weighted, all of them follow N(0, 9)."""
    prior, counts, rng = Normal(0.0, 3.0), (400, 2_000, 3_000), torch.Generator().manual_seed(1)
    mixtures = [
        GaussianMixture(torch.tensor([[centre]]), torch.ones(1), torch.tensor([[root]]))
        for centre, root in ((-1.0, 2.0), (2.0, 1.0))
    ]
    draws = [3 * torch.randn(counts[0], 1, generator=rng)]
    draws += [one.sample(n, rng) for one, n in zip(mixtures, counts[1:], strict=True)]
    u = torch.cat(draws)
    # half of the second is said to be inside: as if twice as many were drawn of all of it
    proposals = [
        PopulationProposal(mixtures[0], counts[1], 1.0),
        PopulationProposal(mixtures[1], counts[2] // 2, 0.5),
    ]
    log_prior = prior.log_prob(u[:, 0])
    weights = population_log_weights(log_prior, u, counts[0], proposals).exp()
    # sum of f w estimates E f, with the sampling error of the sum
    for f, exact in ((torch.ones_like(log_prior), 1.0), (u[:, 0], 0.0), (u[:, 0] ** 2, 9.0)):
        error = (f * weights).square().sum().sqrt()
        assert abs((f * weights).sum() - exact) < 5 * error


def test_a_draw_at_a_component_of_its_own_is_as_if_of_the_others_and_the_prior():
    u, log_prior = torch.tensor([[0.0], [1.0]]), torch.tensor([-1.0, -2.0])
    alone = GaussianMixture(u[:1], torch.ones(1), torch.eye(1))
    found = population_log_weights(log_prior, u, 4, [PopulationProposal(alone, 6, 0.5)])
    at_other = Normal(0.0, 1.0).log_prob(torch.tensor(1.0)).exp()
    expected = torch.stack([torch.tensor(1 / 4), 1 / (4 + 12 * at_other * math.exp(2.0))])
    torch.testing.assert_close(found.exp(), expected)


def test_roots_are_of_covariances_with_a_billionth_more_variance():
    u = torch.tensor([[0.0, 1.0], [20.0, 1.0]])
    roots = GlobalCovariance(1.0).around(u, torch.full((2,), 0.5)).roots
    eps = torch.finfo(torch.float64).eps
    variances = torch.tensor([100 * (1 + 1e-9), eps])  # of no spread, as little as there can be
    torch.testing.assert_close(roots.square().diagonal(), variances, rtol=1e-12, atol=0)


def test_a_scale_must_be_positive():
    with pytest.raises(ValueError, match="scale must be positive"):
        GlobalCovariance(0.0)
    with pytest.raises(ValueError, match="scale must be positive"):
        DefensiveMixture(-1.0)
