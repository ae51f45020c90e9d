"""Records of simulations, in memory and on disk."""

from lfi.simulation.records.simulations import (
    Simulations,
)
from lfi.simulation.records.streamed import (
    StreamedBatches,
)

__all__ = [
    "Simulations",
    "StreamedBatches",
]
