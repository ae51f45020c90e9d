"""Growth of yeast in a culture, 1913: how fast, and up to what amount?

The biomass N grows at rate r while there is room and levels off at the capacity K,

    dN/dt = r N (1 - N / K),    so    N(t) = K / (1 + (K / N0 - 1) e^(-r t)).

Carlson measured it 19 times, every hour. Measurements have a relative error:

    log x_t ~ Normal(log N(t), sigma^2),    t = 0, ..., 18 hours.

References:
    Carlson, Ueber Geschwindigkeit und Groesse der Hefevermehrung in Wuerze, Biochemische
    Zeitschrift 57, 313-334, 1913 (data, as in Pearl 1927).
"""

import math
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

differentiable = True

units = {"r": "1/hour", "K": "1", "N0": "1", "sigma": "1"}
prior = {
    "r": scipy.stats.lognorm(s=0.5, scale=0.5),
    "K": scipy.stats.lognorm(s=0.5, scale=600.0),
    "N0": scipy.stats.lognorm(s=0.7, scale=10.0),
    "sigma": scipy.stats.halfnorm(scale=0.2),
}
_table = np.loadtxt(Path(__file__).parent / "data" / "yeast.csv", delimiter=",", skiprows=2)
hours = torch.from_numpy(_table[:, 0])
x_obs = torch.from_numpy(_table[:, 1]).float()
x_names, x_axis = "biomass", ("hour", hours)


def log_biomass(theta: Tensor) -> Tensor:
    """Return log N(t) at all hours, (n, 4) to (n, 19), differentiable in theta."""
    r, k, n0 = theta[:, :3, None].unbind(1)
    decay = torch.exp(-r * hours.to(theta))
    return k.log() - torch.log(k / n0 * decay - torch.expm1(-r * hours.to(theta)))


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the measurements, (n, 4) to (n, 19)."""
    noise = torch.randn(len(theta), len(hours), generator=rng, dtype=theta.dtype)
    return torch.exp(log_biomass(theta) + theta[:, 3:] * noise)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 4) and (n, 19) or (19,) to (n,), differentiable in theta."""
    sigma, log_x = theta[:, 3:], x.log()
    z = (log_x - log_biomass(theta)) / sigma
    return (-0.5 * z.square() - sigma.log() - log_x - 0.5 * math.log(2 * math.pi)).sum(dim=1)
