"""Reaction times of somebody who made some of twenty trials: data sets of varying length.

Evidence accumulates with drift and unit noise, and the response is made when it first reaches a
threshold: times are independent and inverse Gaussian (a shifted Wald law without shift),

    p(t) = threshold / sqrt(2 pi t^3) exp(-(threshold - drift t)^2 / (2 t)).

There are 3 to 20 trials, all numbers equally likely, whatever the parameters. A data set is
(20, 2): in each row a time and 1, or two zeros for a trial that was not made; made ones come first.

References:
    Anders, Alario & Van Maanen, The shifted Wald distribution for response time data analysis,
    Psychological Methods 21, 2016.
    Michael, Schucany & Haas, Generating random variates using transformations with multiple roots,
    American Statistician 30, 1976 (how to draw).
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
fewest, most = 3, 20

units = {"drift": "1/second^0.5", "threshold": "second^0.5"}
prior = {
    "drift": scipy.stats.lognorm(s=0.5, scale=2.0),
    "threshold": scipy.stats.lognorm(s=0.5, scale=1.0),
}
theta_true = (2.0, 1.0)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw data sets, (n, 2) to (n, 20, 2)."""
    mean, n = theta[:, 1:] / theta[:, :1], len(theta)
    z = torch.randn(n, most, generator=rng, dtype=theta.dtype)
    uniform = torch.rand(n, most, generator=rng, dtype=theta.dtype)
    w = mean * z.square() / (2 * theta[:, 1:].square())
    smaller = mean / (1 + w + (w * (w + 2)).sqrt())  # of the two roots, whose product is mean^2
    times = torch.where(uniform * (mean + smaller) <= mean, smaller, mean.square() / smaller)
    made = torch.arange(most) < torch.randint(fewest, most + 1, (n, 1), generator=rng)
    return torch.stack([torch.where(made, times, 0.0), made.to(times)], dim=2)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 20, 2) or (20, 2) to (n,), differentiable."""
    drift, threshold = theta[:, :1], theta[:, 1:]
    made = x[..., 1] > 0
    t = torch.where(made, x[..., 0], 1.0)
    terms = threshold.log() - 1.5 * t.log() - (threshold - drift * t).square() / (2 * t)
    terms = torch.where(made, terms - 0.5 * math.log(2 * math.pi), 0.0).sum(dim=1)
    return terms - math.log(most + 1 - fewest)
