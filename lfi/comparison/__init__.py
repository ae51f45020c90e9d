"""Comparison: the mathematics of two samples, tensors in, numbers out, no training loop."""

from lfi.comparison.adversarial import Adversarial, DirectGenerator, objective, recovered
from lfi.comparison.classifier import C2ST, c2st
from lfi.comparison.classifier_discrepancy import ClassifierDiscrepancy
from lfi.comparison.classifier_score import ClassifierScore, classifier_score
from lfi.comparison.composite_kernels import Learned, Sum
from lfi.comparison.constraints import SpectralNorm, WeightClipping
from lfi.comparison.contrastive import NREB, NREC, Contrastive, InfoNCE
from lfi.comparison.contrasts import against_generator, joint_among, joint_vs_marginals, two_samples
from lfi.comparison.copying import Memorisation, memorisation, nearest
from lfi.comparison.density_difference import LSDD
from lfi.comparison.difference_tests import lsdd_test
from lfi.comparison.distances import (
    euclidean_distances,
    manhattan_distances,
    median_distance,
    quantile_distances,
    squared_distances,
)
from lfi.comparison.divergence import Divergence, WithPrior
from lfi.comparison.divergences import (
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
from lfi.comparison.energy import Energy, energy_kernel, energy_to
from lfi.comparison.estimators import Biased, Block, Estimator, LinearTime, Unbiased
from lfi.comparison.f_divergence import FDivergence
from lfi.comparison.frechet import frechet_distance, frechet_of_gaussians
from lfi.comparison.kernel_distance import KernelDistance, Polynomial, kernel_distance
from lfi.comparison.kernel_tests import energy_test, mmd_test
from lfi.comparison.kernels import (
    Gaussian,
    InverseMultiquadric,
    Kernel,
    Laplace,
    Linear,
    Quantile,
    RationalQuadratic,
    fixed,
)
from lfi.comparison.margins import Hinge, Misclassification
from lfi.comparison.mmd import MMD
from lfi.comparison.modes import ModeScores, mode_scores
from lfi.comparison.moments import Moments
from lfi.comparison.ms_ssim import Diversity, diversity, ms_ssim
from lfi.comparison.penalties import DRAGAN, R1, R2, Balance, GradientPenalty
from lfi.comparison.permutation import TwoSampleTest
from lfi.comparison.random_features import RandomFeatureMMD
from lfi.comparison.relative import DonskerVaradhan, Relativistic, Wasserstein
from lfi.comparison.sinkhorn import Sinkhorn
from lfi.comparison.support import SupportScores, expected_coverage, support_scores
from lfi.comparison.transport import SlicedWasserstein, Wasserstein1D
from lfi.comparison.types import (
    Batch,
    Constraint,
    Contrast,
    Critic,
    CriticLoss,
    Discrepancy,
    DivergenceEstimate,
    GeneratorLoss,
    OfMeans,
    PairCritic,
    Penalty,
    Recovers,
    Values,
)
from lfi.comparison.weights import effective_sample_size, pareto_smooth

__all__ = [
    "C2ST",
    "DRAGAN",
    "KL",
    "KLIEP",
    "LSDD",
    "LSIF",
    "MMD",
    "NREB",
    "NREC",
    "R1",
    "R2",
    "Adversarial",
    "AlphaDivergence",
    "Balance",
    "Batch",
    "Bernoulli",
    "Biased",
    "Block",
    "Brier",
    "ClassifierDiscrepancy",
    "ClassifierScore",
    "Constraint",
    "Contrast",
    "Contrastive",
    "Critic",
    "CriticLoss",
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
    "Kernel",
    "KernelDistance",
    "Laplace",
    "Learned",
    "Linear",
    "LinearTime",
    "Memorisation",
    "Misclassification",
    "ModeScores",
    "Moments",
    "NeymanChiSquared",
    "NonSaturating",
    "OfMeans",
    "PairCritic",
    "PearsonChiSquared",
    "Penalty",
    "Polynomial",
    "PowerDivergence",
    "Quantile",
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
    "effective_sample_size",
    "energy_kernel",
    "energy_test",
    "energy_to",
    "euclidean_distances",
    "expected_coverage",
    "fixed",
    "frechet_distance",
    "frechet_of_gaussians",
    "joint_among",
    "joint_vs_marginals",
    "kernel_distance",
    "lsdd_test",
    "manhattan_distances",
    "median_distance",
    "memorisation",
    "mmd_test",
    "mode_scores",
    "ms_ssim",
    "nearest",
    "objective",
    "pareto_smooth",
    "quantile_distances",
    "recovered",
    "squared_distances",
    "support_scores",
    "two_samples",
]
