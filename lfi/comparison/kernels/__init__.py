"""Kernels: positive definite functions of two points."""

from lfi.comparison.kernels.composite import (
    Learned,
    Sum,
)
from lfi.comparison.kernels.stationary import (
    Gaussian,
    InverseMultiquadric,
    Kernel,
    Laplace,
    Linear,
    Quantile,
    RationalQuadratic,
    fixed,
)

__all__ = [
    "Gaussian",
    "InverseMultiquadric",
    "Kernel",
    "Laplace",
    "Learned",
    "Linear",
    "Quantile",
    "RationalQuadratic",
    "Sum",
    "fixed",
]
