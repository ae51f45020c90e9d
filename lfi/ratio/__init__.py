"""Ratio: density ratios from two samples, by networks, kernels and telescopes."""

from lfi.ratio.density.density import (
    RatioDensity,
    fit_density,
)
from lfi.ratio.density.reference import (
    WideT,
)
from lfi.ratio.kernel.kernel_ratio import (
    KernelRatio,
)
from lfi.ratio.mutual_information import (
    mutual_information,
)
from lfi.ratio.neural.calibration import (
    Affine,
    Beta,
    Calibration,
    Isotonic,
)
from lfi.ratio.neural.critic_ratio import (
    CriticRatio,
)
from lfi.ratio.neural.fit import (
    fit_ratio,
)
from lfi.ratio.telescoping.telescoping import (
    TelescopingRatio,
)
from lfi.ratio.types import (
    Estimate,
    ImportanceWeights,
    Ratio,
)
from lfi.ratio.wasserstein_distance import (
    Potential,
    WassersteinEstimate,
    wasserstein_distance,
)

__all__ = [
    "Affine",
    "Beta",
    "Calibration",
    "CriticRatio",
    "Estimate",
    "ImportanceWeights",
    "Isotonic",
    "KernelRatio",
    "Potential",
    "Ratio",
    "RatioDensity",
    "TelescopingRatio",
    "WassersteinEstimate",
    "WideT",
    "fit_density",
    "fit_ratio",
    "mutual_information",
    "wasserstein_distance",
]
