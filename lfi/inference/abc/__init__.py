"""Approximate Bayesian computation."""

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

__all__ = [
    "Accepted",
    "Defensive",
    "Distance",
    "DistanceQuantile",
    "FittedRatio",
    "Generation",
    "Global",
    "Heteroscedastic",
    "Local",
    "LocalLinear",
    "Samples",
    "SemiAutomatic",
    "Summaries",
    "Survival",
    "abc_rejection",
    "abc_smc",
    "combined_deviation",
    "deviation",
    "prudent_deviation",
]
