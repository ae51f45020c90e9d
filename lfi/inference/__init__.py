"""Inference: posteriors over a simulator's parameters, and their draws."""

from lfi.inference.abc.accepted import (
    Accepted,
    Generation,
)
from lfi.inference.abc.adjustment import (
    Heteroscedastic,
    LocalLinear,
)
from lfi.inference.abc.distances import (
    Distance,
    FittedRatio,
    Samples,
)
from lfi.inference.abc.proposals import (
    Defensive,
    Global,
    Local,
)
from lfi.inference.abc.rejection import (
    abc_rejection,
)
from lfi.inference.abc.schedules import (
    DistanceQuantile,
    Survival,
)
from lfi.inference.abc.smc import (
    abc_smc,
)
from lfi.inference.abc.summaries import (
    SemiAutomatic,
    Summaries,
    combined_deviation,
    deviation,
    prudent_deviation,
)
from lfi.inference.arviz import (
    inference_data,
)
from lfi.inference.fit import (
    fit_posterior,
)
from lfi.inference.lfire.lfire import (
    LFIREPosterior,
    fit_lfire,
    grid,
)
from lfi.inference.methods.neural_ratio import (
    NeuralRatio,
)
from lfi.inference.methods.pool import (
    Pool,
)
from lfi.inference.methods.posterior_flow import (
    PosteriorFlow,
)
from lfi.inference.methods.surrogate_likelihood import (
    SurrogateLikelihood,
)
from lfi.inference.posteriors.base import (
    TargetPosterior,
)
from lfi.inference.posteriors.conditional import (
    AmortisedPosterior,
    ConditionalPosterior,
    TrialsPosterior,
)
from lfi.inference.posteriors.flow import (
    FlowPosterior,
)
from lfi.inference.posteriors.likelihood import (
    LikelihoodPosterior,
)
from lfi.inference.posteriors.pooled import (
    Choice,
    PooledPosterior,
)
from lfi.inference.posteriors.ratio import (
    RatioPosterior,
)
from lfi.inference.posteriors.sbi import (
    from_sbi,
    to_sbi,
)
from lfi.inference.rounds.fit import (
    fit_rounds,
    plan,
)
from lfi.inference.samplers.automatic import (
    Automatic,
)
from lfi.inference.samplers.differential_evolution import (
    DifferentialEvolution,
)
from lfi.inference.samplers.hmc import (
    HMC,
)
from lfi.inference.samplers.importance import (
    Importance,
)
from lfi.inference.samplers.nuts import (
    NUTS,
)
from lfi.inference.samplers.smc import (
    SMC,
)
from lfi.inference.samplers.target import (
    Proposal,
    Sampler,
    Target,
)
from lfi.inference.samplers.variational import (
    Variational,
)
from lfi.inference.types import (
    Draws,
    Method,
    Posterior,
    Weighted,
)

__all__ = [
    "DifferentialEvolution",
    "AmortisedPosterior",
    "Accepted",
    "Automatic",
    "Choice",
    "ConditionalPosterior",
    "Defensive",
    "Distance",
    "DistanceQuantile",
    "Draws",
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
    "plan",
    "prudent_deviation",
    "to_sbi",
]
