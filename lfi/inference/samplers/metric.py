"""Coordinates in which a density is about as wide in all directions.

Of points with covariance C, at which gradients of the log density have covariance G, they are
v = L^-1 u with the positive S = L L^T for which S G S = C, the geometric mean of C and the inverse
of G. Of a Gaussian density it is its covariance, wherever the points lie, as gradients there are
linear. It minimises the Fisher divergence of a normal distribution from the points.

Of fewer than `ENOUGH` points for each dimension, covariances are drawn towards their diagonals.

References:
    Seyboldt, Carlson & Carpenter, Preconditioning Hamiltonian Monte Carlo by minimizing Fisher
    divergence, 2026. arXiv:2603.18845
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.weighted_samples import deviations

ENOUGH = 2  # points for each dimension
LEAST = 1e-12  # of the largest eigenvalue of a covariance, the least that counts


def metric_factor(
    u: Float[Tensor, "m n d"], gradient: Float[Tensor, "m n d"]
) -> Float[Tensor, "m d d"]:
    """Return L of the coordinates v = L^-1 u, of n points u and gradients of each of m densities.

    Example:
        >>> u = torch.randn(1, 100, 2) * torch.tensor([1.0, 3.0]) + 50.0
        >>> factor = metric_factor(u, 2.0 - u / torch.tensor([4.0, 0.25]))  # variances 4 and .25
        >>> (factor @ factor.mT).round(decimals=2).diagonal(dim1=1, dim2=2)
        tensor([[4.0000, 0.2500]])
    """
    _, n, d = u.shape
    scale = deviations(u, 1).mT.double()
    share = max(0.0, 1 - n / (ENOUGH * d))
    c = _covariance(u.double() / scale.mT, share)
    g = _covariance(gradient.double() * scale.mT, share)
    values, vectors = torch.linalg.eigh(g)
    largest = values[:, -1:]
    values = torch.where(largest > 0, values.clamp(min=LEAST * largest), 1.0)
    root = values.sqrt()[:, None]
    middle = (vectors * root) @ vectors.mT
    values, axes = torch.linalg.eigh(middle @ c @ middle)
    values = values.clamp(min=LEAST * values[:, -1:])
    factor = ((vectors / root) @ vectors.mT) @ (axes * values[:, None] ** 0.25)
    return (scale * factor).to(u)


def _covariance(x: Float[Tensor, "m n d"], share: float) -> Float[Tensor, "m d d"]:
    """Return covariances, of which off-diagonal entries lose a share."""
    x = x - x.mean(1, keepdim=True)
    found = x.mT @ x / (x.shape[1] - 1)
    diagonal = found.diagonal(dim1=1, dim2=2).diag_embed()
    return found + share * (diagonal - found)
