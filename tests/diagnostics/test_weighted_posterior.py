"""Weighted samples: the truth is one of them, whether known by a ratio or by draws."""

from dataclasses import replace

import pytest
import torch
from support.exact_posterior import (
    PRIOR,
    VARIANCE,
    GaussianDraws,
    GaussianFlow,
    GaussianPosterior,
    held_out,
)
from torch.distributions import Normal

from lfi.diagnostics.weighted_posterior import sample_posteriors, weighted_posteriors

RATIO, DRAWS, FLOW = GaussianPosterior(), GaussianDraws(), GaussianFlow()
KINDS = [(RATIO, None), (DRAWS, 400), (FLOW, 400)]


def represented(posterior, n=10, draws=None, truth=True, samples=8192):
    data = held_out(n, seed=1)
    theta = data.theta if truth else None
    parts = weighted_posteriors(
        posterior, theta, data.x, importance_samples=samples, draws=draws, seed=2
    )
    return data, list(parts)


@pytest.mark.parametrize("posterior, draws", KINDS, ids=["ratio", "draws", "flow"])
@pytest.mark.parametrize("truth", [True, False])
def test_weighted_samples_have_the_moments_of_the_posterior(posterior, draws, truth):
    data, parts = represented(posterior, draws=draws, truth=truth)
    theta, weights = (torch.cat([getattr(p, n) for p in parts]) for n in ("theta", "weights"))
    ess = torch.cat([part.ess for part in parts])
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(10))
    mean = (weights[..., None] * theta).sum(dim=1)
    # of e effective draws; the truth itself weighs about 1/e
    error = 6 * (VARIANCE / ess).sqrt()[:, None]
    assert ((mean - 0.8 * data.x).abs() < error).all()
    variance = (weights[..., None] * (theta - mean[:, None]).square()).sum(dim=1)
    assert ((variance - VARIANCE).abs() < 6 * VARIANCE * (2 / ess).sqrt()[:, None]).all()


def test_the_truth_stands_in_front_and_shared_samples_are_transformed_once():
    data, (first, *_) = represented(RATIO, n=3)
    calls = []

    def doubled(theta):
        calls.append(theta.shape)
        return 2 * theta

    torch.testing.assert_close(first.map(doubled)[:, 0], 2 * data.theta.double())
    assert calls == [(8192, 2), (3, 2)]
    assert first.theta.shape == (3, 8193, 2)


def test_draws_come_in_one_call_where_the_posterior_takes_many_observations():
    calls = []

    class Counting(GaussianDraws):
        def sample(self, n, x_obs, *, seed=None):
            calls.append(tuple(x_obs.shape))
            return super().sample(n, x_obs, seed=seed)

    x = held_out(5, seed=1).x
    assert sample_posteriors(Counting(), 7, x, seed=1).shape == (5, 7, 2)
    assert calls == [(5, 2)]
    calls.clear()
    assert sample_posteriors(Counting(batched=False), 7, x, seed=1).shape == (5, 7, 2)
    assert calls == [(5, 2)] + 5 * [(2,)]


def test_a_mistake_of_the_posterior_itself_is_raised():
    class Broken(GaussianDraws):
        def sample(self, n, x_obs, *, seed=None):
            raise RuntimeError("the network is gone")

    with pytest.raises(RuntimeError, match="the network is gone"):
        sample_posteriors(Broken(), 7, held_out(5, seed=1).x, seed=1)

    class Flat(GaussianDraws):
        def sample(self, n, x_obs, *, seed=None):
            return torch.zeros(n)

    with pytest.raises(ValueError, match=r"returned \(7,\), expected \(7, 2\)"):
        sample_posteriors(Flat(), 7, held_out(5, seed=1).x, seed=1)


def test_what_gives_neither_ratio_nor_draws_is_refused():
    class Nothing:
        prior = PRIOR

    with pytest.raises(TypeError, match=r"needs a `prior` and `sample.*got Nothing"):
        represented(Nothing())


def test_draws_that_repeat_each_other_are_worth_the_different_ones():
    class Duplicated(GaussianDraws):
        def sample(self, n, x_obs, *, seed=None):
            return super().sample(n // 4, x_obs, seed=seed).repeat_interleave(4, dim=-2)

    _, (part,) = represented(Duplicated(), draws=400, truth=False)
    torch.testing.assert_close(part.ess, torch.full((10,), 100.0))
    _, (part,) = represented(DRAWS, draws=400, truth=False)
    torch.testing.assert_close(part.ess, torch.full((10,), 400.0))


def test_without_a_density_samples_are_ordered_as_by_density():
    # Spearman's correlation; neighbour distances in 2-D are noisy: 400 draws, 20th neighbour
    _, (plain,) = represented(DRAWS, draws=400)
    _, (dense,) = represented(FLOW, draws=400)
    ranks = [part.log_density.argsort(1).argsort(1).double() for part in (plain, dense)]
    for a, b in zip(*ranks, strict=True):
        assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.85


def test_log_densities_are_those_of_the_posterior_up_to_a_constant_of_x():
    for posterior, draws in ((RATIO, None), (FLOW, 50)):
        data, parts = represented(posterior, draws=draws, n=4, samples=64)
        theta, density = (
            torch.cat([getattr(p, n) for p in parts]) for n in ("theta", "log_density")
        )
        exact = Normal(0.8 * data.x[:, None], VARIANCE**0.5).log_prob(theta).sum(-1)
        difference = density - exact
        # samples from the prior are in its float32: of terms up to 100, 1e-5 is lost
        spread = difference - difference[:, :1]
        torch.testing.assert_close(spread, torch.zeros_like(spread), atol=1e-4, rtol=0)


def test_resampled_draws_follow_the_weights():
    _, (part, *_) = represented(replace(RATIO, scale=0.5), n=3)
    drawn = part.resample(2000, torch.Generator().manual_seed(1))
    mean = (part.weights[..., None] * part.theta).sum(dim=1)
    error = 5 * (VARIANCE / 4 / 2000) ** 0.5  # a standard error of 2,000 draws, five times
    assert ((drawn.mean(dim=1) - mean).abs() < error).all()
