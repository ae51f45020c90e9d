"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.abc_accepted import Accepted, Generation
from lfi.inference.abc_adjustment import Heteroscedastic, LocalLinear
from lfi.inference.abc_distances import Distance, FittedRatio, Samples
from lfi.inference.abc_proposals import Global, Local
from lfi.inference.abc_rejection import abc_rejection
from lfi.inference.abc_schedules import DistanceQuantile, Survival
from lfi.inference.abc_smc import abc_smc
from lfi.inference.abc_summaries import (
    SemiAutomatic,
    Summaries,
    combined_deviation,
    deviation,
    prudent_deviation,
)
from lfi.inference.export import inference_data
from lfi.inference.files import load
from lfi.inference.lfire import LFIREPosterior, fit_lfire, grid
from lfi.inference.neural_ratio import NeuralRatio, fit_posterior
from lfi.inference.posterior import Draws, Method, Posterior, Weighted
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.inference.rounds import fit_rounds, plan

__all__ = [
    "Accepted",
    "Distance",
    "DistanceQuantile",
    "Draws",
    "FittedRatio",
    "Generation",
    "Global",
    "Heteroscedastic",
    "LFIREPosterior",
    "Local",
    "LocalLinear",
    "Method",
    "NeuralRatio",
    "Posterior",
    "RatioPosterior",
    "Samples",
    "SemiAutomatic",
    "Summaries",
    "Survival",
    "Weighted",
    "abc_rejection",
    "abc_smc",
    "combined_deviation",
    "deviation",
    "fit_posterior",
    "fit_rounds",
    "fit_lfire",
    "grid",
    "inference_data",
    "load",
    "plan",
    "prudent_deviation",
]
