"""A capacitor that is charged through a resistor: parameters of 1e6 and of 1e-9 in SI units.

At one volt, the current through resistance R (megohms) into capacitance C (nanofarads) decays,

    i(t) = e^(-t / (R C)) / R,    x_k ~ Normal(i(t_k), noise^2),

measured every 0.2 milliseconds for 4, with a noise of 20 nanoamperes: all in amperes, of which
there are about 1e-6.

References:
    Horowitz & Hill, The Art of Electronics, third edition, 2015 (section 1.4).
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
noise = 2e-8
times = 2e-4 * torch.arange(1, 21, dtype=torch.float64)
x_names, x_axis, x_units = "current", ("time (s)", times), "ampere"

units = {"resistance": "ohm", "capacitance": "farad"}
prior = {
    "resistance": scipy.stats.lognorm(s=0.5, scale=1e6),
    "capacitance": scipy.stats.lognorm(s=0.5, scale=1e-9),
}
theta_true = (1e6, 1e-9)


def current(theta: Tensor) -> Tensor:
    """Return i(t), (n, 2) to (n, 20), differentiable in theta."""
    resistance, capacitance = theta[:, :1], theta[:, 1:]
    return torch.exp(-times.to(theta) / (resistance * capacitance)) / resistance


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the measured currents, (n, 2) to (n, 20)."""
    z = torch.randn(len(theta), len(times), generator=rng, dtype=theta.dtype)
    return current(theta) + noise * z


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 20) or (20,) to (n,), differentiable in theta."""
    z = (x - current(theta)) / noise
    return (-0.5 * z.square() - math.log(noise) - 0.5 * math.log(2 * math.pi)).sum(dim=1)
