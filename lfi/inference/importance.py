"""Importance sampling from the prior: its draws, weighed by r(theta, x_obs), are posterior ones.

How many are drawn, how they are smoothed and what tells their worth is `lfi.ratio.importance`'s.
"""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from lfi.ratio import importance
from lfi.ratio.importance import BATCH, MOST, Candidates, resample
from lfi.simulation import Prior
from lfi.training import numpy_rng

__all__ = ["BATCH", "MOST", "Candidates", "resample", "weigh"]

LogRatio = Callable[[Float[Tensor, "n theta_dim"]], Float[Tensor, " n"]]


def weigh(log_ratio: LogRatio, prior: Prior, n: int, seed: int) -> Candidates:
    """Draw from the prior until the weighed draws are worth four times n, or there are 2^20.

    Args:
        log_ratio: log r(theta, x_obs), any constant added.
        prior: What to draw from.
        n: How many posterior draws are wanted.
        seed: Names the stream of candidates.

    Raises:
        ValueError: If no candidate has a finite ratio.
    """
    return importance.weigh(
        log_ratio, lambda batch, index: prior.sample(batch, rng=numpy_rng(seed, index)), n
    )
