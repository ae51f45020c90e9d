"""Penalties on critics, and constraints on their weights."""

from lfi.comparison import (
    DRAGAN as DRAGAN,
    R1 as R1,
    R2 as R2,
    Annealed as Annealed,
    Balance as Balance,
    GradientPenalty as GradientPenalty,
    SpectralNorm as SpectralNorm,
    WeightClipping as WeightClipping,
)
