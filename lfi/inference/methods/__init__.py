"""Methods: from simulations to a posterior."""

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

__all__ = [
    "NeuralRatio",
    "Pool",
    "PosteriorFlow",
    "SurrogateLikelihood",
]
