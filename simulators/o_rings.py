"""O-rings of 23 space shuttle flights, yes or no: does cold damage them?

A logistic regression on the temperature t at launch, in degrees Fahrenheit,

    P(x_i = 1) = 1 / (1 + e^(-odds_i)),    odds_i = level + slope (t_i - 70) / 10,

where x_i says whether an O-ring showed thermal distress. Challenger was launched at 31 degrees.

References:
    Dalal, Fowlkes & Hoadley, Risk analysis of the space shuttle: pre-Challenger prediction of
    failure, Journal of the American Statistical Association 84, 1989 (data).
"""

from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor
from torch.nn.functional import softplus

units = {"level": "1", "slope": "1/(10 degrees Fahrenheit)"}
prior = {name: scipy.stats.norm(0.0, 2.0) for name in units}
_table = np.loadtxt(Path(__file__).parent / "data" / "o_rings.csv", delimiter=",", skiprows=3)
warmth = torch.from_numpy((_table[:, 1] - 70) / 10)
x_obs = torch.from_numpy(_table[:, 2]).float()
x_names, x_axis = "distress", ("temperature at launch (degrees Fahrenheit)", _table[:, 1])


def log_odds(theta: Tensor) -> Tensor:
    """Return the log odds of distress, (n, 2) to (n, 23), differentiable in theta."""
    return theta[:, :1] + theta[:, 1:] * warmth.to(theta)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw whether there was distress, 1 or 0, (n, 2) to (n, 23)."""
    uniform = torch.rand(len(theta), len(warmth), generator=rng, dtype=theta.dtype)
    return (uniform < log_odds(theta).sigmoid()).to(theta.dtype)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 23) or (23,) to (n,), differentiable in theta."""
    odds = log_odds(theta)
    return (x * odds - softplus(odds)).sum(dim=1)
