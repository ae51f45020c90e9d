"""Theophylline in the blood of twelve people after one dose: how is it taken up and cleared?

The drug enters the blood at rate ka and leaves it at rate ke (one compartment of volume V, first
order), and a measured concentration has noise of standard deviation sigma:

    c(t) = dose ka / (V (ka - ke)) (e^(-ke t) - e^(-ka t)),    x ~ Normal(c(t), sigma^2).

Eleven measurements of each subject in about a day; doses are per weight, and all subjects share the
parameters. Swapping ka and ke, with V ke / ka for V, changes nothing in c: the prior decides.

References:
    Boeckmann, Sheiner & Beal, NONMEM Users Guide: Part V, 1994 (data).
"""

import math
from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

differentiable = True
subjects = 12

units = {"ka": "1/hour", "ke": "1/hour", "V": "l/kg", "sigma": "mg/l"}
prior = {
    "ka": scipy.stats.lognorm(s=0.5, scale=1.5),
    "ke": scipy.stats.lognorm(s=0.5, scale=0.08),
    "V": scipy.stats.lognorm(s=0.3, scale=0.5),
    "sigma": scipy.stats.lognorm(s=0.5, scale=1.0),
}
_table = np.loadtxt(Path(__file__).parent / "data" / "theophylline.csv", delimiter=",", skiprows=2)
_columns = torch.from_numpy(_table.reshape(subjects, -1, _table.shape[1]))
doses, times = _columns[..., 2], _columns[..., 3]  # (12, 11): mg/kg, hours
x_obs = _columns[..., 4].float()
x_names = tuple(f"subject {i}" for i in range(1, subjects + 1))
x_axis, x_units = ("hours after the dose", times), "mg/l"


def concentration(theta: Tensor) -> Tensor:
    """Return c of every subject at the times, (n, 4) to (n, 12, 11), differentiable in theta."""
    ka, ke, volume = theta[:, :3, None, None].unbind(1)
    t, gap = times.to(theta), ka - ke
    gap = torch.where(gap == 0, torch.finfo(theta.dtype).eps, gap)
    return doses.to(theta) * ka / volume * torch.exp(-ke * t) * -torch.expm1(-gap * t) / gap


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the measurements, (n, 4) to (n, 12, 11)."""
    noise = torch.randn(len(theta), *times.shape, generator=rng, dtype=theta.dtype)
    return concentration(theta) + theta[:, 3, None, None] * noise


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 4) and (n, 12, 11) or (12, 11) to (n,), differentiable."""
    sigma = theta[:, 3, None, None]
    z = (x - concentration(theta)) / sigma
    return (-0.5 * z.square() - sigma.log() - 0.5 * math.log(2 * math.pi)).sum(dim=(1, 2))
