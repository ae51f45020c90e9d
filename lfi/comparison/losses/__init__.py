"""Losses of critics and generators: divergences, contrastive, relativistic and decision losses."""

from lfi.comparison.losses.contrastive import (
    NREB,
    NREC,
    Contrastive,
    InfoNCE,
)
from lfi.comparison.losses.custom import (
    FDivergence,
)
from lfi.comparison.losses.decision import (
    Hinge,
    Misclassification,
)
from lfi.comparison.losses.divergence import (
    Divergence,
    WithPrior,
)
from lfi.comparison.losses.divergences import (
    KL,
    KLIEP,
    LSIF,
    AlphaDivergence,
    Bernoulli,
    Brier,
    Exponential,
    Jeffreys,
    JensenShannon,
    NeymanChiSquared,
    NonSaturating,
    PearsonChiSquared,
    PowerDivergence,
    ReverseKL,
    Spherical,
    SquaredHellinger,
    TotalVariation,
    Triangular,
)
from lfi.comparison.losses.learned_features import (
    LearnedFeatures,
)
from lfi.comparison.losses.least_squares import (
    LeastSquares,
)
from lfi.comparison.losses.relativistic import (
    DonskerVaradhan,
    Relativistic,
    RelativisticPaired,
    Wasserstein,
)

__all__ = [
    "AlphaDivergence",
    "Bernoulli",
    "Brier",
    "Contrastive",
    "Divergence",
    "DonskerVaradhan",
    "Exponential",
    "FDivergence",
    "Hinge",
    "InfoNCE",
    "Jeffreys",
    "JensenShannon",
    "KL",
    "KLIEP",
    "LSIF",
    "LearnedFeatures",
    "LeastSquares",
    "Misclassification",
    "NREB",
    "NREC",
    "NeymanChiSquared",
    "NonSaturating",
    "RelativisticPaired",
    "PearsonChiSquared",
    "PowerDivergence",
    "Relativistic",
    "ReverseKL",
    "Spherical",
    "SquaredHellinger",
    "TotalVariation",
    "Triangular",
    "Wasserstein",
    "WithPrior",
]
