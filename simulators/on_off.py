"""A source that may be nothing: counts on it and off it, and a posterior at the prior's edge.

A telescope counts on the source, where there is background too, and off it, in five times the time:

    on ~ Poisson(source + background),    off ~ Poisson(5 background).

Both rates are uniform between 0 and 20. Of the `observations`, made up to be hard, the first sees a
slight excess, the second less than its background, so that the source piles up at 0, the third so
much that it piles up at 20.

References:
    Li & Ma, Analysis methods for results in gamma-ray astronomy, Astrophysical Journal 272, 1983.
"""

import scipy.stats
import torch
from torch import Tensor

exposure = 5.0  # off the source, relative to on it

units = {"source": "1", "background": "1"}
prior = {name: scipy.stats.uniform(loc=0.0, scale=20.0) for name in units}
observations = torch.tensor([[12.0, 52.0], [3.0, 40.0], [35.0, 61.0]])
x_obs = observations[0]
x_names = ("counts on the source", "counts off the source")


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the two counts, (n, 2) to (n, 2)."""
    return torch.poisson(_expected(theta), generator=rng)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 2) or (2,) to (n,), differentiable in theta."""
    mean = _expected(theta)
    return (torch.xlogy(x, mean) - mean - torch.lgamma(x + 1)).sum(dim=1)


def _expected(theta: Tensor) -> Tensor:
    source, background = theta.unbind(1)
    return torch.stack([source + background, exposure * background], dim=1)
