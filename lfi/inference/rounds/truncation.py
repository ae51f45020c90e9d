"""Truncation of a prior to bounds around a posterior.

References:
    Deistler, Goncalves & Macke, Truncated proposals, 2022. arXiv:2210.04815
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.runtime import numpy_rng
from lfi.simulation import Prior

TAIL = 1e-3  # posterior mass beyond each side, before the bounds are widened
MARGIN = 0.2  # by which they are widened on each side, of their distance


def truncation_bounds(
    theta: Float[Tensor, "n d"],
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """Return lower and upper bounds around draws of a posterior, widened by a margin.

    Example:
        >>> lower, upper = truncation_bounds(torch.linspace(0, 1, 1001)[:, None])
        >>> round(lower.item(), 2), round(upper.item(), 2)
        (-0.2, 1.2)
    """
    low, high = theta.quantile(TAIL, dim=0), theta.quantile(1 - TAIL, dim=0)
    margin = MARGIN * (high - low)
    return low - margin, high + margin


def truncate_named(
    prior: Prior, names: Sequence[str], lower: Float[Tensor, " k"], upper: Float[Tensor, " k"]
) -> Prior:
    """Return the prior truncated in the named parameters only."""
    columns = [prior.names.index(name) for name in names]
    low, high = torch.full((2, prior.dim), math.inf, dtype=prior.dtype)
    low.neg_()[columns] = lower.to(prior.dtype)
    high[columns] = upper.to(prior.dtype)
    return prior.truncate(low, high)


def mass_kept(prior: Prior, narrow: Prior) -> float:
    """Return the probability under a prior of the bounds that it was truncated to.

    Inside them the two densities differ by this factor everywhere.

    Example:
        >>> prior = lfi.simulation.as_prior({"share": torch.distributions.Uniform(0.0, 2.0)})
        >>> round(mass_kept(prior, prior.truncate([0.5], [1.0])), 6)
        0.25
    """
    theta = narrow.sample(1, seed=numpy_rng(0))
    return float((prior.log_prob(theta) - narrow.log_prob(theta)).exp())
