"""Importance resampling: samples of q, weighted by a ratio, in place of samples of p.

Samples of q are drawn and weighted in a few large chunks. Weights are Pareto-smoothed; k-hat says
whether they can be relied on, and the effective sample size shows duplicates that k-hat misses.

References:
    Vehtari et al., Pareto smoothed importance sampling, JMLR 2024. arXiv:1507.02646
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.numerics.resampling import systematic_resampling
from lfi.runtime import Described, torch_rng


@dataclass(frozen=True, eq=False, repr=False)
class ReferenceSamples(Described):
    """Samples x of q, (c, *event), with smoothed, normalised log weights, (c,).

    `khat` is the Pareto k of the weights' tail; `ess` how many independent samples of p they count.
    """

    x: Float[Tensor, "c ..."]
    log_weights: Float[Tensor, " c"]
    khat: float
    ess: float

    def describe(self) -> str:
        """Return how many draws there are, and their effective sample size."""
        return (
            f"{len(self.x)} weighted draws\n"
            f"  effective sample size {self.ess:.0f}\n"
            f"  k-hat {self.khat:.2f}"
        )

    def resample(self, n: int, seed: int) -> Float[Tensor, "n ..."]:
        """Return n of the draws, with probability proportional to their weights."""
        return self.x[systematic_resampling(self.log_weights[None], n, torch_rng(seed))[0]]


def sample_reference(
    log_ratio: Callable[[Tensor], Tensor],
    draw: Callable[[int, int], Tensor],
    n: int,
    *,
    target_ess: float = 4.0,
    max_draws: int = 2**20,
    chunk: int = 2**16,
) -> ReferenceSamples:
    """Draw from q until the effective sample size is `target_ess` times n, or `max_draws` is met.

    `log_ratio` is log p/q, any constant added; `draw(chunk, index)` returns other samples of q,
    (chunk, *event), for each index from 0.
    """
    parts, ratios = [], []
    while True:
        parts.append(draw(chunk, len(parts)))
        ratios.append(log_ratio(parts[-1]).double())
        log_weights = torch.cat(ratios)
        enough = float(effective_sample_size(log_weights)) >= target_ess * n
        if enough or len(log_weights) >= max_draws:
            break
    if not log_weights.isfinite().any():
        raise ValueError("the ratio is not finite at any sample")
    smoothed, khat = pareto_smooth(log_weights)
    ess = float(effective_sample_size(smoothed))
    return ReferenceSamples(torch.cat(parts), smoothed, float(khat), ess)
