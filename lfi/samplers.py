"""Samplers of posterior densities: importance sampling, chains, SMC, variational inference."""

from lfi.inference import (
    HMC,
    NUTS,
    SMC,
    Automatic,
    Ensemble,
    Importance,
    Variational,
)

__all__ = [
    "Automatic",
    "Ensemble",
    "HMC",
    "Importance",
    "NUTS",
    "SMC",
    "Variational",
]
