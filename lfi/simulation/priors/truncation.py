"""Truncated marginals: sampled exactly, with a normalised density.

Truncated to (a, b), a distribution with cumulative distribution function F has

    log p(t | a < t < b) = log p(t) - log(F(b) - F(a)),    t = F^-1(F(a) + u (F(b) - F(a))),

with u uniform, in float64; above the median by the survival function, so that tails keep their
digits. Where F is not known, the mass is integrated numerically, and draws are by rejection.
"""

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import scipy
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.simulation.priors.cdf import InvertibleCdf
from lfi.simulation.priors.marginals import Marginal

MIN_MASS = 1e-6  # of what is sampled by rejection


class TruncatedMarginal(Marginal):
    """A marginal truncated inside its support; ValueError if too little mass is left to sample."""

    def __init__(self, base: Marginal, lower: float, upper: float) -> None:
        super().__init__(base.dtype, lower, upper)
        self.base: Marginal = base
        self.invertible_cdf: InvertibleCdf | None = base.invertible_cdf
        if not self._mass > 0:
            raise ValueError(f"prior has no mass between {lower:g} and {upper:g}")
        if self.invertible_cdf is None and self._mass < MIN_MASS:
            raise ValueError(
                f"prior has mass {self._mass:.1e} between {lower:g} and {upper:g}, and no "
                f"inverse cdf to sample it by: need at least {MIN_MASS:g}"
            )

    @cached_property
    def _edges(self) -> tuple[float, float, Callable[[np.ndarray], np.ndarray]] | None:
        """The cdf (or survival function) at the two ends, and its inverse, where it is known."""
        q = self.invertible_cdf
        if q is None:
            return None
        low = float(q.cdf(self.lower))
        if low < 0.5:
            return low, float(q.cdf(self.upper)), q.ppf
        return float(q.sf(self.lower)), float(q.sf(self.upper)), q.isf

    @cached_property
    def _mass(self) -> float:
        if self._edges is not None:
            return abs(self._edges[1] - self._edges[0])
        density = lambda t: float(self.base.log_prob(torch.tensor(t, dtype=self.dtype)).exp())
        return scipy.integrate.quad(density, self.lower, self.upper, limit=500)[0]

    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, " n"]:
        """Draw n values, by the inverse cdf where it is known."""
        if self._edges is None:
            draw = lambda m: self.base.sample(m, rng)
            inside = lambda t: (t > self.lower) & (t < self.upper)
            return sample_by_rejection(draw, inside, n, self._mass)
        first, last, inverse = self._edges
        values = inverse(first + (last - first) * rng.random(n))
        return torch.as_tensor(np.asarray(values)).to(self.dtype)

    def log_prob(self, t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log density, normalised over the interval."""
        return self.base.log_prob(t) - math.log(self._mass)

    def _spec(self) -> dict[str, Any] | None:
        """Return the plain values before truncation, and the interval."""
        base = self.base._spec()
        return base and {"truncated": base, "lower": self.lower, "upper": self.upper}


def truncate(marginal: Marginal, lower: float, upper: float) -> Marginal:
    """Return the marginal truncated to (lower, upper), itself where that changes nothing."""
    lower, upper = max(lower, marginal.lower), min(upper, marginal.upper)
    if (lower, upper) == (marginal.lower, marginal.upper):
        return marginal
    if not lower < upper:
        raise ValueError(f"prior has no mass between {lower:g} and {upper:g}")
    base = marginal.base if isinstance(marginal, TruncatedMarginal) else marginal
    return TruncatedMarginal(base, lower, upper)


def sample_by_rejection(
    draw: Callable[[int], Tensor], inside: Callable[[Tensor], Tensor], n: int, rate: float
) -> Float[Tensor, "n ..."]:
    """Draw n values by rejection, where about a share `rate` of the draws is accepted."""
    kept, missing = [], n
    while missing > 0:
        values = draw(min(int(1.1 * missing / rate) + 16, 2**18))
        kept.append(values[inside(values)][:missing])
        missing -= len(kept[-1])
    return torch.cat(kept) if kept else draw(0)
