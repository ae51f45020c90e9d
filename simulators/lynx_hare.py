"""Lynxes and hares in Canada, 1900 to 1920: how do predators and prey drive each other?

Hares u grow at rate alpha and are eaten by the lynxes v, which die at rate gamma without them
(the Lotka-Volterra equations, integrated here by Runge-Kutta in log u and log v):

    du/dt = (alpha - beta v) u,    u(1900) = hare0,
    dv/dt = (-gamma + delta u) v,  v(1900) = lynx0.

The Hudson's Bay Company bought pelts, counted in thousands a year. All 21 of its counts, that of
1900 too, have a log-normal error around the solution:

    log x_hare(t) ~ Normal(log u(t), sigma_hare^2),
    log x_lynx(t) ~ Normal(log v(t), sigma_lynx^2).

References:
    Carpenter, Predator-prey population dynamics: the Lotka-Volterra model in Stan, Stan case
    studies, 2018.
    Howard, Modeling basics, lecture notes, 2009, after Odum, Fundamentals of Ecology, 1953 (data).
"""

import math
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

differentiable = True
years = 20  # after the first
steps_per_year = 32  # Runge-Kutta steps: log u and log v within 0.001 over 99% of the prior

units = {
    "alpha": "1/year",
    "beta": "1/(thousand lynx pelts year)",
    "gamma": "1/year",
    "delta": "1/(thousand hare pelts year)",
    "hare0": "thousand pelts",
    "lynx0": "thousand pelts",
    "sigma_hare": "1",
    "sigma_lynx": "1",
}
prior = {
    "alpha": scipy.stats.truncnorm(a=-2.0, b=np.inf, loc=1.0, scale=0.5),
    "beta": scipy.stats.truncnorm(a=-1.0, b=np.inf, loc=0.05, scale=0.05),
    "gamma": scipy.stats.truncnorm(a=-2.0, b=np.inf, loc=1.0, scale=0.5),
    "delta": scipy.stats.truncnorm(a=-1.0, b=np.inf, loc=0.05, scale=0.05),
    "hare0": scipy.stats.lognorm(s=1.0, scale=10.0),
    "lynx0": scipy.stats.lognorm(s=1.0, scale=10.0),
    "sigma_hare": scipy.stats.lognorm(s=1.0, scale=math.exp(-1)),
    "sigma_lynx": scipy.stats.lognorm(s=1.0, scale=math.exp(-1)),
}
_table = np.loadtxt(Path(__file__).parent / "data" / "lynx_hare.csv", delimiter=",", skiprows=2)
x_obs = torch.from_numpy(_table[:, [2, 1]]).float()  # (21, 2): hares, lynxes
x_names, x_axis = ("hare pelts", "lynx pelts"), ("year", _table[:, 0])
x_units = "thousands"


def log_populations(theta: Tensor) -> Tensor:
    """Return log u and log v in 1900, ..., 1920, (n, 8) to (n, 21, 2), differentiable in theta."""
    alpha, beta, gamma, delta, hare0, lynx0 = theta[:, :6].unbind(1)
    p, q = hare0.log(), lynx0.log()
    h = 1 / steps_per_year

    def slope(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        return alpha - beta * q.exp(), delta * p.exp() - gamma

    path = [torch.stack([p, q], dim=1)]
    for _ in range(years):
        for _ in range(steps_per_year):
            p1, q1 = slope(p, q)
            p2, q2 = slope(p + h / 2 * p1, q + h / 2 * q1)
            p3, q3 = slope(p + h / 2 * p2, q + h / 2 * q2)
            p4, q4 = slope(p + h * p3, q + h * q3)
            p = p + h / 6 * (p1 + 2 * p2 + 2 * p3 + p4)
            q = q + h / 6 * (q1 + 2 * q2 + 2 * q3 + q4)
        path.append(torch.stack([p, q], dim=1))
    return torch.stack(path, dim=1)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the pelts of hares and lynxes in 1900, ..., 1920, (n, 8) to (n, 21, 2)."""
    mean = log_populations(theta)
    noise = torch.randn(mean.shape, generator=rng, dtype=theta.dtype)
    x = torch.exp(mean + theta[:, None, 6:] * noise)
    return x.clamp(min=torch.finfo(x.dtype).tiny)  # positive, whatever rounding does


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 8) and (n, 21, 2) or (21, 2) to (n,), differentiable."""
    sigma, log_x = theta[:, None, 6:], torch.where(x > 0, x, 1.0).log()
    z = (log_x - log_populations(theta)) / sigma
    terms = -0.5 * z.square() - sigma.log() - log_x - 0.5 * math.log(2 * math.pi)
    return torch.where(x > 0, terms, -math.inf).sum(dim=(1, 2))
