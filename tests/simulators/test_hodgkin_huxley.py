"""A neuron: its potential against SciPy's integration, its noise exactly, and its summaries."""

import math

import numpy as np
import pytest
import scipy.integrate
import torch

from simulators import hodgkin_huxley as neuron

QUIET = (50.0, 5.0, 0.07, 0.1, 600.0, -60.0, 0.0, -70.0)  # theta_true, without noise
SLOW = (20.0, 3.0, 0.3, 0.05, 200.0, -65.0, 0.0, -80.0)


def slopes(theta):
    """The differential equations as Pospischil et al. print them, with Python's numbers."""
    g_na, g_k, g_m, g_leak, tau_max, v_t, _, e_leak = theta

    def gates(v):
        u = v - v_t
        a_m = -0.32 * (u - 13) / (math.exp(-(u - 13) / 4) - 1)
        b_m = 0.28 * (u - 40) / (math.exp((u - 40) / 5) - 1)
        a_h = 0.128 * math.exp(-(u - 17) / 18)
        b_h = 4 / (1 + math.exp(-(u - 40) / 5))
        a_n = -0.032 * (u - 15) / (math.exp(-(u - 15) / 5) - 1)
        b_n = 0.5 * math.exp(-(u - 10) / 40)
        p = 1 / (1 + math.exp(-(v + 35) / 10))
        tau_p = tau_max / (3.3 * math.exp((v + 35) / 20) + math.exp(-(v + 35) / 20))
        return (a_m, b_m), (a_h, b_h), (a_n, b_n), (p / tau_p, (1 - p) / tau_p)

    def slope(t, state):
        v, m, h, n, p = state
        ions = (
            g_na * m**3 * h * (v - 53) + (g_k * n**4 + g_m * p) * (v + 107) + g_leak * (v - e_leak)
        )
        current = 5e-4 / (math.pi * 7e-3**2) if 10 <= t < 110 else 0.0
        moves = [a * (1 - y) - b * y for (a, b), y in zip(gates(v), state[1:], strict=True)]
        return [current - ions, *moves]

    return slope, [a / (a + b) for a, b in gates(-70.0)]


def precise(theta, times):
    """The potential at times by SciPy, at a tolerance of 1e-9, between the jumps of the current."""
    slope, gates = slopes(theta)
    state, parts = np.array([-70.0, *gates]), []
    for start, stop in ((0, 10), (10, 110), (110, 120)):
        inside = times[(times > start) & (times <= stop)]
        run = scipy.integrate.solve_ivp(
            slope, (start, stop), state, method="LSODA", rtol=1e-9, atol=1e-9, dense_output=True
        )
        parts.append(run.sol(inside)[0])
        state = run.y[:, -1]
    return np.concatenate(parts)


def potential(theta, dt=neuron.step):
    return neuron.voltage(torch.tensor([theta]), torch.Generator().manual_seed(1), dt)[0].numpy()


def spikes(times, v):
    """When the potential passes the threshold upwards, by linear interpolation."""
    i = np.flatnonzero((v[1:] > neuron.threshold) & (v[:-1] <= neuron.threshold))
    return times[i] + (neuron.threshold - v[i]) / (v[i + 1] - v[i]) * (times[i + 1] - times[i])


def grid(dt):
    return dt * np.arange(1, round(neuron.duration / dt) + 1)


# The potential without noise.


@pytest.mark.parametrize("theta", [QUIET, SLOW], ids=["true", "slow"])
def test_spikes_come_when_scipy_says(theta):
    exact = spikes(grid(0.005), precise(theta, grid(0.005)))
    own = spikes(grid(neuron.step), potential(theta))
    assert len(own) == len(exact) > 1
    assert np.abs(own - exact)[:5].max() < 0.06  # what the module promises


def test_spikes_converge_as_the_square_of_the_step():
    exact = spikes(grid(0.005), precise(QUIET, grid(0.005)))
    errors = [np.abs(spikes(grid(dt), potential(QUIET, dt)) - exact).max() for dt in (0.05, 0.0125)]
    assert 3 < math.log2(errors[0] / errors[1]) < 5  # sixteen times for a quarter: 4


def test_a_neuron_without_sodium_follows_scipy_closely():
    theta = (0.5, 5.0, 0.1, 0.1, 600.0, -60.0, 0.0, -70.0)
    v, exact = potential(theta), precise(theta, grid(neuron.step))
    # millivolts, of a response of twenty: second order in a step a hundredth of the fastest gate's
    assert np.abs(v - exact).max() < 0.01
    assert np.ptp(exact) > 5


def test_the_kinetics_are_smooth_where_their_formula_is_zero_by_zero():
    zeros = np.array([13.0, 40.0, 15.0]) - 60
    at = [
        neuron.kinetics(zeros + e, np.full(3, -60.0), np.full(3, 600.0)) for e in (0, -1e-6, 1e-6)
    ]
    for exact, below, above in zip(*at, strict=True):
        np.testing.assert_allclose(exact, (below + above) / 2, rtol=1e-9)
        assert (exact > 0).all()


# The noise.


def test_a_passive_membrane_is_an_ornstein_uhlenbeck_process():
    n, dt, g, sigma, e_leak = 20_000, 2.5, 0.2, 0.15, -60.0  # exact at any step
    theta = torch.tensor([[0.0, 0.0, 0.0, g, 600.0, -60.0, sigma, e_leak]]).expand(n, 8)
    v = neuron.voltage(theta, torch.Generator().manual_seed(1), dt)
    for t in (5.0, 10.0, 30.0, 110.0, 120.0):
        lost = lambda s: 1 - math.exp(-g * s)
        mean = -70 + 10 * lost(t)
        mean += neuron.current / g * (lost(max(t - 10, 0)) - lost(max(t - 110, 0)))
        variance = sigma**2 / (2 * g) * lost(2 * t)
        x = v[:, round(t / dt) - 1] - mean
        assert x.mean().abs() < 5 * (variance / n) ** 0.5
        assert (x.square().mean() - variance).abs() < 5 * variance * (2 / n) ** 0.5


# The summaries.


def test_summaries_are_those_of_scipy():
    theta = torch.tensor([neuron.theta_true]).expand(3, 8)
    v = neuron.voltage(theta, torch.Generator().manual_seed(1))
    s, t = neuron.summaries(v), grid(neuron.step)
    rest, driven = v[:, (t > 5) & (t <= 10)].numpy(), v[:, (t > 10) & (t <= 110)].numpy()
    crossings = [len(spikes(t[400:4400], row)) for row in driven]
    exact = [
        crossings,
        rest.mean(axis=1),
        rest.std(axis=1),
        driven.mean(axis=1),
        driven.std(axis=1),
        scipy.stats.skew(driven, axis=1),
        scipy.stats.kurtosis(driven, axis=1, fisher=False),
    ]
    np.testing.assert_allclose(s.numpy(), np.stack(exact, axis=1), rtol=1e-9)
    assert min(crossings) >= 4


def test_summaries_of_both_dtypes_agree():
    theta = torch.tensor([neuron.theta_true])
    noise = lambda: torch.Generator().manual_seed(1)
    v = neuron.voltage(theta, noise())
    # a variance of 0.04 mV around 70 mV keeps three digits of float32's seven
    torch.testing.assert_close(
        neuron.summaries(v.float()).double(), neuron.summaries(v), rtol=1e-3, atol=1e-3
    )
    assert neuron.simulate(theta.float(), noise()).dtype == torch.float32
