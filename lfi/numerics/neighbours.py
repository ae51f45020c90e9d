"""Nearest neighbours by brute force, with a bounded number of distances at a time."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.numerics.distances import euclidean_distances

MAX_ENTRIES = 2**22  # distances held at once: 32 MB in float64


@torch.no_grad()
def distance_chunks(
    x: Float[Tensor, "*b n d"], y: Float[Tensor, "*b m d"], *, max_entries: int = MAX_ENTRIES
) -> Iterator[tuple[slice, Float[Tensor, "*b _ m"]]]:
    """Yield the distances of some rows of x to all of y, and which rows they are."""
    size = max(1, max_entries // (y.shape[-2] * max(1, math.prod(x.shape[:-2]))))
    for start in range(0, x.shape[-2], size):
        rows = slice(start, start + size)
        yield rows, euclidean_distances(x[..., rows, :], y)


def nearest_neighbours(
    x: Float[Tensor, "*b n d"],
    reference: Float[Tensor, "*b m d"],
    k: int = 1,
    *,
    max_entries: int = MAX_ENTRIES,
) -> tuple[Float[Tensor, "*b n k"], Int[Tensor, "*b n k"]]:
    """Return distances to the k nearest reference points, nearest first, and their indices.

    Args:
        x: Points.
        reference: The points among which neighbours are looked for.
        k: How many.
        max_entries: Distances held at once.

    Raises:
        ValueError: If k is not between 1 and the number of reference points.

    Example:
        >>> x, reference = torch.tensor([[1.2]]), torch.tensor([[0.0], [1.0], [2.0]])
        >>> distance, index = nearest_neighbours(x, reference)
        >>> round(distance.item(), 3), index.item()
        (0.2, 1)
    """
    if not 1 <= k <= reference.shape[-2]:
        raise ValueError(f"k must lie between 1 and {reference.shape[-2]} points, got {k}")
    chunks = distance_chunks(x, reference, max_entries=max_entries)
    found = [distances.topk(k, dim=-1, largest=False) for _, distances in chunks]
    return tuple(torch.cat(parts, dim=-2) for parts in zip(*found, strict=True))


def neighbour_distance(
    x: Float[Tensor, "*b n d"],
    reference: Float[Tensor, "*b m d"],
    k: int,
    *,
    max_entries: int = MAX_ENTRIES,
) -> Float[Tensor, "*b n"]:
    """Return the distance of each point to the k-th nearest reference point.

    Args:
        x: Points; where they are the reference points, each is its own first neighbour.
        reference: The points among which neighbours are looked for.
        k: Which neighbour, from 1.
        max_entries: Distances held at once.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [3.0]])
        >>> neighbour_distance(x, x, 2)
        tensor([1., 1., 2.])
    """
    chunks = distance_chunks(x, reference, max_entries=max_entries)
    return torch.cat([distances.kthvalue(k, dim=-1).values for _, distances in chunks], dim=-1)
