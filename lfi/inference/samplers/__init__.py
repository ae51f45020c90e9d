"""Samplers of a posterior density."""

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

__all__ = [
    "DifferentialEvolution",
    "Automatic",
    "HMC",
    "Importance",
    "NUTS",
    "Proposal",
    "SMC",
    "Sampler",
    "Target",
    "Variational",
]
