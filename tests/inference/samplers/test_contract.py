"""What all samplers have in common, against posteriors that are known."""

import math
import time
from dataclasses import replace

import pytest
import torch
from support.known_targets import conjugate, edge, two_modes
from torch.distributions import Normal

import lfi
from lfi.inference import Sampler
from lfi.inference.samplers.maximum import modes
from lfi.simulation import as_prior

N = 1_000
ONE = torch.ones((), dtype=torch.float64)
BRIEF = lfi.samplers.HMC(chains=128, warmup=40, min_steps=10, max_leapfrog_steps=5)
FLOW = lfi.samplers.Variational(steps=60, batch=128, transforms=1, width=16)
SAMPLERS = [
    lfi.samplers.Automatic(),
    lfi.samplers.Importance(),
    lfi.samplers.DifferentialEvolution(),
    BRIEF,
    lfi.samplers.SMC(),
    FLOW,
]
each = pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda s: type(s).__name__)
MULTIMODAL = [
    lfi.samplers.Automatic(),
    lfi.samplers.Importance(),
    lfi.samplers.DifferentialEvolution(),
    lfi.samplers.SMC(),
]


def assert_moments(draws, mean, covariance, n):
    """Mean and covariance within five standard errors of n Gaussian draws."""
    theta, sd = draws.theta, covariance.diagonal().sqrt()
    assert ((theta.mean(0) - mean).abs() / sd).max() < 5 / math.sqrt(n)
    error = ((torch.outer(sd**2, sd**2) + covariance**2) / n).sqrt()
    assert ((theta.T.cov() - covariance).abs() / error).max() < 5


@each
def test_draws_have_the_posteriors_mean_and_covariance(sampler):
    known = conjugate(3)
    drawn = sampler(known.target, N, seed=1)
    assert len(drawn) == 3
    for j, draws in enumerate(drawn):
        assert draws.ess > N / 4
        assert_moments(draws, known.mean[j], known.covariance[j], draws.ess)


@each
def test_draws_keep_to_the_support_where_the_posterior_leans_on_its_edge(sampler):
    known = edge()
    (draws,) = sampler(known.target, N, seed=1)
    assert known.target.prior.contains(draws.theta).all()
    sd = known.covariance[0].diagonal().sqrt()
    # exponentials: a mean errs by sd / sqrt(n), a standard deviation by sd sqrt(2 / n)
    assert ((draws.theta.mean(0) - known.mean[0]).abs() / sd).max() < 5 / math.sqrt(draws.ess)
    assert (draws.theta.std(0) / sd - 1).abs().max() < 5 * math.sqrt(2 / draws.ess)


@pytest.mark.parametrize("sampler", MULTIMODAL, ids=lambda s: type(s).__name__)
def test_every_mode_gets_its_share(sampler):
    (draws,) = sampler(two_modes(0.3), N, seed=1)
    right = draws.theta.sum(1) > 0
    # a share's standard error is sqrt(0.3 0.7 / n)
    assert abs(right.double().mean() - 0.3) < 5 * math.sqrt(0.21 / draws.ess)
    for side, place in ((right, 0.5), (~right, -0.5)):
        mode = draws.theta[side]
        n = draws.ess * len(mode) / N
        assert ((mode.mean(0) - place).abs() / 0.03).max() < 5 / math.sqrt(n)
        assert (mode.std(0) / 0.03 - 1).abs().max() < 5 / math.sqrt(2 * n)


@each
def test_equal_seeds_give_equal_draws_and_the_global_state_is_left_alone(sampler):
    target, state = conjugate().target, torch.get_rng_state()
    first, again, other = (sampler(target, 100, seed=seed)[0] for seed in (3, 3, 4))
    assert torch.equal(first.theta, again.theta)
    assert not torch.equal(first.theta, other.theta)
    assert torch.equal(torch.get_rng_state(), state)
    unseeded = sampler(target, 100)[0]
    assert torch.equal(unseeded.theta, sampler(target, 100, seed=unseeded.seed)[0].theta)


@pytest.mark.parametrize(
    ("sampler", "unit"),
    [(BRIEF, 1e-9), (BRIEF, 1e9), (lfi.samplers.Importance(), 1e-9)],
    ids=["chains, small", "chains, large", "importance, small"],
)
def test_units_of_parameters_make_no_difference(sampler, unit):
    known = conjugate()
    (draws,) = sampler(in_units(known.target, unit), N, seed=1)
    assert draws.ess > N / 4
    scaled = replace(draws, theta=draws.theta / unit)
    assert_moments(scaled, known.mean[0], known.covariance[0], draws.ess)


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_modes_do_not_depend_on_units(unit):
    known = conjugate()
    best = modes(in_units(known.target, unit), starts=2, seed=1)[0] / unit
    assert ((best - known.mean[0]) / known.covariance[0].diagonal().sqrt()).abs().max() < 0.01


def in_units(target, unit):
    """The same posterior of parameters of other units."""
    prior = as_prior({name: Normal(0.0 * ONE, unit * ONE) for name in "ab"})
    pair = lambda theta, x: target.pair(theta / unit, x)
    return replace(target, prior=prior, pair=pair)


@each
def test_draws_come_shuffled(sampler):
    (draws,) = sampler(conjugate().target, N, seed=1)
    centred = draws.theta - draws.theta.mean(0)
    serial = (centred[1:] * centred[:-1]).mean(0) / centred.var(0)
    assert serial.abs().max() < 5 / math.sqrt(draws.ess)


@each
def test_the_diagnostics_are_complete(sampler):
    (draws,) = sampler(conjugate().target, 500, seed=1)
    assert draws.theta.shape == (500, 2)
    assert draws.theta.dtype == torch.float64
    assert draws.names == ("a", "b")
    assert 0 < draws.ess <= 500
    assert draws.unique == len(torch.unique(draws.theta, dim=0))
    assert draws.khat is not None or draws.r_hat is not None or draws.log_evidence is not None
    assert draws.seconds > 0
    assert draws.seed == 1
    assert not draws.timed_out


@each
def test_a_time_limit_holds_and_says_so(sampler):
    """Counted in calls of 20 ms or more, of which the limit has room for ten."""
    target, calls = conjugate().target, []

    def slow(theta, x):
        calls.append(time.sleep(0.02))
        return target.pair(theta, x)

    sampler = replace(sampler, time_limit=0.2)
    try:
        (draws,) = sampler(replace(target, pair=slow), 20_000, seed=1)
    except TimeoutError as error:
        assert "time_limit" in str(error)  # noqa: PT017
    else:
        assert draws.timed_out
    # what is begun is ended: a stage of samples, one density of 20,000 chains
    assert len(calls) < 60


@each
def test_one_draw_is_enough_and_none_is_not(sampler):
    assert sampler(conjugate().target, 1, seed=1)[0].theta.shape == (1, 2)
    with pytest.raises(ValueError, match="n must be positive, got 0"):
        sampler(conjugate().target, 0, seed=1)


@each
def test_samplers_satisfy_the_protocol(sampler):
    assert isinstance(sampler, Sampler)
    with pytest.raises(AttributeError):
        sampler.time_limit = 1.0


@each
def test_weights_that_are_no_numbers_are_refused(sampler):
    target = conjugate().target
    broken = replace(target, pair=lambda theta, x: target.pair(theta, x) * torch.nan)
    with pytest.raises(ValueError, match="observation 0 is NaN"):
        sampler(broken, 10, seed=1)


@pytest.mark.parametrize(
    ("sampler", "changes", "error", "message"),
    [
        (lfi.samplers.Importance, {"max_samples": 0}, ValueError, "max_samples must be at least 1"),
        (lfi.samplers.Importance, {"target_ess": -1.0}, ValueError, "target_ess must be positive"),
        (lfi.samplers.DifferentialEvolution, {"min_steps": 500}, ValueError, "at most 400"),
        (lfi.samplers.HMC, {"target_acceptance": 1.0}, ValueError, "lie between 0 and 1"),
        (lfi.samplers.NUTS, {"trajectory": 0.0}, ValueError, "trajectory must be positive"),
        (lfi.samplers.SMC, {"min_ess": "half"}, TypeError, "min_ess"),
        (lfi.samplers.Variational, {"width": 2.5}, TypeError, "width"),
        (lfi.samplers.Automatic, {"chains": lfi.samplers.HMC}, TypeError, "chains"),
        (lfi.samplers.Automatic, {"time_limit": 0}, ValueError, "time_limit must be positive"),
    ],
)
def test_settings_are_checked_when_they_are_made(sampler, changes, error, message):
    with pytest.raises(error, match=message):
        sampler(**changes)
