"""Whitening: the coordinates in which a sample has mean zero and unit covariance.

Standardisation leaves correlations, and a quadratic form of correlated entries is slow to learn:
its coefficients differ in curvature by squared ratios of eigenvalues.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

FLAT = 1e-10  # of the largest variance: directions below it are taken to have none


def inverse_root(covariance: Float[Tensor, "*k d d"]) -> Float[Tensor, "*k d d"]:
    """Return the symmetric P with P C P = 1 where C is not zero, and P = 0 on the other directions.

    Small eigenvalues need covariances in float64.

    Example:
        >>> inverse_root(torch.tensor([[4.0, 0.0], [0.0, 0.0]]))
        tensor([[0.5000, 0.0000],
                [0.0000, 0.0000]])
    """
    values, vectors = torch.linalg.eigh(covariance)
    least = torch.finfo(values.dtype).tiny
    kept = values > FLAT * values[..., -1:].clamp(min=least)
    roots = torch.where(kept, values.clamp(min=least).rsqrt(), 0.0)
    return (vectors * roots[..., None, :]) @ vectors.mT


def moments(x: Float[Tensor, "n d"]) -> tuple[Float[Tensor, " d"], Float[Tensor, "d d"]]:
    """Return mean and covariance of n rows, in float64."""
    x = x.double()
    mean = x.mean(0)
    return mean, (x - mean).T @ (x - mean) / len(x)


class Whiten(nn.Module):
    """z = (x - mean) @ root, root = diag(1/sd) P, with P the inverse root of the correlations.

    Coordinates are brought to one scale first, so that whether one has no spread is decided for
    each by itself, whatever the units of the others. It computes in float64, and
    returns the network's dtype.

    Example:
        >>> layer = Whiten(2)
        >>> layer.fit_from_moments(*moments(torch.randn(100, 2) * 3 + 1))
        >>> layer(torch.ones(1, 2)).shape
        torch.Size([1, 2])
    """

    mean: Tensor
    root: Tensor
    like: Tensor  # has the network's dtype

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("like", torch.zeros((), dtype=torch.float32), persistent=False)
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("root", torch.eye(size, dtype=torch.float64))

    def fit_from_moments(self, mean: Float[Tensor, " d"], covariance: Float[Tensor, "d d"]) -> None:
        """Take the coordinates from moments."""
        sd = covariance.diagonal().sqrt()
        sd = torch.where(sd > 0, sd, torch.ones_like(sd))
        self.mean.copy_(mean)
        self.root.copy_(inverse_root(covariance / (sd[:, None] * sd)) / sd[:, None])

    def forward(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return x in the new coordinates."""
        return ((x - self.mean) @ self.root).to(self.like.dtype)
