"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.abc_accepted import Accepted, Generation
from lfi.inference.abc_adjustment import Heteroscedastic, LocalLinear
from lfi.inference.abc_distances import Distance, FittedRatio, Samples
from lfi.inference.abc_proposals import Defensive, Global, Local
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
from lfi.inference.annealed import SMC
from lfi.inference.automatic import Automatic
from lfi.inference.ensemble import Ensemble
from lfi.inference.export import inference_data
from lfi.inference.files import load
from lfi.inference.fit import fit_posterior
from lfi.inference.flow_posterior import FlowPosterior
from lfi.inference.hamiltonian import HMC
from lfi.inference.importance import Importance
from lfi.inference.lfire import LFIREPosterior, fit_lfire, grid
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

__all__ = [
    "Accepted",
    "Automatic",
    "Choice",
    "ConditionalPosterior",
    "Defensive",
    "Distance",
    "DistanceQuantile",
    "Draws",
    "Ensemble",
    "FittedRatio",
    "FlowPosterior",
    "Generation",
    "Global",
    "HMC",
    "Heteroscedastic",
    "Importance",
    "LFIREPosterior",
    "LikelihoodPosterior",
    "Local",
    "LocalLinear",
    "Method",
    "NUTS",
    "NeuralRatio",
    "Pool",
    "PooledPosterior",
    "Posterior",
    "PosteriorFlow",
    "Proposal",
    "RatioPosterior",
    "SMC",
    "Sampler",
    "Samples",
    "SemiAutomatic",
    "Summaries",
    "SurrogateLikelihood",
    "Survival",
    "Target",
    "TargetPosterior",
    "TrialsPosterior",
    "Variational",
    "Weighted",
    "abc_rejection",
    "abc_smc",
    "combined_deviation",
    "deviation",
    "fit_lfire",
    "fit_posterior",
    "fit_rounds",
    "from_sbi",
    "grid",
    "inference_data",
    "load",
    "plan",
    "prudent_deviation",
    "to_sbi",
]
