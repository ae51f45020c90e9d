"""Ratio: density ratios from two samples, by networks, kernels and telescopes."""

from lfi.ratio.calibration import Affine, Beta, Calibration, Isotonic
from lfi.ratio.critic_ratio import CriticRatio
from lfi.ratio.density import RatioDensity, fit_density
from lfi.ratio.information import mutual_information
from lfi.ratio.kernel_ratio import KernelRatio
from lfi.ratio.neural import fit_ratio
from lfi.ratio.ratio import Estimate, ImportanceWeights, Ratio
from lfi.ratio.reference import WideT
from lfi.ratio.telescoping import TelescopingRatio
from lfi.ratio.wasserstein import Potential, WassersteinEstimate, wasserstein_distance

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
