"""Simulation: named priors, simulators, the runner and its store."""

from lfi.simulation.adapters import as_simulator, simulator
from lfi.simulation.priors import Prior, as_prior
from lfi.simulation.replicates import replicate, simulate_at
from lfi.simulation.run import simulate
from lfi.simulation.sampled import sampled_prior
from lfi.simulation.simulations import Simulations
from lfi.simulation.simulator import Simulator
from lfi.simulation.streams import Streamed

__all__ = [
    "Prior",
    "Simulations",
    "Simulator",
    "as_prior",
    "as_simulator",
    "Streamed",
    "replicate",
    "sampled_prior",
    "simulate",
    "simulate_at",
    "simulator",
]
