"""Comparison: the mathematics of two samples, tensors in, numbers out, no training loop."""

from lfi.comparison.adversarial import (
    Adversarial,
    DirectGenerator,
    objective,
    recovered,
)
from lfi.comparison.contrasts import (
    against_generator,
    joint_among,
    joint_vs_marginals,
    two_samples,
)
from lfi.comparison.discrepancies.classifier import (
    ClassifierDiscrepancy,
)
from lfi.comparison.discrepancies.energy import (
    Energy,
    energy_kernel,
    energy_to,
)
from lfi.comparison.discrepancies.lsdd import (
    LSDD,
)
from lfi.comparison.discrepancies.mmd import (
    MMD,
)
from lfi.comparison.discrepancies.mmd_estimators import (
    Biased,
    Block,
    Estimator,
    Unbiased,
)
from lfi.comparison.discrepancies.moments import (
    Moments,
)
from lfi.comparison.discrepancies.random_features import (
    RandomFeatureMMD,
)
from lfi.comparison.discrepancies.sinkhorn import (
    Sinkhorn,
)
from lfi.comparison.discrepancies.wasserstein import (
    SlicedWasserstein,
    Wasserstein1D,
)
from lfi.comparison.kernels.composite import (
    Learned,
    Sum,
)
from lfi.comparison.kernels.stationary import (
    Gaussian,
    InverseMultiquadric,
    Kernel,
    Laplace,
    Linear,
    Quantile,
    RationalQuadratic,
    fixed,
)
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
from lfi.comparison.penalties.annealed import (
    Annealed,
)
from lfi.comparison.penalties.constraints import (
    SpectralNorm,
    WeightClipping,
)
from lfi.comparison.penalties.gradient import (
    DRAGAN,
    R1,
    R2,
    Balance,
    GradientPenalty,
)
from lfi.comparison.scores.classifier_score import (
    ClassifierScore,
    classifier_score,
)
from lfi.comparison.scores.frechet import (
    frechet_distance,
    frechet_of_gaussians,
)
from lfi.comparison.scores.kernel_distance import (
    KernelDistance,
    Polynomial,
    kernel_distance,
)
from lfi.comparison.scores.memorisation import (
    Memorisation,
    memorisation,
)
from lfi.comparison.scores.mode_coverage import (
    ModeScores,
    mode_scores,
)
from lfi.comparison.scores.ms_ssim import (
    Diversity,
    diversity,
    ms_ssim,
)
from lfi.comparison.scores.precision_recall import (
    SupportScores,
    expected_coverage,
    support_scores,
)
from lfi.comparison.two_sample.c2st import (
    C2ST,
    c2st,
)
from lfi.comparison.two_sample.kernel_tests import (
    energy_test,
    mmd_test,
)
from lfi.comparison.two_sample.lsdd_test import (
    lsdd_test,
)
from lfi.comparison.two_sample.permutation import (
    TwoSampleTest,
)
from lfi.comparison.types import (
    Batch,
    Constraint,
    Contrast,
    Critic,
    CriticLoss,
    Discrepancy,
    DivergenceEstimate,
    EmbeddingCritic,
    GeneratorLoss,
    OfMeans,
    Penalty,
    Recovers,
    Values,
)

__all__ = [
    "Adversarial",
    "AlphaDivergence",
    "Annealed",
    "Balance",
    "Batch",
    "Bernoulli",
    "Biased",
    "Block",
    "Brier",
    "C2ST",
    "ClassifierDiscrepancy",
    "ClassifierScore",
    "Constraint",
    "Contrast",
    "Contrastive",
    "Critic",
    "CriticLoss",
    "DRAGAN",
    "DirectGenerator",
    "Discrepancy",
    "Divergence",
    "DivergenceEstimate",
    "Diversity",
    "DonskerVaradhan",
    "Energy",
    "Estimator",
    "Exponential",
    "FDivergence",
    "Gaussian",
    "GeneratorLoss",
    "GradientPenalty",
    "Hinge",
    "InfoNCE",
    "InverseMultiquadric",
    "Jeffreys",
    "JensenShannon",
    "KL",
    "KLIEP",
    "Kernel",
    "KernelDistance",
    "LSDD",
    "LSIF",
    "Laplace",
    "Learned",
    "LearnedFeatures",
    "LeastSquares",
    "Linear",
    "MMD",
    "Memorisation",
    "Misclassification",
    "ModeScores",
    "Moments",
    "NREB",
    "NREC",
    "NeymanChiSquared",
    "NonSaturating",
    "OfMeans",
    "EmbeddingCritic",
    "RelativisticPaired",
    "PearsonChiSquared",
    "Penalty",
    "Polynomial",
    "PowerDivergence",
    "Quantile",
    "R1",
    "R2",
    "RandomFeatureMMD",
    "RationalQuadratic",
    "Recovers",
    "Relativistic",
    "ReverseKL",
    "Sinkhorn",
    "SlicedWasserstein",
    "SpectralNorm",
    "Spherical",
    "SquaredHellinger",
    "Sum",
    "SupportScores",
    "TotalVariation",
    "Triangular",
    "TwoSampleTest",
    "Unbiased",
    "Values",
    "Wasserstein",
    "Wasserstein1D",
    "WeightClipping",
    "WithPrior",
    "against_generator",
    "c2st",
    "classifier_score",
    "diversity",
    "energy_kernel",
    "energy_test",
    "energy_to",
    "expected_coverage",
    "fixed",
    "frechet_distance",
    "frechet_of_gaussians",
    "joint_among",
    "joint_vs_marginals",
    "kernel_distance",
    "lsdd_test",
    "memorisation",
    "mmd_test",
    "mode_scores",
    "ms_ssim",
    "objective",
    "recovered",
    "support_scores",
    "two_samples",
]
