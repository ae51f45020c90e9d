"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.export import inference_data
from lfi.inference.files import load
from lfi.inference.fit import fit_posterior
from lfi.inference.neural_ratio import NeuralRatio
from lfi.inference.posterior import Draws, Method, Posterior, Weighted
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.inference.rounds import fit_rounds, plan

__all__ = [
    "Draws",
    "Method",
    "NeuralRatio",
    "Posterior",
    "RatioPosterior",
    "Weighted",
    "fit_posterior",
    "fit_rounds",
    "inference_data",
    "load",
    "plan",
]
