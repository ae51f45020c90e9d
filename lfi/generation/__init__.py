"""Generators: whoever draws q, and how it is trained."""

from lfi.generation.fidelity import Fidelity, fidelity
from lfi.generation.imitation import fit_surrogate
from lfi.generation.surrogate import OutsideTraining, Surrogate

__all__ = ["Fidelity", "OutsideTraining", "Surrogate", "fidelity", "fit_surrogate"]
