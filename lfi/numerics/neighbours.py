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
    """Return distances to the k nearest reference points, nearest first, and their indices."""
    if not 1 <= k <= reference.shape[-2]:
        raise ValueError(f"k must lie between 1 and {reference.shape[-2]} points, got {k}")
    chunks = distance_chunks(x, reference, max_entries=max_entries)
    found = [distances.topk(k, dim=-1, largest=False) for _, distances in chunks]
    nearest, index = zip(*found, strict=True)
    return torch.cat(nearest, dim=-2), torch.cat(index, dim=-2)


def neighbour_distance(
    x: Float[Tensor, "*b n d"],
    reference: Float[Tensor, "*b m d"],
    k: int,
    *,
    max_entries: int = MAX_ENTRIES,
) -> Float[Tensor, "*b n"]:
    """Return the distance of each point to the k-th nearest reference point, itself included."""
    chunks = distance_chunks(x, reference, max_entries=max_entries)
    return torch.cat([distances.kthvalue(k, dim=-1).values for _, distances in chunks], dim=-1)
