"""Generators: whoever draws q, and how it is trained."""

from lfi.generation.fidelity import Fidelity, fidelity
from lfi.generation.imitation import fit_surrogate
from lfi.generation.regions import Regions, fidelity_by_region
from lfi.generation.surrogate import OutsideTraining, Surrogate

__all__ = [
    "Fidelity",
    "OutsideTraining",
    "Regions",
    "Surrogate",
    "fidelity",
    "fidelity_by_region",
    "fit_surrogate",
]
