"""Systematic resampling of weighted points (Kitagawa, J. Comp. Graph. Statistics 1996)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def systematic_resampling(
    log_weights: Float[Tensor, "m c"], n: int, rng: torch.Generator
) -> Int[Tensor, "m n"]:
    """Return n rows by weight, each drawn as often as its weight says, give or take less than one.

    A row of weight w is drawn floor(n w) or ceil(n w) times, so that rows repeat only where they
    must. The order is random.
    """
    m = len(log_weights)
    draw = {"generator": rng, "dtype": torch.float64}
    ends = log_weights.double().exp().cumsum(1)
    ends = ends / ends[:, -1:]
    comb = (torch.arange(n, dtype=torch.float64) + torch.rand(m, 1, **draw)) / n
    rows = torch.searchsorted(ends, comb)
    return rows.gather(1, torch.rand(m, n, **draw).argsort(1))


def take_rows(u: Float[Tensor, "m c d"], rows: Int[Tensor, "m n"]) -> Float[Tensor, "m n d"]:
    """Return u[j, rows[j]] for every j."""
    return u.gather(1, rows[..., None].expand(-1, -1, u.shape[2]))
