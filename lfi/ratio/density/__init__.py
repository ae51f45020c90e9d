"""Densities by a ratio to a reference."""

from lfi.ratio.density.density import (
    RatioDensity,
    fit_density,
)
from lfi.ratio.density.reference import (
    WideT,
)

__all__ = [
    "RatioDensity",
    "WideT",
    "fit_density",
]
