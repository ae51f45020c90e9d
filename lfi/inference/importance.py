"""Importance sampling from the prior: a posterior ratio is cheap in bulk.

Draws from the prior are weighted by the ratio r(theta, x_obs), all in a few large batches, until
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

from lfi.comparison import effective_sample_size, pareto_smooth
from lfi.simulation import Prior
from lfi.training import numpy_rng, torch_rng

BATCH = 2**16  # candidates drawn at a time
MOST = 2**20  # candidates at the most
AMPLE = 4.0  # draw on until the candidates are worth this many times the draws asked for

LogRatio = Callable[[Float[Tensor, "n theta_dim"]], Float[Tensor, " n"]]


@dataclass(frozen=True)
class Candidates:
    """Prior draws with smoothed weights.

    Attributes:
        theta: The draws, (c, theta_dim).
        log_weights: Smoothed and normalised, (c,).
        khat: Pareto k of the weights' tail.
        ess: How many independent posterior draws they are worth.
    """

    theta: Float[Tensor, "c theta_dim"]
    log_weights: Float[Tensor, " c"]
    khat: float
    ess: float


def weigh(log_ratio: LogRatio, prior: Prior, n: int, seed: int) -> Candidates:
    """Draw from the prior until the weighted draws are worth four times n, or there are 2^20.

    Args:
        log_ratio: log r(theta, x_obs), any constant added.
        prior: What to draw from.
        n: How many posterior draws are wanted.
        seed: Names the stream of candidates.

    Raises:
        ValueError: If no candidate has a finite ratio.
    """
    thetas, ratios = [], []
    while True:
        thetas.append(prior.sample(BATCH, rng=numpy_rng(seed, len(thetas))))
        ratios.append(log_ratio(thetas[-1]).double())
        drawn = BATCH * len(thetas)
        log_weights = torch.cat(ratios)
        if drawn >= MOST or float(effective_sample_size(log_weights)) >= AMPLE * n:
            break
    if not log_weights.isfinite().any():
        raise ValueError("the ratio is not finite for any draw from the prior")
    smoothed, khat = pareto_smooth(log_weights)
    ess = float(effective_sample_size(smoothed))
    return Candidates(torch.cat(thetas), smoothed, float(khat), ess)


def resample(candidates: Candidates, n: int, seed: int) -> Float[Tensor, "n theta_dim"]:
    """Draw n of the candidates with probability proportional to their weights."""
    rows = torch.multinomial(
        candidates.log_weights.exp(), n, replacement=True, generator=torch_rng(seed)
    )
    return candidates.theta[rows]
