"""A neuron under a current clamp: which channels made this train of spikes?

A constant current is injected for 100 of 120 ms and moves the membrane potential V (in mV) through
sodium, delayed and slow potassium, and leak channels, and white noise eta:

    C dV/dt = g_na m^3 h (53 - V) + (g_k n^4 + g_m p) (-107 - V) + g_leak (e_leak - V)
              + I(t) + sigma eta,
    dy/dt = (y_inf(V) - y) / tau_y(V)    for the gates y = m, h, n, p,

with the kinetics of Pospischil et al. and C = 1 uF/cm^2. Given the gates, V solves a linear
equation, and given V so does each gate. Both are solved exactly in turn, the gates half a step
apart from V: stable at any step and of second order (exponential Euler, which is usual, is of the
first). Given the gates the noise is exact, too: V is then an Ornstein-Uhlenbeck process.

A simulation is kept as seven numbers: spikes during the current, mean and deviation of V at
rest, and mean, deviation, skewness and kurtosis of V during the current.

References:
    Pospischil et al., Minimal Hodgkin-Huxley type models for different classes of cortical and
    thalamic neurons, Biological Cybernetics 2008.
    Lueckmann et al., Flexible statistical inference for mechanistic models of neural dynamics,
    NeurIPS 2017. arXiv:1711.01861
    Goncalves et al., Training deep neural density estimators to identify mechanistic models of
    neural dynamics, eLife 2020.
"""

import math

import numpy as np
import scipy.stats
import torch
from torch import Tensor

Array = np.ndarray

differentiable = False  # spikes are counted
duration, onset, offset = 120.0, 10.0, 110.0  # ms
step = 0.025  # ms: the first five spikes within 0.06 ms at theta_true
current = 5e-4 / (math.pi * 7e-3**2)  # uA/cm^2: 0.5 nA into a cylinder 70 um wide and long
rest = -70.0  # mV, at the start
e_na, e_k = 53.0, -107.0  # mV
threshold = -10.0  # mV: a spike is a passage upwards

_bounds = {
    "g_na": (0.5, 80.0),
    "g_k": (1e-4, 15.0),
    "g_m": (1e-4, 0.6),
    "g_leak": (1e-4, 0.6),
    "tau_max": (50.0, 3000.0),
    "v_t": (-90.0, -40.0),
    "sigma": (1e-4, 0.15),
    "e_leak": (-100.0, -35.0),
}
prior = {name: scipy.stats.uniform(low, high - low) for name, (low, high) in _bounds.items()}
units = {
    "g_na": "mS/cm^2",
    "g_k": "mS/cm^2",
    "g_m": "mS/cm^2",
    "g_leak": "mS/cm^2",
    "tau_max": "ms",
    "v_t": "mV",
    "sigma": "uA ms^0.5/cm^2",
    "e_leak": "mV",
}
theta_true = (50.0, 5.0, 0.07, 0.1, 600.0, -60.0, 0.1, -70.0)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the seven numbers, (n, 8) to (n, 7)."""
    return summaries(voltage(theta, rng))


def voltage(theta: Tensor, rng: torch.Generator, dt: float = step) -> Tensor:
    """Draw the membrane potential at dt, 2 dt, ..., 120 ms, (n, 8) to (n, 120 / dt).

    The steps are NumPy's, which takes a quarter of torch's time for them.
    """
    g_na, g_k, g_m, g_leak, tau_max, v_t, sigma, e_leak = theta.detach().numpy().T.copy()
    steps = round(duration / dt)
    noise = torch.randn(steps, len(theta), generator=rng, dtype=theta.dtype).numpy()
    path = np.empty_like(noise)
    v = np.full_like(g_na, rest)
    gates, _ = kinetics(v, v_t, tau_max)  # half a step on, and still steady
    for k in range(steps):
        m, h, n, p = gates
        sodium, potassium = g_na * h * m * m * m, g_k * np.square(n * n) + g_m * p
        rate = sodium + potassium + g_leak  # per ms, as C is one
        injected = current if onset <= (k + 0.5) * dt < offset else 0.0
        level = (sodium * e_na + potassium * e_k + g_leak * e_leak + injected) / rate
        lost = np.expm1(-dt * rate)
        spread = sigma * np.sqrt(-lost * (lost + 2) / (2 * rate))
        v = path[k] = v + (v - level) * lost + spread * noise[k]
        steady, speed = kinetics(v, v_t, tau_max)
        gates = steady + (gates - steady) * np.exp(-dt * speed)
    return torch.from_numpy(path).T.contiguous()


def kinetics(v: Array, v_t: Array, tau_max: Array) -> tuple[Array, Array]:
    """Return the steady states of m, h, n, p and their rates per ms, (n,) to two of (4, n)."""
    u, w = v - v_t, v + 35
    z = np.stack([(13 - u) / 4, (u - 40) / 5, (15 - u) / 5])
    opening_m, closing_m, opening_n = np.divide(z, np.expm1(z), out=np.ones_like(z), where=z != 0)
    exponents = np.stack([(17 - u) / 18, (40 - u) / 5, (10 - u) / 40, w / 20])
    opening_h, shut_h, closing_n, swing = np.exp(exponents)
    opening = np.stack([1.28 * opening_m, 0.128 * opening_h, 0.16 * opening_n])
    both = opening + np.stack([1.4 * closing_m, 4 / (1 + shut_h), 0.5 * closing_n])
    steady_p = swing * swing / (1 + swing * swing)
    slow = (3.3 * swing + 1 / swing) / tau_max
    return np.concatenate([opening / both, steady_p[None]]), np.concatenate([both, slow[None]])


def summaries(v: Tensor, dt: float = step) -> Tensor:
    """Return the seven numbers of potentials at dt, 2 dt, ..., (n, t) to (n, 7)."""
    start, stop = round(onset / dt), round(offset / dt)
    still, driven = v[:, start // 2 : start], v[:, start:stop]
    high = driven > threshold
    spikes = (high[:, 1:] & ~high[:, :-1]).sum(dim=1).to(v.dtype)
    mean, deviation = driven.mean(dim=1), driven.std(dim=1, correction=0)
    z = (driven - mean[:, None]) / deviation[:, None]
    return torch.stack(
        [
            spikes,
            still.mean(dim=1),
            still.std(dim=1, correction=0),
            mean,
            deviation,
            (z**3).mean(dim=1),
            (z**4).mean(dim=1),
        ],
        dim=1,
    )
