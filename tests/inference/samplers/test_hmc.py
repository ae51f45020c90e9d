"""Batched HMC: dynamics that keep their energy, chains that learn their step."""

import math
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate, smooth

import lfi
from lfi.inference import Target
from lfi.inference.samplers.hmc import HMCState
from lfi.simulation import as_prior


def gaussian(scales):
    """A target that is Gaussian with very different scales, and wide starts."""
    zero, one = torch.zeros(()), torch.ones(())
    names = [f"t{i}" for i in range(len(scales))]
    prior = as_prior({name: torch.distributions.Normal(zero, one) for name in names})
    precision = 1 / scales**2 - 1
    return Target(
        prior, (torch.zeros(1, 1),), lambda theta, x: -(precision * theta.square()).sum(-1) / 2
    )


def test_small_steps_are_nearly_always_accepted():
    """The energy errs by the square of the step."""
    target = gaussian(torch.tensor([0.5, 0.7]))
    u = torch.randn(1, 400, 2) * torch.tensor([0.5, 0.7])
    for step, min_acceptance in ((0.1, 0.995), (0.01, 0.99995)):
        state = replace(HMCState.start(target, u), log_step=torch.full((1,), math.log(step)))
        moved = state.transition(target, 8, torch.Generator().manual_seed(0))
        assert moved.last.item() > min_acceptance


def test_chains_adapt_the_scales_and_the_step():
    scales = torch.tensor([1e-3, 0.1, 0.9])
    (draws,) = lfi.samplers.HMC(chains=128, warmup=60, min_steps=10)(
        gaussian(scales), 1_000, seed=1
    )
    assert draws.acceptance == pytest.approx(0.8, abs=0.15)
    assert (draws.theta.std(0) / scales - 1).abs().max() < 5 / math.sqrt(2 * draws.ess)
    assert (draws.theta.mean(0) / scales).abs().max() < 5 / math.sqrt(draws.ess)


@pytest.mark.parametrize("sampler", [lfi.samplers.HMC(), lfi.samplers.Automatic()], ids=repr)
def test_a_hundred_correlated_parameters_are_sampled_by_default(sampler):
    """Standard deviations along the posterior's axes differ by more than twentyfold."""
    known = smooth(100)
    (draws,) = sampler(known.target, 2_000, seed=1)
    assert draws.sampler == "hmc" and draws.r_hat.max() < 1.05
    assert draws.ess > 1_000
    root = torch.linalg.cholesky(known.covariance[0])
    apart = (draws.theta - known.mean[0]).T
    white = torch.linalg.solve_triangular(root, apart, upper=False)
    # 5 standard errors of the largest of 100 means and variances
    assert white.mean(1).abs().max() < 5 / math.sqrt(draws.ess)
    assert (white.var(1) - 1).abs().max() < 5 * math.sqrt(2 / draws.ess)


def test_a_target_without_gradient_is_refused():
    target = conjugate().target
    rounded = replace(target, pair=lambda theta, x: target.pair(theta.detach(), x))
    with pytest.raises(ValueError, match="not differentiable"):
        lfi.samplers.HMC()(rounded, 100, seed=1)


def test_the_time_limit_says_that_the_warmup_is_not_over():
    with pytest.raises(TimeoutError, match="time_limit: 1e-09 seconds passed after 0 of 50"):
        lfi.samplers.HMC(time_limit=1e-9)(conjugate().target, 100, seed=1)
