"""Truncated sequential rounds."""

from lfi.inference.rounds.fit import (
    fit_rounds,
    plan,
)

__all__ = [
    "fit_rounds",
    "plan",
]
