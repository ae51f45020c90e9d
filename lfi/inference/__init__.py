"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.abc.accepted import (
    ABCPosterior as ABCPosterior,
    PopulationSummary as PopulationSummary,
)
from lfi.inference.abc.adjustment import (
    Heteroscedastic as Heteroscedastic,
    LocalLinear as LocalLinear,
)
from lfi.inference.abc.distances import (
    Distance as Distance,
    FittedRatio as FittedRatio,
    SampleDistance as SampleDistance,
)
from lfi.inference.abc.proposals import (
    DefensiveMixture as DefensiveMixture,
    GlobalCovariance as GlobalCovariance,
    LocalCovariance as LocalCovariance,
)
from lfi.inference.abc.rejection import abc_rejection as abc_rejection
from lfi.inference.abc.schedules import (
    DistanceQuantile as DistanceQuantile,
    ESSFraction as ESSFraction,
)
from lfi.inference.abc.smc import abc_smc as abc_smc
from lfi.inference.abc.summaries import (
    SemiAutomatic as SemiAutomatic,
    Summaries as Summaries,
    cmad as cmad,
    mad as mad,
    pcmad as pcmad,
)
from lfi.inference.arviz import inference_data as inference_data
from lfi.inference.draws import Draws as Draws, WeightedDraws as WeightedDraws
from lfi.inference.fit import fit_posterior as fit_posterior
from lfi.inference.implicit.fit import fit_implicit as fit_implicit
from lfi.inference.implicit.message import EPMessage as EPMessage, ep_message as ep_message
from lfi.inference.implicit.posterior import (
    FitVerdict as FitVerdict,
    ImplicitPosterior as ImplicitPosterior,
)
from lfi.inference.implicit.pyro_distribution import ratio_distribution as ratio_distribution
from lfi.inference.lfire.lfire import (
    LFIREPosterior as LFIREPosterior,
    fit_lfire as fit_lfire,
    parameter_grid as parameter_grid,
)
from lfi.inference.methods.adversarial_posterior import (
    AdversarialPosterior as AdversarialPosterior,
)
from lfi.inference.methods.neural_ratio import NeuralRatio as NeuralRatio
from lfi.inference.methods.pool import Pool as Pool
from lfi.inference.methods.posterior_flow import PosteriorFlow as PosteriorFlow
from lfi.inference.methods.surrogate_likelihood import SurrogateLikelihood as SurrogateLikelihood
from lfi.inference.minimum_distance.bootstrap import (
    ParametricBootstrap as ParametricBootstrap,
    PosteriorBootstrap as PosteriorBootstrap,
)
from lfi.inference.minimum_distance.fit import fit_minimum_distance as fit_minimum_distance
from lfi.inference.minimum_distance.result import (
    MinimumDistance as MinimumDistance,
    Starts as Starts,
)
from lfi.inference.posteriors.adversarial import GeneratorPosterior as GeneratorPosterior
from lfi.inference.posteriors.base import TargetPosterior as TargetPosterior
from lfi.inference.posteriors.conditional import (
    AmortisedPosterior as AmortisedPosterior,
    ConditionalPosterior as ConditionalPosterior,
    TrialsPosterior as TrialsPosterior,
)
from lfi.inference.posteriors.factors import (
    to_pyro as to_pyro,
    to_pytensor as to_pytensor,
    torch_in_pytensor as torch_in_pytensor,
)
from lfi.inference.posteriors.flow import FlowPosterior as FlowPosterior
from lfi.inference.posteriors.likelihood import LikelihoodPosterior as LikelihoodPosterior
from lfi.inference.posteriors.pooled import (
    PoolChoice as PoolChoice,
    PooledPosterior as PooledPosterior,
)
from lfi.inference.posteriors.ratio import RatioPosterior as RatioPosterior
from lfi.inference.posteriors.sbi import from_sbi as from_sbi, to_sbi as to_sbi
from lfi.inference.reliability import UnreliableDraws as UnreliableDraws
from lfi.inference.rounds.fit import (
    TruncatedMass as TruncatedMass,
    fit_rounds as fit_rounds,
    plan_budget as plan_budget,
)
from lfi.inference.samplers.automatic import Automatic as Automatic
from lfi.inference.samplers.differential_evolution import (
    DifferentialEvolution as DifferentialEvolution,
)
from lfi.inference.samplers.hmc import HMC as HMC
from lfi.inference.samplers.importance import Importance as Importance
from lfi.inference.samplers.nuts import NUTS as NUTS
from lfi.inference.samplers.smc import SMC as SMC
from lfi.inference.samplers.target import Proposal as Proposal, Sampler as Sampler, Target as Target
from lfi.inference.samplers.variational import Variational as Variational
from lfi.inference.surrogate_search.fit import search as search
from lfi.inference.surrogate_search.result import (
    SearchResult as SearchResult,
    SearchRound as SearchRound,
)
from lfi.inference.types import Method as Method, Posterior as Posterior
from lfi.inference.variational_optimisation.fit import fit_avo as fit_avo
from lfi.inference.variational_optimisation.optimum import (
    ParameterProposal as ParameterProposal,
    VariationalOptimum as VariationalOptimum,
)
