"""Tolerance schedules of sequential ABC.

References:
    Del Moral, Doucet & Jasra, An adaptive sequential Monte Carlo method for ABC, 2012.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_share


@runtime_checkable
class ToleranceSchedule(Protocol):
    """A rule for the next tolerance."""

    def __call__(self, distances: Float[Tensor, " n"], weights: Float[Tensor, " n"]) -> float:
        """Return the next tolerance from a population."""
        ...


@checked
@dataclass(frozen=True)
class DistanceQuantile:
    """A weighted quantile of the population's distances.

    Attributes:
        level: Which, between 0 and 1.

    Example:
        >>> DistanceQuantile(0.5)(torch.arange(10.0), torch.full((10,), 0.1))
        4.0
    """

    level: float = 0.5

    def __post_init__(self) -> None:
        check_share("level", self.level)

    def __call__(self, distances: Float[Tensor, " n"], weights: Float[Tensor, " n"]) -> float:
        """Return the smallest distance within which this share of the weight lies."""
        distances, order = distances.sort()
        below = weights[order].double().cumsum(dim=0)
        reached = below >= self.level * below[-1] * (1 - 1e-6)
        return float(distances[int(reached.int().argmax())])


@checked
@dataclass(frozen=True)
class ESSFraction:
    """Del Moral's rule: the effective sample size falls by a factor.

    Attributes:
        share: Of the effective sample size, between 0 and 1.

    Example:
        >>> ESSFraction(0.5)(torch.arange(10.0), torch.full((10,), 0.1))
        4.0
    """

    share: float = 0.5

    def __post_init__(self) -> None:
        check_share("share", self.share)

    def __call__(self, distances: Float[Tensor, " n"], weights: Float[Tensor, " n"]) -> float:
        """Return the smallest distance within which this share of the effective size lies."""
        distances, order = distances.sort()
        sorted_weights = weights[order].double()
        ess = sorted_weights.cumsum(dim=0).square() / sorted_weights.square().cumsum(dim=0)
        enough = ess >= self.share * ess[-1] * (1 - 1e-6)
        return float(distances[int(enough.int().argmax())])
