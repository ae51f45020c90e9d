"""Samplers of posterior densities: importance sampling, chains, SMC, variational inference."""

from lfi.inference import (
    HMC,
    NUTS,
    SMC,
    Automatic,
    DifferentialEvolution,
    Importance,
    Variational,
)

__all__ = [
    "Automatic",
    "DifferentialEvolution",
    "HMC",
    "Importance",
    "NUTS",
    "SMC",
    "Variational",
]
