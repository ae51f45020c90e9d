"""Priors with named parameters."""

from lfi.simulation.priors.prior import (
    Prior,
    as_prior,
)
from lfi.simulation.priors.sampled import (
    sampled_prior,
)

__all__ = [
    "Prior",
    "as_prior",
    "sampled_prior",
]
