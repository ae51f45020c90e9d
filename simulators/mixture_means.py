"""The means of a mixture of two normal laws, which data cannot tell by name (label switching).

    x_i ~ Normal(mean_1, 1) / 2 + Normal(mean_2, 1) / 2,    i = 1, ..., 30.

Swapping the two means changes nothing in the law of the data or in the prior, so the posterior is
symmetric: two modes of equal mass where the means are apart, one that is bent where they are not.

References:
    Stephens, Dealing with label switching in mixture models, JRSS B 62, 2000.
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
numbers = 30

units = {"mean_1": "1", "mean_2": "1"}
prior = {name: scipy.stats.norm(0.0, 3.0) for name in units}
theta_true = (-1.0, 2.0)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw thirty numbers, (n, 2) to (n, 30)."""
    first = torch.rand(len(theta), numbers, generator=rng, dtype=theta.dtype) < 0.5
    z = torch.randn(len(theta), numbers, generator=rng, dtype=theta.dtype)
    return torch.where(first, theta[:, :1], theta[:, 1:]) + z


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 30) or (30,) to (n,), differentiable in theta."""
    z = x[..., None, :] - theta[:, :, None]
    constant = math.log(2) + 0.5 * math.log(2 * math.pi)
    return (torch.logsumexp(-0.5 * z.square(), dim=1) - constant).sum(dim=1)
