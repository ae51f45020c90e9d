"""Small exact pieces: arrays, distances, weights, convex problems."""

from lfi.numerics.distances import (
    euclidean_distances as euclidean_distances,
    manhattan_distances as manhattan_distances,
    median_distance as median_distance,
    quantile_distances as quantile_distances,
    squared_distances as squared_distances,
)
from lfi.numerics.importance_weights import (
    effective_sample_size as effective_sample_size,
    pareto_smooth as pareto_smooth,
)
