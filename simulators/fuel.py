"""How far do 32 cars go on a gallon? A regression with eleven coefficients and unknown noise.

    x_i ~ Normal(average + sum over j of coefficient_j z_ij, sigma^2),    i = 1, ..., 32,

with ten properties z of each car, standardised: of all cars, each has mean 0 and variance 1. They
go together, large engines with heavy cars, so that coefficients are correlated in the posterior.

References:
    Henderson & Velleman, Building multiple regression models interactively, Biometrics 37, 1981
    (data of Motor Trend, 1974).
"""

import math
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

differentiable = True

_path = Path(__file__).parent / "data" / "fuel.csv"
_table = np.loadtxt(_path, delimiter=",", skiprows=3, usecols=range(1, 12))
_names = _path.read_text().splitlines()[2].split(",")[2:]
properties = torch.from_numpy((_table[:, 1:] - _table[:, 1:].mean(0)) / _table[:, 1:].std(0))
x_obs = torch.from_numpy(_table[:, 0]).float()
x_names, x_axis, x_units = "distance", ("car", range(1, 33)), "mile/gallon"

units = {name: "mile/gallon" for name in ("average", *_names, "sigma")}
prior = {
    "average": scipy.stats.norm(20.0, 5.0),
    **{name: scipy.stats.norm(0.0, 3.0) for name in _names},
    "sigma": scipy.stats.lognorm(s=0.5, scale=3.0),
}


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the miles per gallon of all cars, (n, 12) to (n, 32)."""
    noise = torch.randn(len(theta), len(x_obs), generator=rng, dtype=theta.dtype)
    return _mean(theta) + theta[:, -1:] * noise


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 12) and (n, 32) or (32,) to (n,), differentiable in theta."""
    sigma = theta[:, -1:]
    z = (x - _mean(theta)) / sigma
    return (-0.5 * z.square() - sigma.log() - 0.5 * math.log(2 * math.pi)).sum(dim=1)


def _mean(theta: Tensor) -> Tensor:
    return theta[:, :1] + theta[:, 1:-1] @ properties.to(theta).T
