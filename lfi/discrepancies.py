"""Discrepancies of two samples: MMD, energy, transport, moments, density difference, classifier."""

from lfi.comparison import (
    LSDD,
    MMD,
    Biased,
    Block,
    ClassifierDiscrepancy,
    Energy,
    Moments,
    RandomFeatureMMD,
    Sinkhorn,
    SlicedWasserstein,
    Unbiased,
    Wasserstein1D,
)

__all__ = [
    "Biased",
    "Block",
    "ClassifierDiscrepancy",
    "Energy",
    "LSDD",
    "MMD",
    "Moments",
    "RandomFeatureMMD",
    "Sinkhorn",
    "SlicedWasserstein",
    "Unbiased",
    "Wasserstein1D",
]
