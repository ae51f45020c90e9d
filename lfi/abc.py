"""Parts of approximate Bayesian computation: distances, summaries, adjustments, schedules."""

from lfi.inference import (
    Accepted,
    Defensive,
    Distance,
    DistanceQuantile,
    FittedRatio,
    Global,
    Heteroscedastic,
    Local,
    LocalLinear,
    Samples,
    SemiAutomatic,
    Summaries,
    Survival,
)

__all__ = [
    "Accepted",
    "Defensive",
    "Distance",
    "DistanceQuantile",
    "FittedRatio",
    "Global",
    "Heteroscedastic",
    "Local",
    "LocalLinear",
    "Samples",
    "SemiAutomatic",
    "Summaries",
    "Survival",
]
