"""Samplers: importance weights and ensembles against targets that are known."""

import math

import pytest
import torch
from torch.distributions import (
    Categorical,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
)

from lfi.inference.ensemble import nested_r_hat, walk
from lfi.inference.importance import BATCH, MOST, resample, weigh
from lfi.simulation import as_prior

PRIOR = as_prior({"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)})


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(mean, sd):
    """The log ratio to the prior of N(mean, sd^2 I)."""
    target = Independent(Normal(torch.as_tensor(mean), torch.full((2,), sd)), 1)
    return lambda theta: target.log_prob(theta) - PRIOR.log_prob(theta)


def assert_moments(theta, mean, sd, n):
    """Means and variances of n independent Gaussian draws, within five standard errors."""
    assert (theta.mean(0) - torch.as_tensor(mean)).abs().max() < 5 * sd / math.sqrt(n)
    assert (theta.var(0) / sd**2 - 1).abs().max() < 5 * math.sqrt(2 / n)


# Importance resampling.


def test_a_wide_posterior_takes_one_batch_of_candidates():
    candidates = weigh(gaussian([0.5, 0.0], 0.7), PRIOR, 1_000, seed=1)
    assert len(candidates.x) == BATCH
    assert candidates.khat < 0.7
    theta = resample(candidates, 1_000, seed=2)
    assert_moments(theta, [0.5, 0.0], 0.7, 900)


def test_the_effective_sample_size_is_what_theory_says():
    # posterior N(0, s^2 I) from N(0, I): E[w^2] / E[w]^2 = 1 / (s^4 (2 / s^2 - 1)) per two columns
    sd = 0.5
    candidates = weigh(gaussian([0.0, 0.0], sd), PRIOR, 100, seed=1)
    share = sd**4 * (2 / sd**2 - 1)
    # the weights are bounded (by 1 / s^2 = 4), so the estimate's error is some 1 / sqrt(65,536)
    assert candidates.ess / len(candidates.x) == pytest.approx(share, rel=0.03)


def test_candidates_are_added_until_they_suffice_or_there_are_a_million():
    few = weigh(gaussian([0.0, 0.0], 0.1), PRIOR, 1_000, seed=1)
    assert BATCH < len(few.x) < MOST
    assert few.ess > 3_500
    lost = weigh(gaussian([0.0, 0.0], 0.002), PRIOR, 1_000, seed=1)
    assert len(lost.x) == MOST


def test_a_ratio_that_is_nowhere_finite_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        weigh(lambda theta: torch.full((len(theta),), -torch.inf), PRIOR, 10, seed=1)


def test_resampling_repeats_itself():
    candidates = weigh(gaussian([0.0, 0.0], 0.5), PRIOR, 100, seed=1)
    assert torch.equal(resample(candidates, 50, 3), resample(candidates, 50, 3))
    assert not torch.equal(resample(candidates, 50, 3), resample(candidates, 50, 4))


# Ensembles.


def test_an_ensemble_reaches_a_correlated_target_from_duplicated_starts():
    cov = torch.tensor([[1.0, 1.8], [1.8, 4.0]])
    target = MultivariateNormal(torch.tensor([1.0, -2.0]), cov)
    start = target.sample((30,)).repeat(100, 1)  # 3,000 walkers on 30 points
    end = walk(target.log_prob, start, seeded())
    assert len(torch.unique(end.u, dim=0)) > 2_990
    n = 3_000
    assert (end.u.mean(0) - target.mean).abs().div(cov.diagonal().sqrt()).max() < 5 / n**0.5
    # the standard error of an entry of a covariance is sqrt((c_ii c_jj + c_ij^2) / n)
    error = ((torch.outer(cov.diagonal(), cov.diagonal()) + cov**2) / n).sqrt()
    assert ((end.u.T.cov() - cov).abs() < 5 * error).all()
    assert (end.r_hat < 1.005).all()
    assert end.memory < 0.01
    assert 0.1 < end.acceptance < 0.7


def test_walkers_change_modes():
    """Starting nine to one, they end half and half: jumps carry walkers between modes."""
    modes = torch.tensor([[-5.0, 0.0], [5.0, 0.0]])
    target = MixtureSameFamily(
        Categorical(torch.tensor([0.5, 0.5])), Independent(Normal(modes, 0.5 * torch.ones(2, 2)), 1)
    )
    side = torch.where(torch.arange(2_000) % 10 == 0, 1, 0)
    start = modes[side] + 0.5 * torch.randn(2_000, 2)
    end = walk(target.log_prob, start, seeded())
    share = (end.u[:, 0] > 0).double().mean().item()
    assert abs(share - 0.5) < 5 * 0.5 / 2_000**0.5


def test_an_ensemble_repeats_itself():
    target = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    start = torch.randn(50, 2)
    assert torch.equal(
        walk(target.log_prob, start, seeded()).u, walk(target.log_prob, start, seeded()).u
    )


def test_walkers_stay_where_the_density_is_zero_elsewhere():
    def half(u):
        return torch.where((u > 0).all(1), -u.sum(1), -torch.inf)

    end = walk(half, torch.rand(500, 2) + 0.1, seeded())
    assert (end.u > 0).all()
    assert (end.u.mean(0) - 1).abs().max() < 5 / 500**0.5  # two exponentials


@pytest.mark.parametrize(
    "start, message", [(torch.zeros(5, 2), "walkers"), (torch.full((50, 2), -1.0), "not finite")]
)
def test_starts_that_cannot_walk_are_refused(start, message):
    with pytest.raises(ValueError, match=message):
        walk(lambda u: torch.where(u[:, 0] >= 0, 0.0, -torch.inf), start, seeded())


# Diagnostics of chains.


def test_r_hat_is_one_for_walkers_that_forgot_their_start():
    start, end = torch.randn(2, 4_000, 2)
    # B is the variance of 8 means of 500, less its expectation: its standard error is
    # sqrt(2 / 7) / 500 = 0.001, and R-hat - 1 half of that
    assert (nested_r_hat(start, end) - 1).abs().max() < 5 * 0.0005


def test_r_hat_measures_what_the_start_still_explains():
    start, noise = torch.randn(2, 40_000, 1)
    end = 0.6 * start + 0.8 * noise
    # by quadrature of the normal law: an eighth's mean and the variance inside eighths
    edges = Normal(0.0, 1.0).icdf(torch.arange(1, 8) / 8)
    density = (
        Normal(0.0, 1.0)
        .log_prob(torch.cat([edges.new_tensor([-50.0]), edges, edges.new_tensor([50.0])]))
        .exp()
    )
    means = 8 * (density[:-1] - density[1:])
    between = 0.36 * means.var()
    within = 1 - 0.36 * means.square().mean()
    assert nested_r_hat(start, end).item() == pytest.approx(
        (1 + between / within).sqrt().item(), rel=0.01
    )


def test_walkers_that_cannot_leave_their_mode_are_seen():
    start = torch.cat([torch.randn(1_000, 1) - 9, torch.randn(1_000, 1) + 9])
    stuck = torch.cat([torch.randn(1_000, 1) - 9, torch.randn(1_000, 1) + 9])
    assert nested_r_hat(start, stuck).item() > 5
