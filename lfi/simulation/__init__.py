"""Simulation: named priors, simulators, the runner and its store."""

from lfi.simulation.priors.prior import (
    Prior,
    as_prior,
)
from lfi.simulation.priors.sampled import (
    sampled_prior,
)
from lfi.simulation.records.simulations import (
    Simulations,
)
from lfi.simulation.records.streamed import (
    StreamedBatches,
)
from lfi.simulation.running.replicate import (
    replicate,
    simulate_at,
)
from lfi.simulation.running.simulate import (
    simulate,
)
from lfi.simulation.simulators.simulator import (
    Simulator,
)
from lfi.simulation.simulators.wrap import (
    as_simulator,
    simulator,
)

__all__ = [
    "Prior",
    "Simulations",
    "Simulator",
    "StreamedBatches",
    "as_prior",
    "as_simulator",
    "replicate",
    "sampled_prior",
    "simulate",
    "simulate_at",
    "simulator",
]
