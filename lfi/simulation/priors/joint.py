"""Distributions of several parameters with bounds: independent marginals, or one joint one."""

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.distributions import Distribution, Independent

from lfi.runtime.seeds import isolated
from lfi.simulation.priors.marginals import (
    Marginal,
    TorchMarginal,
    dtype_of_draws,
    quiet_log_prob,
    torch_bounds,
)
from lfi.simulation.priors.serialisation import constructor, torch_to_spec
from lfi.simulation.priors.truncation import (
    MIN_MASS,
    TruncatedMarginal,
    sample_by_rejection,
    truncate,
)


class JointDistribution(ABC):
    """A continuous distribution of D numbers between bounds, which are narrower if truncated."""

    def __init__(
        self, lower: Float[Tensor, " dim"], upper: Float[Tensor, " dim"], truncated: bool
    ) -> None:
        self.dtype: torch.dtype = lower.dtype
        self.lower: Tensor = lower
        self.upper: Tensor = upper
        self.truncated: bool = truncated

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, "n dim"]:
        """Draw n rows."""

    @abstractmethod
    def log_prob(self, theta: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return the log density at points between the bounds."""

    @abstractmethod
    def restrict(
        self, lower: Float[Tensor, " dim"], upper: Float[Tensor, " dim"]
    ) -> "JointDistribution":
        """Return the distribution given that theta lies between narrower bounds."""

    @abstractmethod
    def whole(self) -> "JointDistribution":
        """Return the distribution as it was before bounds truncated it."""

    @abstractmethod
    def _spec(self) -> dict[str, Any] | None:
        """Return plain values for JSON, None where the distribution cannot be named."""


class ProductDistribution(JointDistribution):
    """Independent marginals, one for each parameter; theta has the widest of their dtypes."""

    def __init__(self, marginals: tuple[Marginal, ...]) -> None:
        double = any(marginal.dtype == torch.float64 for marginal in marginals)
        dtype = torch.float64 if double else torch.float32
        super().__init__(
            torch.tensor([marginal.lower for marginal in marginals], dtype=dtype),
            torch.tensor([marginal.upper for marginal in marginals], dtype=dtype),
            any(isinstance(marginal, TruncatedMarginal) for marginal in marginals),
        )
        self.marginals: tuple[Marginal, ...] = marginals

    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, "n dim"]:
        """Draw n rows."""
        with isolated(int(rng.integers(2**63))):
            columns = [marginal.sample(n, rng).to(self.dtype) for marginal in self.marginals]
        return torch.stack(columns, dim=1)

    def log_prob(self, theta: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return the sum of the marginals' log densities."""
        terms = zip(self.marginals, theta.unbind(1), strict=True)
        return torch.stack([marginal.log_prob(t).to(self.dtype) for marginal, t in terms]).sum(0)

    def restrict(
        self, lower: Float[Tensor, " dim"], upper: Float[Tensor, " dim"]
    ) -> "ProductDistribution":
        """Return the product of the truncated marginals."""
        cuts = zip(self.marginals, lower.tolist(), upper.tolist(), strict=True)
        return ProductDistribution(tuple(truncate(marginal, a, b) for marginal, a, b in cuts))

    def whole(self) -> "ProductDistribution":
        """Return the product of the marginals before truncation."""
        return ProductDistribution(
            tuple(m.base if isinstance(m, TruncatedMarginal) else m for m in self.marginals)
        )

    def _spec(self) -> dict[str, Any] | None:
        """Return the marginals' plain values."""
        parts = [marginal._spec() for marginal in self.marginals]
        return None if None in parts else {"product": parts}


class TorchJoint(JointDistribution):
    """A torch distribution of a vector, truncated by rejection.

    The probability between the bounds is a Monte Carlo estimate: relative standard error 0.5% where
    it is above 1%, from 4 million draws below; ValueError if it is too small.
    """

    def __init__(
        self, distribution: Distribution, lower: Tensor, upper: Tensor, truncated: bool = False
    ) -> None:
        super().__init__(lower, upper, truncated)
        self.distribution: Distribution = distribution
        if truncated and self._mass < MIN_MASS:
            raise ValueError(
                f"prior has mass below {MIN_MASS:g} between {lower.tolist()} and "
                f"{upper.tolist()}: a joint distribution is truncated by rejection, which needs "
                "more"
            )

    @cached_property
    def _mass(self) -> float:
        """The probability between the bounds."""
        inside, drawn = 0, 0
        with isolated(0):
            while inside < 40_000 and drawn < 2**22:
                inside += int(self._within(self.distribution.sample((2**16,))).sum())
                drawn += 2**16
        return inside / drawn

    def _within(self, theta: Float[Tensor, "n dim"]) -> Bool[Tensor, " n"]:
        return ((theta > self.lower) & (theta < self.upper)).all(dim=1)

    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, "n dim"]:
        """Draw until n rows fall between the bounds."""
        with isolated(int(rng.integers(2**63))):
            if not self.truncated:
                return self.distribution.sample((n,))
            draw = lambda m: self.distribution.sample((m,))
            return sample_by_rejection(draw, self._within, n, self._mass)

    def log_prob(self, theta: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return the log density, normalised between the bounds."""
        values = quiet_log_prob(self.distribution, theta)
        return values - math.log(self._mass) if self.truncated else values

    def restrict(self, lower: Float[Tensor, " dim"], upper: Float[Tensor, " dim"]) -> "TorchJoint":
        """Return the distribution between narrower bounds."""
        lower, upper = torch.maximum(lower, self.lower), torch.minimum(upper, self.upper)
        if torch.equal(lower, self.lower) and torch.equal(upper, self.upper):
            return self
        return TorchJoint(self.distribution, lower, upper, truncated=True)

    def whole(self) -> "TorchJoint":
        """Return the distribution between its own bounds."""
        lower, upper = torch_bounds(self.distribution)
        return TorchJoint(self.distribution, lower.to(self.dtype), upper.to(self.dtype))

    def _spec(self) -> dict[str, Any] | None:
        """Return the distribution's plain values, and the bounds of a truncated one."""
        spec = torch_to_spec(self.distribution)
        if spec is None or not self.truncated:
            return spec and {"joint": spec}
        return {"joint": spec, "lower": self.lower.tolist(), "upper": self.upper.tolist()}


def joint_distribution(distribution: Distribution) -> JointDistribution:
    """Return a vector's distribution, by marginals if independent; TypeError if not on a box."""
    lower, upper = torch_bounds(distribution)
    if isinstance(distribution, Independent) and not distribution.base_dist.event_shape:
        made = constructor(distribution.base_dist)
        if made is not None:
            own, values = made
            parts = [
                own(**{name: value[i] for name, value in values.items()})
                for i in range(distribution.event_shape[0])
            ]
            return ProductDistribution(tuple(TorchMarginal(part) for part in parts))
    dtype = dtype_of_draws(distribution)
    return TorchJoint(distribution, lower.to(dtype), upper.to(dtype))
