"""Where sequential ABC looks next: mixtures of normals around the particles that came close.

With survivors u_k, the particles within the next tolerance, of weights w_k,

    q(u) = sum_k w_k N(u; u_k, S_k),

in unconstrained coordinates, so that no proposal leaves the prior's box. The covariances are

    Global     S = scale sum_k w_k (u_k - mean) (u_k - mean)'          the same for all
    Local      S_k = sum_j w_j (u_j - u_k) (u_j - u_k)'                 one for each

Twice the covariance is what minimises the divergence between a normal target and its proposal;
Local is its refinement where the posterior is curved or has several modes. Weights correct
whatever is proposed: prior density over q.

References:
    Beaumont, Cornuet, Marin & Robert, Adaptive approximate Bayesian computation, Biometrika, 2009.
        arXiv:0805.2256
    Filippi, Barnes, Cornebise & Stumpf, On optimality of kernels for approximate Bayesian
        computation using sequential Monte Carlo, 2013. arXiv:1106.6280
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

ENTRIES = 2**22  # numbers of one difference matrix: keeps memory flat
JITTER = 1e-9  # of the variances: covariances of few survivors have an inverse


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of normal distributions.

    Attributes:
        centres: (k, d).
        weights: (k,), which sum to 1.
        roots: Cholesky factors of the covariances, (d, d) or (k, d, d).

    Example:
        >>> one = Mixture(torch.zeros(1, 2), torch.ones(1), torch.eye(2))
        >>> one.log_prob(torch.zeros(3, 2)).exp()
        tensor([0.1592, 0.1592, 0.1592])
    """

    centres: Float[Tensor, "k d"]
    weights: Float[Tensor, " k"]
    roots: Float[Tensor, "*k d d"]

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Return n draws."""
        which = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, self.centres.shape[1], generator=rng, dtype=self.centres.dtype)
        roots = self.roots if self.roots.ndim == 2 else self.roots[which]
        return self.centres[which] + (roots @ noise[:, :, None])[:, :, 0]

    def log_prob(self, u: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return the log density."""
        k, d = self.centres.shape
        log_det = self.roots.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        constant = self.weights.log() - log_det - d / 2 * math.log(2 * math.pi)
        inverses = torch.linalg.inv(self.roots)
        if inverses.ndim == 2:  # one covariance: whiten once, then distances alone
            centres = self.centres @ inverses.T
            away = lambda part: torch.cdist(
                part @ inverses.T, centres, compute_mode="donot_use_mm_for_euclid_dist"
            ).square()
        else:
            shifted = (inverses @ self.centres[:, :, None])[:, :, 0]
            rows = inverses.reshape(k * d, d)
            away = lambda part: ((part @ rows.T).reshape(-1, k, d) - shifted).square().sum(dim=-1)
        parts = u.split(max(1, ENTRIES // (k * d)))
        return torch.cat([torch.logsumexp(constant - away(part) / 2, dim=1) for part in parts])


@runtime_checkable
class Kernel(Protocol):
    """How particles are perturbed."""

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> Mixture:
        """Return the proposal around survivors, whose weights sum to 1."""
        ...


@dataclass(frozen=True)
class Global:
    """Normal steps with the survivors' covariance.

    Attributes:
        scale: What it is multiplied by.

    Example:
        >>> Global().around(torch.tensor([[-2.0], [2.0]]), torch.tensor([0.5, 0.5])).roots ** 2
        tensor([[8.0000]])
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> Mixture:
        """Return the proposal."""
        centred = u - weights @ u
        return Mixture(u, weights, _root(self.scale * centred.T @ (weights[:, None] * centred)))


@dataclass(frozen=True)
class Local:
    """Normal steps with the survivors' second moments about each of them.

    Example:
        >>> Local().around(torch.tensor([[-2.0], [2.0]]), torch.tensor([0.5, 0.5])).roots ** 2
        tensor([[[8.0000]],
                [[8.0000]]])
    """

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> Mixture:
        """Return the proposal."""
        mean = weights @ u
        centred = u - mean  # moments about u_k are those about the mean, and the shift's square
        shared = centred.T @ (weights[:, None] * centred)
        return Mixture(u, weights, _root(shared + centred[:, :, None] * centred[:, None, :]))


def _root(covariance: Float[Tensor, "*k d d"]) -> Float[Tensor, "*k d d"]:
    """Return Cholesky factors; directions without spread get a little."""
    variances = covariance.diagonal(dim1=-2, dim2=-1)
    least = torch.where(variances > 0, JITTER * variances, torch.finfo(covariance.dtype).eps)
    return torch.linalg.cholesky(covariance + torch.diag_embed(least))
