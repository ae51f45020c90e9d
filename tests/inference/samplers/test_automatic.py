"""The choice of a sampler, observation by observation."""

import math
from dataclasses import dataclass, replace

import torch
from support.known_targets import conjugate, smooth

import lfi
from lfi.inference import Importance
from lfi.inference.samplers.automatic import ContinuesFromSamples

SCARCE = Importance(max_samples=2**12)  # too few samples for the draws asked for


def test_chains_continue_where_the_effective_sample_size_is_too_small():
    known = conjugate(1, sd=0.02)
    (draws,) = lfi.samplers.Automatic(importance=SCARCE)(known.target, 3_000, seed=1)
    assert draws.sampler == "differential evolution"
    assert draws.proposals == 2**12
    assert draws.unique > 2_950
    sd = known.covariance[0].diagonal().sqrt()
    assert ((draws.theta.mean(0) - known.mean[0]).abs() / sd).max() < 5 / math.sqrt(draws.ess)
    assert (draws.theta.std(0) / sd - 1).abs().max() < 5 / math.sqrt(2 * draws.ess)


def test_each_observation_goes_its_own_way():
    """Weights of a wide posterior suffice, those of one a thousand times narrower do not."""
    wide, narrow = conjugate(1, sd=1.0).target, conjugate(1, sd=0.001).target
    target = replace(
        wide,
        x=(torch.cat([*wide.x, *narrow.x, *wide.x]),),
        pair=lambda theta, x: (
            torch.where(
                torch.arange(len(x))[:, None] % 2 == 1, narrow.pair(theta, x), wide.pair(theta, x)
            )
            if len(x) == 3
            else narrow.pair(theta, x)
        ),
    )
    drawn = lfi.samplers.Automatic(importance=SCARCE)(target, 500, seed=1)
    assert [draws.sampler for draws in drawn] == [
        "importance",
        "differential evolution",
        "importance",
    ]


def test_other_chains_take_over_if_they_are_asked_to():
    brief = lfi.samplers.HMC(chains=64, warmup=10, min_steps=5, max_steps=10, max_leapfrog_steps=3)
    (draws,) = lfi.samplers.Automatic(importance=SCARCE, chains=brief)(
        conjugate(1, sd=0.02).target, 1_500, seed=1
    )
    assert draws.sampler == "hmc"
    assert isinstance(brief, ContinuesFromSamples)


def test_many_parameters_without_a_gradient_go_on_by_differential_evolution():
    target = smooth(51).target
    rounded = replace(target, pair=lambda theta, x: target.pair(theta.detach(), x))
    (draws,) = lfi.samplers.Automatic()(rounded, 100, seed=1)
    assert target.differentiable and not rounded.differentiable
    assert draws.sampler == "differential evolution"
    assert draws.proposals == 2**12  # of the prior alone


def test_samples_are_returned_and_marked_where_the_chains_ran_out_of_time():
    late = lfi.samplers.Automatic(importance=SCARCE, chains=lfi.samplers.HMC(), time_limit=1e-9)
    (draws,) = late(conjugate(1, sd=0.02).target, 3_000, seed=1)
    assert draws.timed_out
    assert draws.sampler == "importance"


def test_chains_get_the_time_that_weighing_has_left():
    @dataclass(frozen=True)
    class Asks:
        """Chains that only look at the time."""

        def continue_from(self, target, found, n, *, seed, limit):
            assert 0 < limit.seconds - limit.elapsed < 100
            raise TimeoutError("time_limit")

    (draws,) = lfi.samplers.Automatic(importance=SCARCE, chains=Asks(), time_limit=100)(
        conjugate(1, sd=0.02).target, 3_000, seed=1
    )
    assert draws.timed_out


def test_many_draws_are_importance_samples_too():
    """The bound of samples grows with the draws, and some of very many may repeat each other."""
    known = conjugate(1)
    (draws,) = lfi.samplers.Automatic()(known.target, 150_000, seed=1)
    assert draws.sampler == "importance"
    sd = known.covariance[0].diagonal().sqrt()
    assert ((draws.theta.mean(0) - known.mean[0]).abs() / sd).max() < 5 / 150_000**0.5
