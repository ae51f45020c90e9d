"""Scores of generated samples against data."""

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

__all__ = [
    "ClassifierScore",
    "Diversity",
    "KernelDistance",
    "Memorisation",
    "ModeScores",
    "Polynomial",
    "SupportScores",
    "classifier_score",
    "diversity",
    "expected_coverage",
    "frechet_distance",
    "frechet_of_gaussians",
    "kernel_distance",
    "memorisation",
    "mode_scores",
    "ms_ssim",
    "support_scores",
]
