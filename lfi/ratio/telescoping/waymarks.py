"""Waymarks: distributions between p and q, each close to the next.

A waymark is a linear combination of a sample of p and one of q, with a coefficient a in [0, 1],

    x_a = sqrt(1 - a^2) x_0 + a x_1,        x_0 ~ p, x_1 ~ q,

which keeps the covariance where p and q share it. Successive waymarks come from the same x_0 and
x_1, which takes the noise of sampling out of their comparison. Where only some entries are mixed,
as the y of pairs (x, y) with the y of other pairs, the rest stay as they are.

**Spacing.** Bridges are best equally hard. A short fit on coefficients even in the log of the
signal-to-noise ratio (1 - a^2)/a^2 tells how far apart successive waymarks are: its held-out
log-loss bounds their Jensen-Shannon divergence JS from below. For close distributions 8 JS is a
squared distance (the Jeffreys divergence), so distances add up, and the way is cut anew into equal
parts of about `STRIDE`.

References:
    Rhodes, Xu & Gutmann, Telescoping density-ratio estimation, 2020. arXiv:2006.12204
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

SPAN = 8.0  # log signal-to-noise ratios between which a pilot's coefficients lie
STRIDE = 1.4  # distance of two waymarks: a Jeffreys divergence of 2 nats
MAX_BRIDGES = 32


@dataclass(frozen=True, eq=False)
class Waymarks:
    """Waymark distributions from p to q, one more than there are bridges.

    The coefficients, (w,), increase from 0 (p) to 1 (q). `mixed` are the entries that are mixed,
    None for all; the others stay those of x_0.
    """

    coefficients: Float[Tensor, " w"]
    mixed: Bool[Tensor, " d"] | None = None

    def __post_init__(self) -> None:
        a = self.coefficients
        if len(a) < 2 or a[0] != 0 or a[-1] != 1 or (a.diff() <= 0).any():
            raise ValueError(f"coefficients must increase from 0 to 1, got {a.tolist()}")

    def to(self, device: str) -> "Waymarks":
        """Return the same waymarks on another device."""
        return Waymarks(
            self.coefficients.to(device), None if self.mixed is None else self.mixed.to(device)
        )

    @property
    def keep(self) -> Float[Tensor, "w d_or_1"]:
        """The factor of x_0."""
        kept = (1 - self.coefficients.double().square()).sqrt().to(self.coefficients.dtype)[:, None]
        return kept if self.mixed is None else torch.where(self.mixed, kept, 1.0)

    @property
    def bring(self) -> Float[Tensor, "w d_or_1"]:
        """The factor of x_1."""
        brought = self.coefficients[:, None]
        return brought if self.mixed is None else torch.where(self.mixed, brought, 0.0)

    def __call__(
        self, x_0: Float[Tensor, "n d"], x_1: Float[Tensor, "n d"]
    ) -> Float[Tensor, "w n d"]:
        """Return a sample of every waymark, all from the same samples of p and of q."""
        return torch.addcmul(self.keep[:, None] * x_0, self.bring[:, None], x_1)

    def moments(
        self,
        of_p: tuple[Float[Tensor, " d"], Float[Tensor, "d d"]],
        of_q: tuple[Float[Tensor, " d"], Float[Tensor, "d d"]],
    ) -> tuple[Float[Tensor, "w d"], Float[Tensor, "w d d"]]:
        """Return waymarks' means and covariances, mixed entries of x_1 being independent of x_0."""
        (mean_p, cov_p), (mean_q, cov_q) = of_p, of_q
        keep, bring = (f.to(mean_p).expand(-1, len(mean_p)) for f in (self.keep, self.bring))
        outer = lambda v: v[:, :, None] * v[:, None, :]
        return keep * mean_p + bring * mean_q, outer(keep) * cov_p + outer(bring) * cov_q


def even_coefficients(bridges: int) -> Float[Tensor, " w"]:
    """Return coefficients even in the log of the signal-to-noise ratio, and both ends."""
    endpoints = torch.tensor([0.0, 1.0], dtype=torch.float64)
    if bridges == 1:
        return endpoints
    span = SPAN if bridges > 2 else 0.0
    inner = torch.linspace(-span, span, bridges - 1, dtype=torch.float64)
    return torch.cat([endpoints[:1], torch.sigmoid(inner).sqrt(), endpoints[1:]])


def respaced(
    coefficients: Float[Tensor, " w"], divergences: Sequence[float], bridges: int | None = None
) -> Float[Tensor, " v"]:
    """Return coefficients that cut the way into parts of equal distance, `bridges` of them.

    Divergences are Jensen-Shannon's of successive coefficients, in nats. None takes parts of a
    distance of about `STRIDE`, 32 at most.
    """
    distance = torch.tensor(divergences, dtype=torch.float64).clamp(min=0).mul(8).sqrt()
    total = float(distance.sum())
    if bridges is None:
        bridges = min(MAX_BRIDGES, max(1, math.ceil(total / STRIDE)))
    distance = distance + (1e-3 * total + 1e-9) / len(distance)  # so that no two coefficients meet
    milestones = F.pad(distance.cumsum(0), (1, 0))
    angles = torch.asin(coefficients.double())  # between which the distance is taken as linear
    wanted = milestones[-1] * torch.arange(1, bridges, dtype=torch.float64) / bridges
    right = torch.searchsorted(milestones, wanted).clamp(1, len(coefficients) - 1)
    share = (wanted - milestones[right - 1]) / distance[right - 1]
    inner = torch.sin(torch.lerp(angles[right - 1], angles[right], share))
    return F.pad(F.pad(inner, (1, 0)), (0, 1), value=1.0).to(coefficients.dtype)
