"""Kernels: positive definite functions of two points, for MMD and its tests."""

from lfi.comparison import (
    Gaussian as Gaussian,
    InverseMultiquadric as InverseMultiquadric,
    Laplace as Laplace,
    Learned as Learned,
    Linear as Linear,
    Polynomial as Polynomial,
    Quantile as Quantile,
    RationalQuadratic as RationalQuadratic,
    Sum as Sum,
    fixed as fixed,
)
