"""The level of Lake Huron, 1875 to 1972: how long does a high or low water last?

An Ornstein-Uhlenbeck process returns to its mean at the rate 1 / tau. Seen once a year, it is an
autoregressive process of order one,

    x_t = level + rho (x_{t-1} - level) + deviation sqrt(1 - rho^2) e_t,    rho = e^(-1 / tau),

with e_t ~ Normal(0, 1), which starts from its stationary law, x_1 ~ Normal(level, deviation^2).

References:
    Brockwell & Davis, Time Series: Theory and Methods, second edition, 1991 (series A, page 555).
"""

import math
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

differentiable = True

units = {"level": "foot", "tau": "year", "deviation": "foot"}
prior = {
    "level": scipy.stats.norm(579.0, 2.0),
    "tau": scipy.stats.lognorm(s=0.7, scale=5.0),
    "deviation": scipy.stats.lognorm(s=0.5, scale=1.0),
}
_table = np.loadtxt(Path(__file__).parent / "data" / "lake_huron.csv", delimiter=",", skiprows=2)
x_obs = torch.from_numpy(_table[:, 1]).float()
x_names, x_axis, x_units = "level of the lake", ("year", _table[:, 0]), "feet"


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the levels of 98 years, (n, 3) to (n, 98)."""
    level, tau, deviation = theta.unbind(1)
    rho, rest = _steps(tau)
    y, *noise = torch.randn(len(x_obs), len(theta), generator=rng, dtype=theta.dtype)
    path = [y]
    for e in noise:
        path.append(rho * path[-1] + rest * e)
    return level[:, None] + deviation[:, None] * torch.stack(path, dim=1)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 3) and (n, t) or (t,) to (n,), differentiable in theta."""
    level, tau, deviation = theta[:, :, None].unbind(1)
    rho, rest = _steps(tau)
    y = (x - level) / deviation
    z = torch.cat([y[:, :1], (y[:, 1:] - rho * y[:, :-1]) / rest], dim=1)
    scales = y.shape[1] * deviation.log() + (y.shape[1] - 1) * rest.log()
    return (-0.5 * z.square() - 0.5 * math.log(2 * math.pi)).sum(dim=1) - scales[:, 0]


def _steps(tau: Tensor) -> tuple[Tensor, Tensor]:
    """Return rho and sqrt(1 - rho^2), also where tau is large."""
    return torch.exp(-1 / tau), (-torch.expm1(-2 / tau)).sqrt()
