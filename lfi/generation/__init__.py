"""Generators: whoever draws q, and how it is trained."""

from lfi.generation.fidelity import Fidelity, fidelity
from lfi.generation.surrogate import Surrogate, fit_surrogate

__all__ = ["Fidelity", "Surrogate", "fidelity", "fit_surrogate"]
