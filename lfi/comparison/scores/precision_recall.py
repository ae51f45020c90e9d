"""Precision, recall, density and coverage of a generator, by nearest neighbours.

Around each point of a sample stands a ball that reaches to its k-th nearest neighbour in the same
sample. The balls together stand for the support.

    precision   share of generated points inside any ball of the data
    recall      share of data inside any ball of the generated points
    density     how many balls of the data a generated point is in, over k
    coverage    share of balls of the data with a generated point inside

An outlier has a large ball, which precision and recall trust: density counts balls, and coverage
uses those of the data alone. Where p = q, density averages one, and coverage of n points by m
depends on ranks only: a ball is empty if the k nearest of the other n - 1 + m points are all data,

    E coverage = 1 - (n - 1) ... (n - k) / (n + m - 1) ... (n + m - k).

References:
    Kynkaanniemi et al., Improved precision and recall metric, NeurIPS 2019. arXiv:1904.06991
    Naeem et al., Reliable fidelity and diversity metrics, ICML 2020. arXiv:2002.09797
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.scores.units import scored_samples
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike
from lfi.numerics.checks import check_counts
from lfi.numerics.neighbours import MAX_ENTRIES, distance_chunks, neighbour_distance
from lfi.runtime import Described


@dataclass(frozen=True, eq=False, repr=False)
class SupportScores(Described):
    """Four scores of each pair of samples of a batch, and the average coverage where p = q."""

    precision: Float[Tensor, "*b"]
    recall: Float[Tensor, "*b"]
    density: Float[Tensor, "*b"]
    coverage: Float[Tensor, "*b"]
    expected_coverage: float

    def describe(self) -> str:
        """Return one line for each pair of samples."""
        columns = (self.precision, self.recall, self.density, self.coverage)
        rows = zip(*(t.reshape(-1).tolist() for t in columns), strict=True)
        return "\n".join(
            "precision {:.3f}, recall {:.3f}, density {:.3f}, coverage {:.3f}".format(*row)
            + f" (expected where p = q: {self.expected_coverage:.3f})"
            for row in rows
        )


@checked
@torch.no_grad()
def support_scores(
    p: Float[Tensor, "*b n d"] | ArrayLike,
    q: Float[Tensor, "*b m e"] | ArrayLike,
    *,
    k: int = 5,
    standardise: bool | None = None,
    max_entries: int = MAX_ENTRIES,
) -> SupportScores:
    """Return precision, recall, density and coverage of generated points, or of their features.

    Args:
        p: The data, held out from training, (*b, n, d).
        q: The generator's points, (*b, m, d).
        k: The neighbour that a ball reaches to.
        standardise: Whether to divide columns by their deviations in the data, as tables
            need. None does not, and warns where deviations differ by more than a hundred times.
        max_entries: Distances held at once.

    Raises:
        TypeError: If the samples are not of one floating dtype.
        ValueError: If shapes do not fit, or k is not below the size of both samples.

    Example:
        >>> square = torch.rand(1_000, 2)
        >>> scores = support_scores(square, torch.rand(1_000, 2) * torch.tensor([0.5, 1.0]))
        >>> bool(scores.precision > 0.95), bool(scores.recall < 0.6), bool(scores.coverage < 0.6)
        (True, True, True)
    """
    check_counts(max_entries=max_entries)
    data, generated = scored_samples((p, q), ("p", "q"), 0, standardise=standardise)
    n, m = data.shape[-2], generated.shape[-2]
    if not 1 <= k < min(n, m):
        raise ValueError(f"k must be at least 1 and below both sizes, {n} and {m}, got {k}")
    # of itself, a point is the first neighbour
    radius, own = (
        neighbour_distance(x, x, k + 1, max_entries=max_entries) for x in (data, generated)
    )
    inside = data.new_zeros(generated.shape[:-1])  # of how many balls of the data
    covered, recalled = [], []
    for rows, distance in distance_chunks(data, generated, max_entries=max_entries):
        near = distance <= radius[..., rows, None]
        inside += near.sum(dim=-2)
        covered.append(near.any(dim=-1))
        recalled.append((distance <= own[..., None, :]).any(dim=-1))
    return SupportScores(
        precision=(inside > 0).to(data.dtype).mean(dim=-1),
        recall=torch.cat(recalled, dim=-1).to(data.dtype).mean(dim=-1),
        density=inside.mean(dim=-1) / k,
        coverage=torch.cat(covered, dim=-1).to(data.dtype).mean(dim=-1),
        expected_coverage=expected_coverage(n, m, k),
    )


def expected_coverage(n: int, m: int, k: int) -> float:
    """Return the average coverage of n data by m generated points of the same distribution.

    Example:
        >>> round(expected_coverage(1_000, 1_000, 5), 3)
        0.969
    """
    return 1 - math.prod((n - i) / (n + m - i) for i in range(1, k + 1))
