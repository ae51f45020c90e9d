"""Density ratios by critics."""

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

__all__ = [
    "Affine",
    "Beta",
    "Calibration",
    "CriticRatio",
    "Isotonic",
    "fit_ratio",
]
