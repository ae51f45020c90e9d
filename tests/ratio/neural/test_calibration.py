"""Calibration maps, from values whose meaning is known."""

import json
import math

import pytest
import torch
from hypothesis import given, strategies as st
from torch.distributions import Normal

import lfi
from lfi.ratio import Affine, Beta, Calibration, Isotonic
from lfi.ratio.neural.calibration import (
    Calibrated,
    PiecewiseLinear,
    SigmoidCurve,
    restore_calibrated,
)

METHODS = [Affine(), Beta(), Isotonic()]
N = 20_000


def exact_values(n=N, shift=1.0):
    """Values of the exact log ratio of N(shift, 1) to N(0, 1), at samples of both."""
    return tuple(shift * (x + torch.randn(n)) - shift**2 / 2 for x in (shift, 0.0))


def log_loss(h_p, h_q):
    return float(lfi.losses.Bernoulli()(h_p, h_q))


def log_loss_error(h_p, h_q):
    """The standard error of the log-loss of exact values, from its scatter."""
    terms = lfi.losses.Bernoulli().slope(h_p).var() / len(h_p)
    return math.sqrt(terms + lfi.losses.Bernoulli().conjugate(h_q).var() / len(h_q))


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_pieces_are_what_the_protocols_ask_for(method):
    assert isinstance(method, Calibration)
    assert isinstance(method.fit(*exact_values(100)), Calibrated)


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("too_sure", [3.0, 0.4])
def test_a_critic_that_is_too_sure_or_too_shy_is_mended(method, too_sure):
    h_p, h_q = exact_values()
    calibrated = method.fit(too_sure * h_p, too_sure * h_q)
    new_p, new_q = exact_values()
    mended = calibrated(too_sure * new_p), calibrated(too_sure * new_q)
    before = log_loss(too_sure * new_p, too_sure * new_q) - log_loss(new_p, new_q)
    after = log_loss(*mended) - log_loss(new_p, new_q)
    assert after < 0.05 * before
    # and value by value: the error was |too_sure - 1| times the root mean square of h
    error = torch.cat(mended).sub(torch.cat([new_p, new_q])).square().mean().sqrt()
    rms = torch.cat([new_p, new_q]).square().mean().sqrt()
    assert error < 0.25 * abs(too_sure - 1) * rms


def test_a_line_finds_the_factor_and_the_offset():
    h_p, h_q = exact_values()
    curve = Affine().fit(2 * h_p + 1, 2 * h_q + 1)
    # the slope's standard error on h is 1/sqrt(n E[...]) ~ 0.015 here, halved on 2 h
    assert curve.a == curve.b == pytest.approx(0.5, abs=0.04)
    assert curve.c == pytest.approx(-0.5, abs=0.1)


def test_a_beta_curve_finds_two_factors():
    h_p, h_q = exact_values()

    def bend(h):  # what this undoes is the curve of slope 2 below and 1/2 above
        return torch.where(h < 0, h / 2, 2 * h)

    straight = Affine().fit(bend(h_p), bend(h_q))
    curve = Beta().fit(bend(h_p), bend(h_q))
    new_p, new_q = exact_values()
    losses = [log_loss(c(bend(new_p)), c(bend(new_q))) for c in (straight, curve)]
    assert losses[1] < losses[0] - 0.003
    assert curve.a > 1.5 > 0.7 > curve.b


def test_unequal_samples_shift_nothing():
    h_p, h_q = exact_values()
    for method in METHODS:
        calibrated = method.fit(h_p[: N // 10], h_q)
        # at h = 0 the log ratio is 0; a prior of 1 to 10 would make it -2.3. Isotonic pools around
        # 0 hold some 5% of the samples, 100 of p, whose logarithm errs by 0.1 to 0.2
        assert abs(float(calibrated(torch.zeros(1)))) < 0.6


def test_pools_are_those_of_shares():
    # sorted: q p | q q p -> the share of p (each a third or a quarter) rises from pool to pool
    h_p, h_q = torch.tensor([1.0, 4.0, 6.0]), torch.tensor([0.0, 2.0, 3.0, 5.0])
    stairs = Isotonic().fit(h_p, h_q)
    # pure ends {0: q} and {6: p} are joined with their neighbours {1, 2, 3} and {4, 5}
    assert stairs.value == pytest.approx((math.log((1 / 3) / (3 / 4)), math.log((2 / 3) / (1 / 4))))
    first, second = (0 + 2 + 3) / 4 + 1 / 3, (4 + 6) / 3 + 5 / 4
    assert stairs.h == pytest.approx((first / (1 / 3 + 3 / 4), second / (2 / 3 + 1 / 4)))


def test_stairs_are_straight_between_points_and_of_slope_one_beyond():
    stairs = PiecewiseLinear((0.0, 2.0), (-1.0, 3.0))
    h = torch.tensor([-5.0, 0.0, 0.5, 2.0, 4.0])
    assert stairs(h).tolist() == [-6.0, -1.0, 0.0, 3.0, 5.0]
    assert PiecewiseLinear((1.0,), (0.5,))(h).tolist() == [-5.5, -0.5, 0.0, 1.5, 3.5]


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 40), st.floats(0, 8))
def test_isotonic_maps_rise_and_stay_finite(seed, n, m, apart):
    rng = torch.Generator().manual_seed(seed)
    h_p = apart + torch.randn(n, generator=rng).round(decimals=1)  # with ties
    h_q = torch.randn(m, generator=rng).round(decimals=1)
    stairs = Isotonic().fit(h_p, h_q)
    grid = torch.linspace(-10, 20, 301)
    assert stairs(grid).isfinite().all()
    assert (stairs(grid).diff() > -1e-9).all()


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_samples_told_apart_without_a_mistake_give_finite_values(method):
    calibrated = method.fit(5 + torch.rand(100), -5 - torch.rand(100))
    values = calibrated(torch.tensor([-6.0, 0.0, 6.0]))
    assert values.isfinite().all()
    assert values[2] > values[0]


def test_a_critic_that_ranks_backwards_is_worth_nothing():
    h_p, h_q = exact_values()
    for method in (Affine(), Beta()):
        curve = method.fit(-h_p, -h_q)
        assert (curve.a, curve.b) == (0, 0)
        assert abs(curve.c) < 0.05


@pytest.mark.parametrize(
    "calibrated", [SigmoidCurve(0.5, 2.0, 0.1), PiecewiseLinear((0.0, 1.5), (-1.0, 3.0))]
)
def test_maps_survive_json(calibrated):
    assert restore_calibrated(json.loads(json.dumps(calibrated._spec()))) == calibrated


def test_a_curve_does_not_overflow():
    values = SigmoidCurve(1.0, 1.0, 0.0)(torch.tensor([-1e4, 1e4]))
    assert values.tolist() == [-1e4, 1e4]


def test_an_exact_critic_is_left_alone():
    h_p, h_q = exact_values()
    new_p, new_q = exact_values()
    for method in METHODS:
        calibrated = method.fit(h_p, h_q)
        loss = log_loss(calibrated(new_p), calibrated(new_q))
        assert loss - log_loss(new_p, new_q) < log_loss_error(new_p, new_q)


def test_calibrating_uses_quantiles_of_both_samples():
    # exact maps on samples without noise: the curve is the identity to the Platt targets' 1/(n + 2)
    u = (torch.arange(4000) + 0.5) / 4000
    h_p, h_q = (Normal(m, 1.0).icdf(u) - 0.5 for m in (1.0, 0.0))
    curve = Beta().fit(h_p, h_q)
    assert (curve.a, curve.b, curve.c) == pytest.approx((1, 1, 0), abs=0.02)
