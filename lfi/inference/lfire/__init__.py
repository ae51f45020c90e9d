"""LFIRE: likelihood-free inference by ratio estimation."""

from lfi.inference.lfire.lfire import (
    LFIREPosterior,
    fit_lfire,
    grid,
)

__all__ = [
    "LFIREPosterior",
    "fit_lfire",
    "grid",
]
