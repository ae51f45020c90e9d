"""The location and scale of a Student law with two degrees of freedom, from twelve numbers.

    x_i = location + scale t_i,    t_i ~ Student(2),    i = 1, ..., 12.

Its variance is infinite: now and then one of the twelve is thousands of scales away, which tells
next to nothing, while mean and standard deviation of the data follow it.

References:
    Lange, Little & Taylor, Robust statistical modeling using the t distribution, Journal of the
    American Statistical Association 84, 1989.
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
numbers = 12

units = {"location": "1", "scale": "1"}
prior = {
    "location": scipy.stats.norm(0.0, 5.0),
    "scale": scipy.stats.lognorm(s=1.0, scale=1.0),
}
theta_true = (2.0, 1.0)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw twelve numbers, (n, 2) to (n, 12)."""
    z = torch.randn(len(theta), numbers, generator=rng, dtype=theta.dtype)
    half_chi_squared = torch.empty_like(z).exponential_(generator=rng)  # of 2 degrees of freedom
    return theta[:, :1] + theta[:, 1:] * z / half_chi_squared.sqrt()


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 12) or (12,) to (n,), differentiable in theta."""
    location, scale = theta[:, :1], theta[:, 1:]
    z = (x - location) / scale
    return (-1.5 * torch.log1p(z.square() / 2) - scale.log() - 1.5 * math.log(2)).sum(dim=1)
