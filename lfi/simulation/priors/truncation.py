"""Marginals cut to an interval: sampled exactly, with a normalised density.

Cut to (a, b), a distribution with distribution function F has

    log p(t | a < t < b) = log p(t) - log(F(b) - F(a)),    t = F^-1(F(a) + u (F(b) - F(a))),

with u uniform, in float64. Above the median the survival function takes the place of F, so that
far tails keep their digits. Where F is not known, the mass of the cut is integrated numerically,
and draws are made until they fall inside.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.simulation.priors.cdf import Quantiles
from lfi.simulation.priors.marginals import Marginal

LEAST_MASS = 1e-6  # of a cut whose draws are made by rejection


@dataclass(frozen=True, eq=False)
class Truncated:
    """A marginal cut to a box inside its support.

    Raises:
        ValueError: If the cut has no mass, or too little to be sampled.

    Example:
        >>> import scipy.stats
        >>> from lfi.simulation.priors.marginals import ScipyMarginal
        >>> half = Truncated(ScipyMarginal(scipy.stats.norm(), torch.float64), 0.0, math.inf)
        >>> math.exp(half.log_mass)
        0.5
    """

    base: Marginal
    lower: float
    upper: float

    def __post_init__(self) -> None:
        mass = self._mass
        if not mass > 0:
            raise ValueError(f"prior has no mass between {self.lower:g} and {self.upper:g}")
        if self.quantiles is None and mass < LEAST_MASS:
            raise ValueError(
                f"prior has mass {mass:.1e} between {self.lower:g} and {self.upper:g}, and no "
                f"inverse distribution function to sample it by: need at least {LEAST_MASS:g}"
            )

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the whole distribution."""
        return self.base.dtype

    @property
    def quantiles(self) -> Quantiles | None:
        """The distribution function of the whole distribution."""
        return self.base.quantiles

    @cached_property
    def log_mass(self) -> float:
        """The log probability of the cut under the whole distribution."""
        return math.log(self._mass)

    @cached_property
    def _edges(self) -> tuple[float, float, Callable[[np.ndarray], np.ndarray]]:
        """The levels of the two ends and the function that inverts levels."""
        q = self.quantiles
        low = float(q.cdf(self.lower))
        if low < 0.5:
            return low, float(q.cdf(self.upper)), q.ppf
        return float(q.sf(self.lower)), float(q.sf(self.upper)), q.isf

    @cached_property
    def _mass(self) -> float:
        if self.quantiles is not None:
            return abs(self._edges[1] - self._edges[0])
        density = lambda t: float(self.base.log_prob(torch.tensor(t, dtype=self.dtype)).exp())
        return scipy.integrate.quad(density, self.lower, self.upper, limit=500)[0]

    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, " n"]:
        """Draw n values, by inverse distribution function where there is one."""
        if self.quantiles is None:
            draw = lambda m: self.base.sample(m, rng)
            return draw_inside(draw, lambda t: (t > self.lower) & (t < self.upper), n, self._mass)
        first, last, inverse = self._edges
        values = inverse(first + (last - first) * rng.random(n))
        return torch.as_tensor(np.asarray(values)).to(self.dtype)

    def log_prob(self, t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log density, normalised over the cut."""
        return self.base.log_prob(t) - self.log_mass

    def describe(self) -> dict[str, Any] | None:
        """Return the whole distribution's description and the cut."""
        base = self.base.describe()
        return base and {"truncated": base, "lower": self.lower, "upper": self.upper}


def truncate(marginal: Marginal, lower: float, upper: float) -> Marginal:
    """Return the marginal cut to (lower, upper), itself where that cuts nothing off."""
    lower, upper = max(lower, marginal.lower), min(upper, marginal.upper)
    if (lower, upper) == (marginal.lower, marginal.upper):
        return marginal
    if not lower < upper:
        raise ValueError(f"prior has no mass between {lower:g} and {upper:g}")
    whole = marginal.base if isinstance(marginal, Truncated) else marginal
    return Truncated(whole, lower, upper)


def draw_inside(
    draw: Callable[[int], Tensor],
    inside: Callable[[Tensor], Tensor],
    n: int,
    rate: float,
) -> Float[Tensor, "n ..."]:
    """Draw until n values are inside, where about a share `rate` of them is."""
    kept, missing = [], n
    while missing > 0:
        values = draw(min(int(1.1 * missing / rate) + 16, 2**18))
        kept.append(values[inside(values)][:missing])
        missing -= len(kept[-1])
    return torch.cat(kept) if kept else draw(0)
