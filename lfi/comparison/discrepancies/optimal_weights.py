"""Weights of simulations by the noise that they come from: optimally weighted MMD.

A simulator x = G(theta, u) with noise u of a known law is an integral over u. With a kernel c on u,

    w = C^-1 z,        C_ij = c(u_i, u_j),        z_i = E c(u, u_i),

are the weights of Bayesian quadrature: sum_i w_i f(u_i) has the least error, over all f of the
kernel's unit ball, that weights at these points can have, and is exact for f in the span of the
c(u_i, .). They do not depend on theta. Where G is smooth, so are the u -> k(x, G(theta, u)) whose
means an MMD takes, and its error falls faster than the m^(-1/2) of equal weights; some weights are
negative. In many dimensions of u, or with a rough G, little is gained.

The kernel is a product over coordinates, each in standard deviations, of Matern's of order 3/2,

    c(s, t) = (1 + a |s - t|) exp(-a |s - t|),        a = sqrt(3) / length,

whose E c(u, t) has a closed form for normal and for uniform u. The weights of a Gaussian kernel
gain more where G is as smooth as it is, and are far worse than equal ones where G is not, as in the
g-and-k distribution, whose tails are long.

Reference: Bharti, Naslidnyk, Key, Kaski & Briol, Optimally-weighted estimators of the maximum mean
discrepancy for likelihood-free inference, ICML 2023. arXiv:2301.11674
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.distributions import Distribution

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import ArrayLike, as_tensor
from lfi.numerics.checks import check_instance, check_positive
from lfi.numerics.noise_law import NoiseLaw, as_noise_law

EDGE = math.sqrt(3)  # of a uniform number with mean 0 and deviation 1


@checked
@dataclass(frozen=True)
class OptimalWeights:
    """Quadrature weights of simulations, from their noise.

    Attributes:
        length: Of the kernel on the noise, in its standard deviations: over how much noise
            k(x, G(theta, u)) varies. Half or twice as much makes little difference.
        ridge: Added to the kernel matrix's diagonal, whose entries are 1.

    Example:
        >>> u = torch.randn(200, 1, generator=torch.Generator().manual_seed(0))
        >>> w = lfi.discrepancies.OptimalWeights()(u, torch.distributions.Normal(0.0, 1.0))
        >>> round(float(w @ u[:, 0].double().cos()), 2)  # exp(-1/2)
        0.61
    """

    length: float = 1.0
    ridge: float = 1e-8

    def __post_init__(self) -> None:
        check_positive("length", self.length)
        check_positive("ridge", self.ridge)

    @torch.no_grad()
    def __call__(
        self,
        u: Float[Tensor, "*b m d"] | ArrayLike,
        noise: Distribution | Sequence[Distribution] | NoiseLaw,
        *,
        missing: Bool[Tensor, "*b m"] | None = None,
    ) -> Float[Tensor, "*b m"]:
        """Return the weights of each point in float64, about 1 in sum; a few are negative.

        Args:
            u: The noise of each simulation.
            noise: Its law: a Normal or Uniform distribution of torch, of a number or a vector, or
                one for each entry of u.
            missing: Which simulations there are not: they weigh nothing, and those of noise near
                theirs the more.

        Raises:
            TypeError: If noise is of another law.
            ValueError: If u is not finite, or has not as many entries as the law; if missing is not
                a boolean for each point.
        """
        u = as_tensor("u", u)
        law = noise if isinstance(noise, NoiseLaw) else as_noise_law(noise)
        if u.ndim < 2 or u.shape[-1] != len(law):
            raise ValueError(f"u has shape {tuple(u.shape)}, expected (*batch, m, {len(law)})")
        if u.shape[-2] == 0 or not u.isfinite().all():
            raise ValueError(
                f"u must hold a point at least, all finite, got shape {tuple(u.shape)} with "
                f"{int((~u.isfinite()).sum())} values that are not"
            )
        check_instance("missing", missing, Tensor, "a tensor of booleans", optional=True)
        if missing is not None and (missing.dtype != torch.bool or missing.shape != u.shape[:-1]):
            raise ValueError(
                f"missing must be booleans of shape {tuple(u.shape[:-1])}, got {missing.dtype} of "
                f"shape {tuple(missing.shape)}"
            )
        t = law.standardised(u)
        matrix, mean = torch.ones((), dtype=t.dtype, device=t.device), t.new_ones(t.shape[:-1])
        a = math.sqrt(3) / self.length
        for column, normal in zip(t.unbind(-1), law.normal, strict=True):
            r = a * (column[..., :, None] - column[..., None, :]).abs()
            matrix = matrix * (1 + r) * torch.exp(-r)
            mean = mean * _mean(column, a, normal)
        if missing is not None:
            there = (~missing).to(t)
            matrix, mean = matrix * there[..., :, None] * there[..., None, :], mean * there
            matrix = matrix + torch.diag_embed(missing.to(t))
        matrix.diagonal(dim1=-2, dim2=-1).add_(self.ridge)
        return torch.cholesky_solve(mean[..., None], torch.linalg.cholesky(matrix))[..., 0]


def _mean(t: Tensor, a: float, normal: bool) -> Tensor:
    """Return E (1 + a |u - t|) exp(-a |u - t|) of a u of mean 0 and deviation 1."""
    if not normal:
        one_side = lambda r: (2 - (2 + a * r) * torch.exp(-a * r)) / a  # of r from 0
        return (one_side(EDGE + t) + one_side(EDGE - t)) / (2 * EDGE)
    # E exp(-a |u - t|) is `below + above`, of u below and above t, and z that less a d/da of it
    below = torch.exp(a * a / 2 - a * t + torch.special.log_ndtr(t - a))
    above = torch.exp(a * a / 2 + a * t + torch.special.log_ndtr(-t - a))
    density = torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi)
    return below + above - a * ((a - t) * below + (a + t) * above - 2 * density)
