"""Density ratios of two samples, by networks, kernels and telescoping."""

from lfi.ratio.density.density import RatioDensity as RatioDensity, fit_density as fit_density
from lfi.ratio.density.reference import WideT as WideT
from lfi.ratio.kernel.kernel_ratio import KernelRatio as KernelRatio
from lfi.ratio.mutual_information import mutual_information as mutual_information
from lfi.ratio.neural.calibration import (
    Affine as Affine,
    Beta as Beta,
    Calibration as Calibration,
    Isotonic as Isotonic,
)
from lfi.ratio.neural.critic_ratio import CriticRatio as CriticRatio
from lfi.ratio.neural.fit import fit_ratio as fit_ratio
from lfi.ratio.telescoping.telescoping import TelescopingRatio as TelescopingRatio
from lfi.ratio.types import (
    Estimate as Estimate,
    ImportanceWeights as ImportanceWeights,
    Ratio as Ratio,
)
from lfi.ratio.wasserstein_distance import (
    Potential as Potential,
    WassersteinEstimate as WassersteinEstimate,
    wasserstein_distance as wasserstein_distance,
)
