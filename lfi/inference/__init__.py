"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.automatic import Automatic
from lfi.inference.ensemble import Ensemble
from lfi.inference.export import inference_data
from lfi.inference.files import load
from lfi.inference.fit import fit_posterior
from lfi.inference.importance import Importance
from lfi.inference.neural_ratio import NeuralRatio
from lfi.inference.posterior import Draws, Method, Posterior, Weighted
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.inference.rounds import fit_rounds, plan
from lfi.inference.target_posterior import TargetPosterior
from lfi.inference.targets import Proposal, Sampler, Target
from lfi.inference.views import ConditionalPosterior, TrialsPosterior

__all__ = [
    "Automatic",
    "ConditionalPosterior",
    "Draws",
    "Ensemble",
    "Importance",
    "Method",
    "NeuralRatio",
    "Posterior",
    "Proposal",
    "RatioPosterior",
    "Sampler",
    "Target",
    "TargetPosterior",
    "TrialsPosterior",
    "Weighted",
    "fit_posterior",
    "fit_rounds",
    "inference_data",
    "load",
    "plan",
]
