"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.annealed import SMC
from lfi.inference.automatic import Automatic
from lfi.inference.ensemble import Ensemble
from lfi.inference.export import inference_data
from lfi.inference.files import load
from lfi.inference.fit import fit_posterior
from lfi.inference.flow_posterior import FlowPosterior
from lfi.inference.hamiltonian import HMC
from lfi.inference.importance import Importance
from lfi.inference.likelihood_posterior import LikelihoodPosterior
from lfi.inference.neural_ratio import NeuralRatio
from lfi.inference.nuts import NUTS
from lfi.inference.pool import Pool
from lfi.inference.pooled_posterior import Choice, PooledPosterior
from lfi.inference.posterior import Draws, Method, Posterior, Weighted
from lfi.inference.posterior_flow import PosteriorFlow
from lfi.inference.ratio_posterior import RatioPosterior
from lfi.inference.rounds import fit_rounds, plan
from lfi.inference.sbi_bridge import from_sbi, to_sbi
from lfi.inference.surrogate_likelihood import SurrogateLikelihood
from lfi.inference.target_posterior import TargetPosterior
from lfi.inference.targets import Proposal, Sampler, Target
from lfi.inference.variational import Variational
from lfi.inference.views import ConditionalPosterior, TrialsPosterior
from lfi.inference.weighed import WeighedPosterior

__all__ = [
    "HMC",
    "NUTS",
    "SMC",
    "Automatic",
    "Choice",
    "ConditionalPosterior",
    "Draws",
    "Ensemble",
    "FlowPosterior",
    "Importance",
    "LikelihoodPosterior",
    "Method",
    "NeuralRatio",
    "Pool",
    "PooledPosterior",
    "Posterior",
    "PosteriorFlow",
    "Proposal",
    "RatioPosterior",
    "Sampler",
    "SurrogateLikelihood",
    "Target",
    "TargetPosterior",
    "TrialsPosterior",
    "Variational",
    "WeighedPosterior",
    "Weighted",
    "fit_posterior",
    "fit_rounds",
    "from_sbi",
    "inference_data",
    "load",
    "plan",
    "to_sbi",
]
