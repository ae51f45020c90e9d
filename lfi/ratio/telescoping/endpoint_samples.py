"""Samples of the endpoints p and q of a telescoping ratio, whitened, paired anew in every epoch.

Of pairs (x, y), p is the joint distribution and q the product of its marginals: x with the y of
another row. Two samples are whitened with the same weight for either, pairs x and y apart.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.networks import Whiten, moments
from lfi.runtime import torch_rng
from lfi.training import Batch, Batches, CompleteSettings, JoinedBatches, Shuffled, hold_out

MAX_HELD_OUT = 4_096  # rows of either sample

Moments = tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]


@dataclass(frozen=True, eq=False)
class EndpointSamples:
    """Whitened samples of p and q that bridges are trained on."""

    whiten: Whiten
    batches: Batches  # of (x_0, x_1), which hold as many of both out
    mixed: Bool[Tensor, " d"] | None  # entries that waymarks mix; None for all
    moments_p: Moments
    moments_q: Moments


def endpoints_of_samples(
    p: Float[Tensor, "n d"],
    q: Float[Tensor, "m d"],
    settings: CompleteSettings,
    *,
    seed: int,
    device: str = "cpu",
) -> EndpointSamples:
    """Return the endpoints of two samples in float32 on the CPU, with batches on the device."""
    pools = [_split(x, settings.held_out, seed, i) for i, x in enumerate((p, q))]
    (mean_p, cov_p), (mean_q, cov_q) = (moments(train) for train, _ in pools)
    whiten, half = Whiten(len(mean_p)), (mean_p - mean_q) / 2
    whiten.fit_from_moments((mean_p + mean_q) / 2, (cov_p + cov_q) / 2 + half[:, None] * half)
    (p, held_p), (q, held_q) = ((whiten(x) for x in pool) for pool in pools)
    held = min(len(held_p), len(held_q))
    size = min(settings.batch_size, len(p), len(q))
    batches = JoinedBatches(
        Shuffled((p,), (held_p[:held],), size=size, device=device),
        Shuffled((q,), (held_q[:held],), size=size, device=device),
    )
    return EndpointSamples(whiten, batches, None, moments(p), moments(q))


def endpoints_of_pairs(
    pairs: Float[Tensor, "n d"],
    of_x: int,
    settings: CompleteSettings,
    *,
    seed: int,
    device: str = "cpu",
) -> EndpointSamples:
    """Return the endpoints of pairs: rows of x (`of_x` entries) beside y, in float32 on the CPU."""
    is_y = torch.arange(pairs.shape[1]) >= of_x
    same_side = is_y[:, None] == is_y
    train, held = _split(pairs, settings.held_out, seed, 0)
    mean, covariance = moments(train)
    whiten = Whiten(len(mean))
    whiten.fit_from_moments(mean, covariance * same_side)
    train, held = whiten(train), whiten(held)
    mean, covariance = moments(train)
    size = min(settings.batch_size, len(train))
    batches = ShuffledPairs(Shuffled((train,), (held,), size=size, device=device), of_x)
    return EndpointSamples(
        whiten, batches, is_y, (mean, covariance), (mean, covariance * same_side)
    )


class ShuffledPairs:
    """Pairs (x, y) against (x, y of another pair): the joint, and the product of its marginals."""

    def __init__(self, pairs: Shuffled, of_x: int) -> None:
        self.pairs = pairs
        self.of_x = of_x
        held_out = pairs.held_out
        self.held_out: Batch | None = None if held_out is None else self._both(*held_out)

    def _both(self, pairs: Float[Tensor, "n d"]) -> Batch:
        x, y = pairs[:, : self.of_x], pairs[:, self.of_x :]
        return pairs, torch.cat([x, y.roll(1, 0)], dim=1)

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next batch: rows of either distribution, which share x."""
        return self._both(*self.pairs.draw(rng))


def _split(
    x: Float[Tensor, "n d"], share: float, seed: int, key: int
) -> tuple[Float[Tensor, "t d"], Float[Tensor, "h d"]]:
    (train,), (held,) = hold_out((x,), share, torch_rng(seed, 0, key), max_held_out=MAX_HELD_OUT)
    return train, held
