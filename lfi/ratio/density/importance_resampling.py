"""Importance resampling: samples of q, weighed by a ratio, stand for samples of p.

A ratio is cheap in bulk. Candidates are drawn from q and weighed, all in a few large batches, until
they are worth enough draws or there are a million. Weights are Pareto-smoothed, and k-hat says
whether they can be relied on; the effective sample size betrays duplicates that k-hat does not see.

References:
    Vehtari, Simpson, Gelman, Yao & Gabry, Pareto smoothed importance sampling, JMLR 2024.
    arXiv:1507.02646
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.runtime import torch_rng

BATCH = 2**16  # candidates drawn at a time
MOST = 2**20  # candidates at the most
AMPLE = 4.0  # draw on until the candidates are worth this many times the draws asked for


@dataclass(frozen=True)
class Candidates:
    """Samples of q with smoothed weights.

    Attributes:
        x: The samples, (c, *event).
        log_weights: Smoothed and normalised, (c,).
        khat: Pareto k of the weights' tail.
        ess: How many independent samples of p they are worth.
    """

    x: Float[Tensor, "c ..."]
    log_weights: Float[Tensor, " c"]
    khat: float
    ess: float


def weigh(
    log_ratio: Callable[[Tensor], Tensor], draw: Callable[[int, int], Tensor], n: int
) -> Candidates:
    """Draw from q until the weighed samples are worth four times n, or there are 2^20.

    Args:
        log_ratio: log p/q of (c, *event), any constant added.
        draw: Called as draw(batch, index); returns samples of q, (batch, *event), other ones for
            each index from 0.
        n: How many samples of p are wanted.

    Raises:
        ValueError: If no candidate has a finite ratio.

    Example:
        >>> draw = lambda batch, i: torch.randn(batch, generator=torch.Generator().manual_seed(i))
        >>> candidates = weigh(lambda x: x - 0.5, draw, 1_000)  # N(1, 1) from N(0, 1)
        >>> round(resample(candidates, 1_000, seed=1).mean().item())
        1
    """
    parts, ratios = [], []
    while True:
        parts.append(draw(BATCH, len(parts)))
        ratios.append(log_ratio(parts[-1]).double())
        log_weights = torch.cat(ratios)
        if len(log_weights) >= MOST or float(effective_sample_size(log_weights)) >= AMPLE * n:
            break
    if not log_weights.isfinite().any():
        raise ValueError("the ratio is not finite for any candidate")
    smoothed, khat = pareto_smooth(log_weights)
    ess = float(effective_sample_size(smoothed))
    return Candidates(torch.cat(parts), smoothed, float(khat), ess)


def resample(candidates: Candidates, n: int, seed: int) -> Float[Tensor, "n ..."]:
    """Draw n of the candidates with probability proportional to their weights."""
    rows = torch.multinomial(
        candidates.log_weights.exp(), n, replacement=True, generator=torch_rng(seed)
    )
    return candidates.x[rows]
