"""Mode coverage: how much of a known mixture a sample covers, and how well.

Of Gaussians with centres c_k, standard deviations s_k and shares w_k, each point belongs to the one
whose centre is nearest in standard deviations, and is of high quality within `radius` = 3 of them
(in the plane 98.9% of the mixture's own points are).

    covered        modes with at least `at_least` points of high quality
    high quality   share of the points that are
    reverse KL     sum_k q_k log(q_k / w_k), q_k the share of points that belong to mode k
    relative scale of each mode's points of high quality: root mean square deviation from their
                   mean, over that of the mixture's own such points

A generator that collapses onto the centres has more high quality than the mixture and a relative
scale near zero. Of a standard normal in d dimensions within a distance r, each coordinate has the
variance F_{d+2}(r^2) / F_d(r^2), with the distribution functions of chi-squared.

References:
    Lin, Khetan, Fanti & Oh, PacGAN, 2018. arXiv:1712.04086 (2,500 points, at least one of quality)
    Srivastava, Valkov, Russell, Gutmann & Sutton, VEEGAN, 2017. arXiv:1705.07761
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import as_sample
from lfi.numerics.checks import check_positive, check_whole
from lfi.numerics.distances import euclidean_distances
from lfi.runtime import Described


@dataclass(frozen=True, eq=False, repr=False)
class ModeScores(Described):
    """Modes covered, share of high quality and relative scale, for each sample of a batch.

    `reverse_kl` is in nats, 0 is perfect; `relative_scale` of each mode, 1 is perfect, nan below
    two points; `counts` are each mode's points of high quality; `expected` is the share of high
    quality that the mixture itself has.
    """

    covered: Int[Tensor, "*b"]
    high_quality: Float[Tensor, "*b"]
    reverse_kl: Float[Tensor, "*b"]
    relative_scale: Float[Tensor, "*b k"]
    counts: Int[Tensor, "*b k"]
    expected: float

    @property
    def mean_relative_scale(self) -> Float[Tensor, "*b"]:
        """The relative scale, averaged over the modes that have one."""
        return self.relative_scale.nanmean(dim=-1)

    def describe(self) -> str:
        """Return one line for each sample of the batch."""
        k, flat = self.counts.shape[-1], lambda t: t.reshape(-1).tolist()
        rows = zip(
            flat(self.covered),
            flat(self.high_quality),
            flat(self.reverse_kl),
            flat(self.mean_relative_scale),
            strict=True,
        )
        return "\n".join(
            f"{covered} of {k} modes, high quality {share:.1%} (of the mixture {self.expected:.1%})"
            f", reverse KL {kl:.3f}, relative scale {scale:.2f}"
            for covered, share, kl, scale in rows
        )


@checked
@torch.no_grad()
def mode_scores(
    x: Float[Tensor, "*b n e"],
    centres: Float[Tensor, "k d"],
    scale: float | Float[Tensor, " k"],
    *,
    shares: Float[Tensor, " k_shares"] | None = None,
    radius: float = 3.0,
    at_least: int = 1,
) -> ModeScores:
    """Score a sample, or several stacked, against a mixture of round Gaussians.

    Args:
        x: The sample, (*b, n, d).
        centres: Of the modes.
        scale: Their standard deviation, one for all or one for each.
        shares: The probability of each mode; equal by default.
        radius: How many standard deviations from its centre a point is still of high quality.
        at_least: How many such points make a mode covered.

    Raises:
        ValueError: If shapes do not fit, or scale, radius, shares or at_least are not positive.

    Example:
        >>> from simulators import ring
        >>> x = ring.sample(2_500, torch.Generator().manual_seed(1))
        >>> mode_scores(x, ring.centres, ring.scale).covered
        tensor(8)
    """
    centres = as_sample("centres", centres, min_rows=1)
    if not x.isfinite().all():
        raise ValueError(f"x must be finite, got {int((~x.isfinite()).sum())} values that are not")
    k, d = centres.shape
    scale = torch.as_tensor(scale, dtype=x.dtype, device=x.device).expand(k)
    shares = x.new_full((k,), 1 / k) if shares is None else shares.to(x)
    if x.shape[-1] != d or x.shape[-2] == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}, expected (..., n, {d}) as centres have")
    if not (scale > 0).all():
        raise ValueError(f"scale must be positive, got {scale.min().item()}")
    check_positive("radius", radius)
    check_whole("at_least", at_least)
    if shares.shape != (k,) or not (shares > 0).all():
        raise ValueError(f"shares must be {k} positive numbers, one a mode, got {shares.tolist()}")
    n = x.shape[-2]
    centres = centres.to(x)
    apart = euclidean_distances(x, centres) / scale
    distance, mode = apart.min(dim=-1)
    high = distance <= radius
    belongs = torch.zeros_like(apart).scatter_(-1, mode[..., None], 1.0)
    good = belongs * high[..., None]
    counts = good.sum(dim=-2)
    q = belongs.mean(dim=-2)
    kl = torch.xlogy(q, q / (shares / shares.sum())).sum(dim=-1)
    kept, variance = _within(radius, d)
    relative_scale = _deviation(x, good, counts, centres, scale) / variance**0.5
    return ModeScores(
        covered=(counts >= at_least).sum(dim=-1),
        high_quality=counts.sum(dim=-1) / n,
        reverse_kl=kl.clamp(min=0.0),
        relative_scale=relative_scale,
        counts=counts.long(),
        expected=kept,
    )


def _deviation(
    x: Tensor, good: Float[Tensor, "*b n k"], counts: Tensor, centres: Tensor, scale: Tensor
) -> Float[Tensor, "*b k"]:
    """Return modes' deviations in their scales: |x - m|^2 = |x - c|^2 - |m - c|^2 on average."""
    mean = good.mT @ x / counts.clamp(min=1.0)[..., None]
    squares = euclidean_distances(x, centres).square()
    around = (good * squares).sum(dim=-2) - counts * (mean - centres).square().sum(dim=-1)
    variance = around.clamp(min=0.0) / ((counts - 1).clamp(min=1.0) * x.shape[-1])
    return torch.where(counts >= 2, variance.sqrt() / scale, torch.nan)


def _within(radius: float, d: int) -> tuple[float, float]:
    """Return the probability of |z| <= radius, and a coordinate's variance given that."""
    half = torch.tensor([d / 2, d / 2 + 1], dtype=torch.float64)
    square = torch.full((2,), radius**2 / 2, dtype=torch.float64)
    inside, beyond = torch.special.gammainc(half, square).tolist()
    return inside, beyond / inside
