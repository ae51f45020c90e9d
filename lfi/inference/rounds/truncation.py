"""Truncation of a prior to bounds around a posterior.

Bounds are only as good as the posterior whose draws they surround. A parameter is left as it is
where its bounds are empty, or lie beyond all of many prior draws: a ratio that does not decay sends
draws there. And bounds have cut mass off where the next round's posterior, free inside of them,
gathers at an edge.

References:
    Miller, Cole, Forre, Louppe & Weniger, Truncated marginal neural ratio estimation, 2021.
        arXiv:2107.01214
    Deistler, Goncalves & Macke, Truncated proposals, 2022. arXiv:2210.04815
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.runtime import numpy_rng
from lfi.simulation import Prior

TAIL = 1e-3  # posterior mass beyond each side, before the bounds are widened
MARGIN = 0.2  # by which they are widened on each side, of their distance
GATHERED = 0.02  # the share of draws in a margin that says that mass was cut off: 20 tails
REFERENCE = 2**14  # prior draws, beyond all of which bounds are not believed


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


def trusted_bounds(
    prior: Prior, names: Sequence[str], lower: Float[Tensor, " k"], upper: Float[Tensor, " k"]
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"], tuple[str, ...]]:
    """Return bounds that are infinite where the given ones are not plausible, and those names.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = lfi.simulation.as_prior({"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)})
        >>> trusted_bounds(prior, ("a", "b"), torch.tensor([0.1, 8.8]), torch.tensor([0.2, 8.9]))
        (tensor([0.1000,   -inf]), tensor([0.2000,    inf]), ('b',))
    """
    columns = [prior.names.index(name) for name in names]
    reference = prior.sample(REFERENCE, seed=numpy_rng(0))[:, columns].to(lower)
    low, high = reference.amin(0), reference.amax(0)
    good = (lower < upper) & (upper >= low) & (lower <= high)
    refused = tuple(name for name, fine in zip(names, good.tolist(), strict=True) if not fine)
    return lower.where(good, -math.inf), upper.where(good, math.inf), refused


def gathered(
    theta: Float[Tensor, "n d"], lower: Float[Tensor, " d"], upper: Float[Tensor, " d"]
) -> tuple[Bool[Tensor, " d"], Bool[Tensor, " d"]]:
    """Return where posterior draws gather in the margins inside of bounds, below and above.

    Example:
        >>> theta = torch.linspace(0, 1, 1001)[:, None]
        >>> gathered(theta, torch.tensor([0.0]), torch.tensor([3.0]))
        (tensor([True]), tensor([False]))
    """
    inside = (upper - lower) / (1 + 2 * MARGIN)  # the distance before they were widened
    margin = MARGIN * inside.where(inside.isfinite(), theta.amax(0) - theta.amin(0))
    below, above = theta < lower + margin, theta > upper - margin
    return below.double().mean(0) > GATHERED, above.double().mean(0) > GATHERED


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
