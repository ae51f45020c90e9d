"""Samplers of posterior densities: importance sampling, chains, SMC, variational inference."""

from lfi.inference import (
    HMC as HMC,
    NUTS as NUTS,
    SMC as SMC,
    Automatic as Automatic,
    DifferentialEvolution as DifferentialEvolution,
    Importance as Importance,
    UnreliableDraws as UnreliableDraws,
    Variational as Variational,
)
