"""Penalties on critics, and constraints on their weights."""

from lfi.comparison import (
    DRAGAN,
    R1,
    R2,
    Annealed,
    Balance,
    GradientPenalty,
    SpectralNorm,
    WeightClipping,
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
