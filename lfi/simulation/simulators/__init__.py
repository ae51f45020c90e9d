"""Simulators: functions, commands and Pyro models with a prior."""

from lfi.simulation.simulators.simulator import (
    Simulator,
)
from lfi.simulation.simulators.wrap import (
    as_simulator,
    simulator,
)

__all__ = [
    "Simulator",
    "as_simulator",
    "simulator",
]
