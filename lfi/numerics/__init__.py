"""Small exact pieces: arrays, distances, weights, convex problems."""

from lfi.numerics.distances import (
    euclidean_distances,
    manhattan_distances,
    median_distance,
    quantile_distances,
    squared_distances,
)
from lfi.numerics.importance_weights import (
    effective_sample_size,
    pareto_smooth,
)

__all__ = [
    "effective_sample_size",
    "euclidean_distances",
    "manhattan_distances",
    "median_distance",
    "pareto_smooth",
    "quantile_distances",
    "squared_distances",
]
