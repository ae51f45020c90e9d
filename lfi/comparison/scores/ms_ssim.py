"""Diversity of images: multi-scale structural similarity of pairs of them.

Two images are compared in Gaussian windows, by their means, deviations and covariance there:

    l = (2 m_x m_y + c_1) / (m_x^2 + m_y^2 + c_1),    cs = (2 s_xy + c_2) / (s_x^2 + s_y^2 + c_2),
    MS-SSIM = product over scales of (mean cs)^w_i, the last scale's being (mean of l cs)^w,

with c_1 = (0.01 L)^2 and c_2 = (0.03 L)^2 for values that span L. Each scale halves the images by
averaging. MS-SSIM is between 0 and 1, the similarity of an image to itself; a mean cs below zero
counts as zero. Weights are those of Wang et al. for five scales; of fewer scales their first ones,
brought to a sum of 1. The mean over pairs of generated images says something only beside that of
pairs of real images of the same class.

References:
    Wang, Simoncelli & Bovik, Multi-scale structural similarity for image quality assessment, 2003.
    Odena et al., Conditional image synthesis with auxiliary classifier GANs, 2017. arXiv:1610.09585
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import as_sample
from lfi.numerics.checks import check_counts, check_positive
from lfi.runtime import Described, fresh, torch_rng

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, DEVIATION = 11, 1.5  # pixels
MAX_PIXELS = 2**22  # held at once


@dataclass(frozen=True, repr=False)
class Diversity(Described):
    """Mean similarity of pairs of images, near 1 if all are alike; its error is nan of one pair."""

    statistic: float
    standard_error: float
    pairs: int

    def describe(self) -> str:
        """Return the mean similarity and its standard error."""
        return (
            f"mean MS-SSIM {self.statistic:.4f} of {self.pairs:,} pairs (standard error "
            f"{self.standard_error:.2g})"
        )


@checked
def ms_ssim(
    x: Float[Tensor, "n channels height width"],
    y: Float[Tensor, "n channels height width"],
    *,
    span: float,
    scales: int | None = None,
    window: int | None = None,
) -> Float[Tensor, " n"]:
    """Return the multi-scale structural similarity of images x and y of one shape, pair by pair.

    The span L is from the smallest value that images may have to the largest. By default there are
    as many scales, 5 at most, as leave an image of the window's size, and the window, odd, is 11
    wide or what fits into the image. ValueError if these do not fit.

    Example:
        >>> x = torch.rand(3, 1, 16, 16)
        >>> ms_ssim(x, x, span=1.0)
        tensor([1., 1., 1.])
    """
    if x.shape != y.shape:
        raise ValueError(f"x and y must be of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    x, y = as_sample("x", x), as_sample("y", y)
    check_positive("span", span)
    side = min(x.shape[-2:])
    if window is None:
        window = min(WINDOW, side - 1 + side % 2)
    if scales is None:
        scales = max(i for i in range(1, len(WEIGHTS) + 1) if i == 1 or side >> (i - 1) >= window)
    if window < 1 or window % 2 == 0 or not 1 <= scales <= 5 or side >> (scales - 1) < window:
        raise ValueError(
            f"scales must be 1 to 5 and window odd, and fit {side} pixels halved scales - 1 times; "
            f"got scales={scales}, window={window}"
        )
    weights = x.new_tensor(WEIGHTS[:scales])
    weights = weights / weights.sum()
    result = x.new_ones(len(x))
    for i in range(scales):
        luminance, contrast = _windows(x, y, span, window)
        term = contrast if i + 1 < scales else luminance * contrast
        result = result * term.flatten(1).mean(dim=1).clamp(min=0.0) ** weights[i]
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return result


@checked
@torch.no_grad()
def diversity(
    images: Float[Tensor, "n channels height width"],
    *,
    span: float,
    pairs: int = 1_000,
    scales: int | None = None,
    window: int | None = None,
    seed: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Diversity:
    """Return how similar random pairs of different images are.

    Args:
        images: The sample, of one class where there are classes.
        span: From the smallest value that images may have to the largest.
        pairs: How many to draw; all of them, once each, where there are no more.
        scales: As `ms_ssim` takes them.
        window: Likewise.
        seed: Of the pairs; None takes fresh entropy.
        max_pixels: Pixels held at once.

    Raises:
        ValueError: If there are fewer than two images, or no pairs, or as `ms_ssim` does.

    Example:
        >>> noise = torch.rand(50, 1, 16, 16)
        >>> flat = torch.ones(50, 1, 16, 16)
        >>> diversity(noise, span=1.0).statistic < 0.1, diversity(flat, span=1.0).statistic
        (True, 1.0)
    """
    images, seed = as_sample("images", images, min_rows=2), fresh(seed)
    check_counts(pairs=pairs, max_pixels=max_pixels)
    n = len(images)
    if n * (n - 1) // 2 <= pairs:
        i, j = torch.triu_indices(n, n, offset=1)
    else:
        rng = torch_rng(seed)
        i = torch.randint(n, (pairs,), generator=rng)
        j = (i + 1 + torch.randint(n - 1, (pairs,), generator=rng)) % n
    size = max(1, max_pixels // images[0].numel())
    found = torch.cat(
        [
            ms_ssim(images[a], images[b], span=span, scales=scales, window=window)
            for a, b in zip(i.split(size), j.split(size), strict=True)
        ]
    ).double()
    error = (found.std() / len(found) ** 0.5).item() if len(found) > 1 else math.nan
    return Diversity(found.mean().item(), error, len(found))


def _windows(x: Tensor, y: Tensor, span: float, window: int) -> tuple[Tensor, Tensor]:
    """Return luminance and contrast-structure in every window that lies inside the images."""
    offset = torch.arange(window, dtype=x.dtype, device=x.device) - window // 2
    kernel = torch.exp(-offset.square() / (2 * DEVIATION**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, window)

    def average(z: Tensor) -> Tensor:
        rows = F.conv2d(z, kernel[..., None, :], groups=z.shape[1])
        return F.conv2d(rows, kernel[..., None], groups=z.shape[1])

    mean_x, mean_y = average(x), average(y)
    var_x, var_y = average(x * x) - mean_x**2, average(y * y) - mean_y**2
    covariance = average(x * y) - mean_x * mean_y
    c_1, c_2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    luminance = (2 * mean_x * mean_y + c_1) / (mean_x**2 + mean_y**2 + c_1)
    return luminance, (2 * covariance + c_2) / (var_x + var_y + c_2)
