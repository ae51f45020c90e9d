"""Scores of generated samples against data."""

from lfi.comparison import (
    classifier_score,
    diversity,
    frechet_distance,
    kernel_distance,
    memorisation,
    mode_scores,
    support_scores,
)

__all__ = [
    "classifier_score",
    "diversity",
    "frechet_distance",
    "kernel_distance",
    "memorisation",
    "mode_scores",
    "support_scores",
]
