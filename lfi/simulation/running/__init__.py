"""Running a simulator many times: in parallel, resumable."""

from lfi.simulation.running.replicate import (
    replicate,
    simulate_at,
)
from lfi.simulation.running.simulate import (
    simulate,
)

__all__ = [
    "replicate",
    "simulate",
    "simulate_at",
]
