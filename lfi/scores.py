"""Scores of generated samples against data."""

from lfi.comparison import (
    classifier_score as classifier_score,
    diversity as diversity,
    frechet_distance as frechet_distance,
    gaussianity as gaussianity,
    kernel_distance as kernel_distance,
    memorisation as memorisation,
    mode_scores as mode_scores,
    support_scores as support_scores,
)
