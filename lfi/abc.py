"""Parts of approximate Bayesian computation: distances, summaries, adjustments, schedules."""

from lfi.inference import (
    Accepted as Accepted,
    Defensive as Defensive,
    Distance as Distance,
    DistanceQuantile as DistanceQuantile,
    FittedRatio as FittedRatio,
    Global as Global,
    Heteroscedastic as Heteroscedastic,
    Local as Local,
    LocalLinear as LocalLinear,
    Samples as Samples,
    SemiAutomatic as SemiAutomatic,
    Summaries as Summaries,
    Survival as Survival,
)
