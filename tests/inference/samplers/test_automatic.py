"""The choice of a sampler, observation by observation."""

import math
from dataclasses import dataclass, replace

import torch
from support.known_targets import conjugate

import lfi
from lfi.inference import Importance
from lfi.inference.samplers.automatic import Chains

SCARCE = Importance(most=2**12)  # candidates that cannot be worth the draws asked for


def test_chains_go_on_where_candidates_are_worth_too_little():
    known = conjugate(1, sd=0.02)
    (draws,) = lfi.samplers.Automatic(importance=SCARCE)(known.target, 3_000, seed=1)
    assert draws.sampler == "ensemble"
    assert draws.candidates == 2**12
    assert draws.unique > 2_950
    sd = known.covariance[0].diagonal().sqrt()
    assert ((draws.theta.mean(0) - known.mean[0]).abs() / sd).max() < 5 / math.sqrt(draws.ess)
    assert (draws.theta.std(0) / sd - 1).abs().max() < 5 / math.sqrt(2 * draws.ess)


def test_each_observation_goes_its_own_way():
    """Weights of a wide posterior suffice, those of one a thousand times narrower do not."""
    wide, narrow = conjugate(1, sd=1.0).target, conjugate(1, sd=0.001).target
    target = replace(
        wide,
        x=torch.cat([wide.x, narrow.x, wide.x]),
        pair=lambda theta, x: (
            torch.where(
                torch.arange(len(x))[:, None] % 2 == 1, narrow.pair(theta, x), wide.pair(theta, x)
            )
            if len(x) == 3
            else narrow.pair(theta, x)
        ),
    )
    drawn = lfi.samplers.Automatic(importance=SCARCE)(target, 500, seed=1)
    assert [draws.sampler for draws in drawn] == ["importance", "ensemble", "importance"]


def test_other_chains_take_over_if_they_are_asked_to():
    brief = lfi.samplers.HMC(chains=64, warmup=10, moves=5, most=10, leapfrogs=3)
    (draws,) = lfi.samplers.Automatic(importance=SCARCE, chains=brief)(
        conjugate(1, sd=0.02).target, 1_500, seed=1
    )
    assert draws.sampler == "hmc"
    assert isinstance(brief, Chains)


def test_candidates_are_returned_and_marked_where_the_chains_ran_out_of_time():
    late = lfi.samplers.Automatic(importance=SCARCE, chains=lfi.samplers.HMC(), time_limit=1e-9)
    (draws,) = late(conjugate(1, sd=0.02).target, 3_000, seed=1)
    assert draws.timed_out
    assert draws.sampler == "importance"


def test_chains_get_the_time_that_weighing_has_left():
    @dataclass(frozen=True)
    class Asks:
        """Chains that only look at the clock."""

        def go_on(self, target, found, n, *, seed, clock):
            assert 0 < clock.left < 100
            raise TimeoutError("time_limit")

    (draws,) = lfi.samplers.Automatic(importance=SCARCE, chains=Asks(), time_limit=100)(
        conjugate(1, sd=0.02).target, 3_000, seed=1
    )
    assert draws.timed_out
