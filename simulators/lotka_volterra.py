"""Lotka-Volterra: predators and prey, counted ten times in twenty days (sbibm's task).

30 prey X and 1 predator Y follow

    dX/dt = alpha X - beta X Y,    dY/dt = -gamma Y + delta X Y,

and both are measured with 10% log-normal error at t = 0, 2.1, ..., 18.9 days:

    x_i ~ LogNormal(log X(t_i), 0.1),    x_(10+i) ~ LogNormal(log Y(t_i), 0.1).

X and Y below 1e-10 or above 10^4 are measured as if they were there. The equations are solved by
Taylor series, to a relative error of 1e-6 even where every parameter is at its quantile 0.0001 or
0.9999. `observations` are sbibm's ten, made with `true_parameters`.

References:
    Lotka, Analytical note on certain rhythmic relations in organic systems, PNAS 6, 1920.
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.10)
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import LogNormal

from simulators import taylor

start = (30.0, 1.0)
times = tuple(2.1 * i for i in range(10))
error = 0.1  # of the logarithms
differentiable = True

units = {"alpha": "1/day", "beta": "1/day", "gamma": "1/day", "delta": "1/day"}
prior = {
    "alpha": LogNormal(-0.125, 0.5),
    "beta": LogNormal(-3.0, 0.5),
    "gamma": LogNormal(-0.125, 0.5),
    "delta": LogNormal(-3.0, 0.5),
}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["lotka_volterra_x"])
    true_parameters = torch.from_numpy(_data["lotka_volterra_theta"])
x_obs = observations[0]


def populations(theta: Tensor) -> Tensor:
    """Return X and then Y at the ten times, (n, 4) to (n, 20), in float64."""

    def slope(theta: Tensor, u: Tensor) -> Tensor:
        alpha, beta, gamma, delta = theta.unbind(dim=1)
        prey, predators = u.unbind(dim=1)
        met = taylor.product(prey, predators)
        return torch.stack([alpha * prey[-1] - beta * met, delta * met - gamma * predators[-1]])

    first = theta.new_tensor(start).expand(len(theta), 2)
    return taylor.solve(slope, theta, first, times).flatten(start_dim=1)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the measured populations, prey and then predators, (n, 4) to (n, 20)."""
    mean = _log_mean(theta)
    noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
    return torch.exp(mean + error * noise)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 4) and (n, 20) or (20,) to (n,), differentiable in theta."""
    positive = x > 0
    log_x = torch.where(positive, x, 1.0).log()
    terms = -0.5 * ((log_x - _log_mean(theta)) / error) ** 2 - log_x
    terms = torch.where(positive, terms - math.log(error * math.sqrt(2 * math.pi)), -math.inf)
    return terms.sum(dim=1)


def _log_mean(theta: Tensor) -> Tensor:
    return populations(theta).clamp(1e-10, 1e4).log().to(theta.dtype)
