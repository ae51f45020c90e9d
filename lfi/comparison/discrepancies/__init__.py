"""Discrepancies of two samples: MMD, energy, transport, moments, density difference."""

from lfi.comparison.discrepancies.classifier import (
    ClassifierDiscrepancy,
)
from lfi.comparison.discrepancies.energy import (
    Energy,
    energy_kernel,
    energy_to,
)
from lfi.comparison.discrepancies.lsdd import (
    LSDD,
)
from lfi.comparison.discrepancies.mmd import (
    MMD,
)
from lfi.comparison.discrepancies.mmd_estimators import (
    Biased,
    Block,
    Estimator,
    Unbiased,
)
from lfi.comparison.discrepancies.moments import (
    Moments,
)
from lfi.comparison.discrepancies.random_features import (
    RandomFeatureMMD,
)
from lfi.comparison.discrepancies.sinkhorn import (
    Sinkhorn,
)
from lfi.comparison.discrepancies.wasserstein import (
    SlicedWasserstein,
    Wasserstein1D,
)

__all__ = [
    "Biased",
    "Block",
    "ClassifierDiscrepancy",
    "Energy",
    "Estimator",
    "LSDD",
    "MMD",
    "Moments",
    "RandomFeatureMMD",
    "Sinkhorn",
    "SlicedWasserstein",
    "Unbiased",
    "Wasserstein1D",
    "energy_kernel",
    "energy_to",
]
