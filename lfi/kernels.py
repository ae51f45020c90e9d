"""Kernels: positive definite functions of two points, for MMD and its tests."""

from lfi.comparison import (
    Gaussian,
    InverseMultiquadric,
    Laplace,
    Learned,
    Linear,
    Polynomial,
    Quantile,
    RationalQuadratic,
    Sum,
    fixed,
)

__all__ = [
    "Gaussian",
    "InverseMultiquadric",
    "Laplace",
    "Learned",
    "Linear",
    "Polynomial",
    "Quantile",
    "RationalQuadratic",
    "Sum",
    "fixed",
]
