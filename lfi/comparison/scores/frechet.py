"""Frechet distance of two samples' Gaussian approximations (FID by a user's own features).

    D(p, q) = |m_p - m_q|^2 + tr C_p + tr C_q - 2 tr (C_p C_q)^(1/2),

the squared Wasserstein-2 distance of Gaussians with the samples' means and covariances. With A and
B the centred samples divided by sqrt(n - 1), such that C_p = A'A and C_q = B'B, the last trace is
the sum of the singular values of A B', which are those of R_p R_q' for the triangular factors of A
and B: no covariance is formed or rooted, and fewer points than features do no harm.

It is biased upwards, by about tr C (1/n + 1/m) and more where features are many: compare figures of
equal sizes only, or take `kernel_distance`, which is unbiased.

References:
    Dowson & Landau, The Frechet distance between multivariate normal distributions, 1982.
    Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017. arXiv:1706.08500
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.scores.units import scored_samples
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike


@checked
def frechet_distance(
    p: Float[Tensor, "*b n d"] | ArrayLike,
    q: Float[Tensor, "*c m e"] | ArrayLike,
    *,
    standardise: bool | None = None,
) -> Float[Tensor, "*bc"]:
    """Return the Frechet distance, without a root, of features of two samples.

    Args:
        p: Features of the data; leading dimensions are many samples at once.
        q: Those of what is generated.
        standardise: Whether to divide columns by their deviations in the data, as tables
            need. None does not, and warns where deviations differ by more than a hundred times.

    Raises:
        TypeError: If p and q are not of one floating dtype.
        ValueError: If shapes do not fit, or a sample has a single point.

    Example:
        >>> x = torch.randn(100, 3)
        >>> frechet_distance(x, 2 * x.mean(0) - x + torch.tensor([3.0, 4.0, 0.0])).round()
        tensor(25.)
    """
    x, y = scored_samples((p, q), ("p", "q"), 0, standardise=standardise)
    for name, sample in (("p", x), ("q", y)):
        if sample.shape[-2] < 2:
            raise ValueError(f"{name} must have at least two points, got one")
    (mean_x, factor_x), (mean_y, factor_y) = _moments(x), _moments(y)
    between = (mean_x - mean_y).square().sum(dim=-1)
    scale = factor_x.square().sum(dim=(-2, -1)) + factor_y.square().sum(dim=(-2, -1))
    common = torch.linalg.svdvals(factor_x @ factor_y.mT).sum(dim=-1)
    return between + (scale - 2 * common).clamp(min=0.0)


def frechet_of_gaussians(
    mean_p: Float[Tensor, "*b d"],
    cov_p: Float[Tensor, "*b d d"],
    mean_q: Float[Tensor, "*b d"],
    cov_q: Float[Tensor, "*b d d"],
) -> Float[Tensor, "*b"]:
    """Return the Frechet distance of moments that are stored, such as those of a data set.

    Example:
        >>> one, four = torch.eye(2), 4 * torch.eye(2)
        >>> frechet_of_gaussians(torch.zeros(2), one, torch.ones(2), four)  # 2 + 2 (2 - 1)^2
        tensor(4.)
    """
    values, vectors = torch.linalg.eigh(cov_p)
    root = (vectors * values.clamp(min=0.0).sqrt()[..., None, :]) @ vectors.mT
    product = torch.linalg.eigvalsh(root @ cov_q @ root).clamp(min=0.0)
    trace = (cov_p + cov_q).diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    between = (mean_p - mean_q).square().sum(dim=-1)
    return between + (trace - 2 * product.sqrt().sum(dim=-1)).clamp(min=0.0)


def _moments(x: Float[Tensor, "*b n d"]) -> tuple[Tensor, Tensor]:
    """Return the mean, and a triangular R with R'R the covariance."""
    mean = x.mean(dim=-2)
    centred = (x - mean[..., None, :]) / (x.shape[-2] - 1) ** 0.5
    return mean, torch.linalg.qr(centred).R
