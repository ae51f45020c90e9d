"""Differential evolution against targets that are known."""

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

from lfi.inference.samplers.differential_evolution import run_chains
from lfi.inference.samplers.time_limit import TimeLimit


def run_one(log_prob, start, **settings):
    """Walk for one observation."""
    rng = torch.Generator().manual_seed(0)
    return run_chains(lambda u, rows: log_prob(u), start[None], rng, **settings)


def test_chains_reach_a_correlated_target_from_duplicated_starts():
    cov = torch.tensor([[1.0, 1.8], [1.8, 4.0]])
    target = MultivariateNormal(torch.tensor([1.0, -2.0]), cov)
    start = target.sample((30,)).repeat(100, 1)  # 3,000 chains on 30 points
    end = run_one(target.log_prob, start)
    assert len(torch.unique(end.u[0], dim=0)) > 2_990
    n = 3_000
    assert (end.u[0].mean(0) - target.mean).abs().div(cov.diagonal().sqrt()).max() < 5 / n**0.5
    # the standard error of an entry of a covariance is sqrt((c_ii c_jj + c_ij^2) / n)
    error = ((torch.outer(cov.diagonal(), cov.diagonal()) + cov**2) / n).sqrt()
    assert ((end.u[0].T.cov() - cov).abs() < 5 * error).all()
    assert (end.r_hat < 1.005).all()
    assert end.explained < 0.01
    assert 0.1 < end.acceptance < 0.7


def test_chains_change_modes():
    """Starting nine to one, they end half and half: jumps carry chains between modes."""
    modes = torch.tensor([[-5.0, 0.0], [5.0, 0.0]])
    target = MixtureSameFamily(
        Categorical(torch.tensor([0.5, 0.5])), Independent(Normal(modes, 0.5 * torch.ones(2, 2)), 1)
    )
    side = torch.where(torch.arange(2_000) % 10 == 0, 1, 0)
    start = modes[side] + 0.5 * torch.randn(2_000, 2)
    end = run_one(target.log_prob, start)
    share = (end.u[0, :, 0] > 0).double().mean().item()
    assert abs(share - 0.5) < 5 * 0.5 / 2_000**0.5


def test_equal_seeds_give_equal_chains():
    target = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    start = torch.randn(50, 2)
    assert torch.equal(run_one(target.log_prob, start).u, run_one(target.log_prob, start).u)


def test_chains_stay_where_the_density_is_zero_elsewhere():
    def half(u):
        return torch.where((u > 0).all(-1), -u.sum(-1), -torch.inf)

    end = run_one(half, torch.rand(500, 2) + 0.1)
    assert (end.u[0] > 0).all()
    assert (end.u[0].mean(0) - 1).abs().max() < 5 / 500**0.5  # two exponentials


@pytest.mark.parametrize(
    "start, message", [(torch.zeros(5, 2), "chains"), (torch.full((50, 2), -1.0), "not finite")]
)
def test_starts_that_cannot_move_are_refused(start, message):
    with pytest.raises(ValueError, match=message):
        run_one(lambda u: torch.where(u[..., 0] >= 0, 0.0, -torch.inf), start)


def test_each_observations_chains_stop_when_they_have_converged():
    """One starts where it belongs, the other three standard deviations away and apart."""
    places = torch.tensor([0.0, 3.0])

    def density(u, rows):
        return Independent(Normal(places[rows][:, None, None], torch.ones(1)), 1).log_prob(u)

    start = torch.randn(2, 2_000, 1) * torch.tensor([1.0, 5.0])[:, None, None]
    end = run_chains(density, start, torch.Generator().manual_seed(0))
    assert (end.r_hat < 1.005).all()
    assert (end.u.mean((1, 2)) - places).abs().max() < 5 / math.sqrt(2_000)
    assert (end.steps >= 40).all()
    assert not end.timed_out.any()


def test_chains_stay_where_they_are_once_time_is_over():
    start = torch.randn(500, 2)
    target = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    end = run_one(target.log_prob, start, limit=TimeLimit.start(1e-9))
    assert torch.equal(end.u[0], start)
    assert end.timed_out.all()


def test_slow_chains_take_all_the_steps_they_may():
    """Noise alone moves chains that all stand in the same place: 1e-4 of no spread at all."""
    target = Independent(Normal(torch.zeros(1), torch.ones(1)), 1)
    start = torch.cat([torch.zeros(100, 1) - 9, torch.zeros(100, 1) + 9])
    end = run_one(target.log_prob, start, min_steps=5, max_steps=10)
    assert end.steps.tolist() == [10]
