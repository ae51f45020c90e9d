"""Comparison: the mathematics of two samples, tensors in, numbers out, no training loop."""

from lfi.comparison.adversarial import (
    Adversarial as Adversarial,
    DirectGenerator as DirectGenerator,
    objective as objective,
    recovered as recovered,
)
from lfi.comparison.contrasts import (
    against_generator as against_generator,
    joint_among as joint_among,
    joint_vs_marginals as joint_vs_marginals,
    two_samples as two_samples,
)
from lfi.comparison.discrepancies.classifier import ClassifierDiscrepancy as ClassifierDiscrepancy
from lfi.comparison.discrepancies.energy import (
    Energy as Energy,
    energy_kernel as energy_kernel,
    energy_to as energy_to,
)
from lfi.comparison.discrepancies.lsdd import LSDD as LSDD
from lfi.comparison.discrepancies.mmd import MMD as MMD
from lfi.comparison.discrepancies.mmd_estimators import (
    Biased as Biased,
    Block as Block,
    Estimator as Estimator,
    Unbiased as Unbiased,
)
from lfi.comparison.discrepancies.moments import Moments as Moments
from lfi.comparison.discrepancies.optimal_weights import OptimalWeights as OptimalWeights
from lfi.comparison.discrepancies.random_features import RandomFeatureMMD as RandomFeatureMMD
from lfi.comparison.discrepancies.sinkhorn import Sinkhorn as Sinkhorn
from lfi.comparison.discrepancies.wasserstein import (
    SlicedWasserstein as SlicedWasserstein,
    Wasserstein1D as Wasserstein1D,
)
from lfi.comparison.kernels.composite import Learned as Learned, Sum as Sum
from lfi.comparison.kernels.stationary import (
    Gaussian as Gaussian,
    InverseMultiquadric as InverseMultiquadric,
    Kernel as Kernel,
    Laplace as Laplace,
    Linear as Linear,
    Quantile as Quantile,
    RationalQuadratic as RationalQuadratic,
    fixed as fixed,
)
from lfi.comparison.learned_divergence import LearnedDivergence as LearnedDivergence
from lfi.comparison.losses.contrastive import (
    NREB as NREB,
    NREC as NREC,
    Contrastive as Contrastive,
    InfoNCE as InfoNCE,
)
from lfi.comparison.losses.custom import FDivergence as FDivergence
from lfi.comparison.losses.decision import Hinge as Hinge, Misclassification as Misclassification
from lfi.comparison.losses.divergence import Divergence as Divergence, WithPrior as WithPrior
from lfi.comparison.losses.divergences import (
    KL as KL,
    KLIEP as KLIEP,
    LSIF as LSIF,
    AlphaDivergence as AlphaDivergence,
    Bernoulli as Bernoulli,
    Brier as Brier,
    Exponential as Exponential,
    Jeffreys as Jeffreys,
    JensenShannon as JensenShannon,
    NeymanChiSquared as NeymanChiSquared,
    NonSaturating as NonSaturating,
    PearsonChiSquared as PearsonChiSquared,
    PowerDivergence as PowerDivergence,
    ReverseKL as ReverseKL,
    Spherical as Spherical,
    SquaredHellinger as SquaredHellinger,
    TotalVariation as TotalVariation,
    Triangular as Triangular,
)
from lfi.comparison.losses.learned_features import LearnedFeatures as LearnedFeatures
from lfi.comparison.losses.least_squares import LeastSquares as LeastSquares
from lfi.comparison.losses.relative import Relative as Relative, steep as steep
from lfi.comparison.losses.relativistic import (
    DonskerVaradhan as DonskerVaradhan,
    Relativistic as Relativistic,
    RelativisticPaired as RelativisticPaired,
    Wasserstein as Wasserstein,
)
from lfi.comparison.penalties.annealed import Annealed as Annealed
from lfi.comparison.penalties.constraints import (
    SpectralNorm as SpectralNorm,
    WeightClipping as WeightClipping,
)
from lfi.comparison.penalties.gradient import (
    DRAGAN as DRAGAN,
    R1 as R1,
    R2 as R2,
    Balance as Balance,
    GradientPenalty as GradientPenalty,
)
from lfi.comparison.scores.classifier_score import (
    ClassifierScore as ClassifierScore,
    classifier_score as classifier_score,
)
from lfi.comparison.scores.frechet import (
    frechet_distance as frechet_distance,
    frechet_of_gaussians as frechet_of_gaussians,
)
from lfi.comparison.scores.gaussianity import (
    Gaussianity as Gaussianity,
    gaussianity as gaussianity,
)
from lfi.comparison.scores.kernel_distance import (
    KernelDistance as KernelDistance,
    Polynomial as Polynomial,
    kernel_distance as kernel_distance,
)
from lfi.comparison.scores.memorisation import (
    Memorisation as Memorisation,
    memorisation as memorisation,
)
from lfi.comparison.scores.mode_coverage import ModeScores as ModeScores, mode_scores as mode_scores
from lfi.comparison.scores.ms_ssim import (
    Diversity as Diversity,
    diversity as diversity,
    ms_ssim as ms_ssim,
)
from lfi.comparison.scores.precision_recall import (
    SupportScores as SupportScores,
    expected_coverage as expected_coverage,
    support_scores as support_scores,
)
from lfi.comparison.two_sample.c2st import C2ST as C2ST, c2st as c2st
from lfi.comparison.two_sample.kernel_tests import energy_test as energy_test, mmd_test as mmd_test
from lfi.comparison.two_sample.lsdd_test import lsdd_test as lsdd_test
from lfi.comparison.two_sample.permutation import TwoSampleTest as TwoSampleTest
from lfi.comparison.types import (
    Batch as Batch,
    Constraint as Constraint,
    Contrast as Contrast,
    Critic as Critic,
    CriticLoss as CriticLoss,
    Discrepancy as Discrepancy,
    DivergenceEstimate as DivergenceEstimate,
    EmbeddingCritic as EmbeddingCritic,
    GeneratorLoss as GeneratorLoss,
    OfMeans as OfMeans,
    Penalty as Penalty,
    Recovers as Recovers,
    Values as Values,
)
