"""Surrogates of simulators, and their fidelity."""

from lfi.generation.surrogates.fidelity import (
    Fidelity,
    fidelity,
)
from lfi.generation.surrogates.fidelity_by_region import (
    Regions,
    fidelity_by_region,
)
from lfi.generation.surrogates.fit import (
    fit_surrogate,
)
from lfi.generation.surrogates.surrogate import (
    OutsideTraining,
    Surrogate,
)

__all__ = [
    "Fidelity",
    "OutsideTraining",
    "Regions",
    "Surrogate",
    "fidelity",
    "fidelity_by_region",
    "fit_surrogate",
]
