"""Discrepancies of two samples: MMD, energy, transport, moments, density difference, classifier.

`LearnedDivergence` is that of a critic which is fitted to them, by any f-divergence;
`OptimalWeights` are weights of simulations for them, by the simulations' noise.
"""

from lfi.comparison import (
    LSDD as LSDD,
    MMD as MMD,
    Biased as Biased,
    Block as Block,
    ClassifierDiscrepancy as ClassifierDiscrepancy,
    Energy as Energy,
    LearnedDivergence as LearnedDivergence,
    Moments as Moments,
    OptimalWeights as OptimalWeights,
    RandomFeatureMMD as RandomFeatureMMD,
    Sinkhorn as Sinkhorn,
    SlicedWasserstein as SlicedWasserstein,
    Unbiased as Unbiased,
    Wasserstein1D as Wasserstein1D,
)
