"""Penalties on critics, and constraints on their weights."""

from lfi.comparison.penalties.annealed import (
    Annealed,
)
from lfi.comparison.penalties.constraints import (
    SpectralNorm,
    WeightClipping,
)
from lfi.comparison.penalties.gradient import (
    DRAGAN,
    R1,
    R2,
    Balance,
    GradientPenalty,
)

__all__ = [
    "Annealed",
    "Balance",
    "DRAGAN",
    "GradientPenalty",
    "R1",
    "R2",
    "SpectralNorm",
    "WeightClipping",
]
