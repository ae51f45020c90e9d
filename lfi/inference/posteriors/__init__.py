"""Posteriors: by ratio, flow, likelihood, pool."""

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

__all__ = [
    "AmortisedPosterior",
    "Choice",
    "ConditionalPosterior",
    "FlowPosterior",
    "LikelihoodPosterior",
    "PooledPosterior",
    "RatioPosterior",
    "TargetPosterior",
    "TrialsPosterior",
    "from_sbi",
    "to_sbi",
]
