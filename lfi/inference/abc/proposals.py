"""Where sequential ABC looks next: mixtures of normals around the particles that came close.

With survivors u_k, the particles within the next tolerance, of weights w_k,

    q(u) = sum_k w_k N(u; u_k, S_k),

in unconstrained coordinates, so that no proposal leaves the prior's box. The covariances are

    Global     S = scale sum_k w_k (u_k - mean) (u_k - mean)'          the same for all
    Defensive  the same for half of the survivors; a kernel density estimate's for the other half
    Local      S_k = sum_j w_j (u_j - u_k) (u_j - u_k)'                 one for each

Twice the covariance is what minimises the divergence between a normal target and its proposal, if
a generation stands alone; Local is its refinement where the posterior is curved or has several
modes.

Weights correct whatever is proposed. Simulations of several generations, n_s from each q_s, are one
sample of their mixture, so that each of them has the weight

    w(u) proportional to p(u) / sum_s n_s q_s(u),

the first q_s being the prior itself, so that no weight is large where proposals are rare. A q_s
that was built around u counts without u's own component: draws of the tails, alone under their
own bump, would weigh too little.

References:
    Beaumont, Cornuet, Marin & Robert, Adaptive approximate Bayesian computation, Biometrika, 2009.
        arXiv:0805.2256
    Cornuet, Marin, Mira & Robert, Adaptive multiple importance sampling, Scandinavian Journal of
        Statistics, 2012. arXiv:0907.1254 (weights by the mixture)
    Filippi, Barnes, Cornebise & Stumpf, On optimality of kernels for approximate Bayesian
        computation using sequential Monte Carlo, 2013. arXiv:1106.6280
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
        scales: What each component's deviations are multiplied by, (k,); None for nothing.

    Example:
        >>> one = Mixture(torch.zeros(1, 2), torch.ones(1), torch.eye(2))
        >>> one.log_prob(torch.zeros(3, 2)).exp()
        tensor([0.1592, 0.1592, 0.1592])
    """

    centres: Float[Tensor, "k d"]
    weights: Float[Tensor, " k"]
    roots: Float[Tensor, "*k d d"]
    scales: Float[Tensor, " k"] | None = None

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Return n draws."""
        which = torch.multinomial(self.weights, n, replacement=True, generator=rng)
        noise = torch.randn(n, self.centres.shape[1], generator=rng, dtype=self.centres.dtype)
        roots = self.roots if self.roots.ndim == 2 else self.roots[which]
        steps = (roots @ noise[:, :, None])[:, :, 0]
        steps = steps if self.scales is None else steps * self.scales[which, None]
        return self.centres[which] + steps

    def log_prob(self, u: Float[Tensor, "n d"], *, others: bool = False) -> Float[Tensor, " n"]:
        """Return the log density.

        Args:
            u: Where.
            others: Leave out the component around u itself, where u is one of the centres.
        """
        k, d = self.centres.shape
        log_det = self.roots.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1)
        scales = torch.ones_like(self.weights) if self.scales is None else self.scales
        log_det = log_det + d * scales.log()
        constant = self.weights.log() - log_det - d / 2 * math.log(2 * math.pi)
        precisions = 1 / scales.square()
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
        found = []
        for part in u.split(max(1, ENTRIES // (k * d))):
            terms = constant - away(part) * precisions / 2
            if others:
                own = part[:, :1] == self.centres[:, 0]
                terms = terms.masked_fill(own, -math.inf)
                terms = terms - torch.log1p(-(own.to(terms) @ self.weights))[:, None]
            found.append(terms.logsumexp(dim=1))
        return torch.cat(found)


@dataclass(frozen=True, eq=False)
class Source:
    """What the simulations of one generation were drawn from.

    Attributes:
        mixture: The density, before what falls outside the prior's support was drawn again.
        simulations: How many were drawn.
        inside: The share of the mixture that lies in the support.
    """

    mixture: Mixture
    simulations: int
    inside: float


def log_weights(
    log_prior: Float[Tensor, " n"],
    u: Float[Tensor, "n d"],
    first: int,
    sources: Sequence[Source],
) -> Float[Tensor, " n"]:
    """Return the log weights of draws that may come from any generation.

    Args:
        log_prior: The prior's log density at u, in the same coordinates.
        u: The draws.
        first: How many were drawn from the prior.
        sources: What the others were drawn from.

    Example:
        >>> source = Source(Mixture(torch.zeros(1, 1), torch.ones(1), torch.eye(1)), 30, 1.0)
        >>> u = torch.zeros(1, 1)
        >>> log_weights(source.mixture.log_prob(u + 1), u + 1, 10, [source])  # 40 of the prior
        tensor([-3.6889])
    """
    parts = [log_prior + math.log(first)]
    for source in sources:
        count = math.log(source.simulations / source.inside)
        parts.append(source.mixture.log_prob(u, others=True) + count)
    return log_prior - torch.stack(parts).logsumexp(dim=0)


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
class Defensive:
    """Narrow steps from every other survivor, and wide ones from the rest.

    The narrow ones have the width of a kernel density estimate, by Silverman's rule: survivors'
    covariance times (4 / ((d + 2) n))^(2 / (d + 4)), n being their effective sample size, 0.2 for
    350 of them in four dimensions. They come close more often than wide ones; alone they would
    miss tails, whose weights then are few and large.

    Attributes:
        scale: What the covariance of the wide ones is multiplied by.

    Example:
        >>> mixture = Defensive().around(torch.tensor([[-2.0], [2.0]]), torch.tensor([0.5, 0.5]))
        >>> (mixture.roots[0, 0] * mixture.scales) ** 2
        tensor([3.4011, 8.0000])
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> Mixture:
        """Return the proposal; survivors come closest first, so that both halves are alike."""
        d, n = u.shape[1], float(1 / weights.square().sum())
        narrow = (4 / ((d + 2) * n)) ** (2 / (d + 4))
        wide = torch.arange(len(u)) % 2 == 1
        scales = torch.where(wide, self.scale, narrow).sqrt().to(u)
        return replace(Global(1.0).around(u, weights), scales=scales)


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
