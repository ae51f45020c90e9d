"""Parts of approximate Bayesian computation: distances, summaries, adjustments, schedules."""

from lfi.inference import (
    ABCPosterior as ABCPosterior,
    DefensiveMixture as DefensiveMixture,
    Distance as Distance,
    DistanceQuantile as DistanceQuantile,
    ESSFraction as ESSFraction,
    FittedRatio as FittedRatio,
    GlobalCovariance as GlobalCovariance,
    Heteroscedastic as Heteroscedastic,
    LocalCovariance as LocalCovariance,
    LocalLinear as LocalLinear,
    SampleDistance as SampleDistance,
    SemiAutomatic as SemiAutomatic,
    Summaries as Summaries,
)
