"""Perturbation kernels of sequential ABC: proposals are normal mixtures around particles.

With u_k the particles within the next tolerance, of weights w_k,

    q(u) = sum_k w_k N(u; u_k, S_k),

in unconstrained coordinates, so that no proposal leaves the prior's support. The covariances are

    GlobalCovariance   S = scale sum_k w_k (u_k - mean) (u_k - mean)'        the same for all
    DefensiveMixture   the same for half of the particles, a kernel density estimate's for the other
    LocalCovariance    S_k = sum_j w_j (u_j - u_k) (u_j - u_k)'              one for each

For one population, twice the covariance minimises the divergence between a normal target and its
proposal; local covariances refine it where the posterior is curved or has several modes.

Simulations of all populations, n_s from each q_s, are one sample of their mixture, with the weights

    w(u) proportional to p(u) / sum_s n_s q_s(u),

the first q_s being the prior itself, so that no weight is large where proposals are rare. A q_s
with a component at u counts without it: isolated draws of the tails, under a component of their
own, would have too little weight.

References:
    Beaumont et al., Adaptive approximate Bayesian computation, 2009. arXiv:0805.2256
    Cornuet et al., Adaptive multiple importance sampling, 2012. arXiv:0907.1254 (mixture weights)
    Filippi et al., On optimality of kernels for ABC using SMC, 2013. arXiv:1106.6280
    Hesterberg, Weighted average importance sampling and defensive mixture distributions, 1995.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive

JITTER = 1e-9  # of the variances: covariances of few particles have an inverse


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """A mixture of normal distributions: centres, (k, d), and weights, (k,), which sum to 1.

    `roots` are Cholesky factors of the covariances, (d, d) or (k, d, d); `scales`, (k,) or None,
    multiply each component's deviations.
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

    def log_prob(
        self, u: Float[Tensor, "n d"], *, others: bool = False, max_entries: int = 2**22
    ) -> Float[Tensor, " n"]:
        """Return the log density; of `others`, that without the component centred at u itself.

        Where there is no other component it is -inf.
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
            distance = lambda part: torch.cdist(
                part @ inverses.T, centres, compute_mode="donot_use_mm_for_euclid_dist"
            ).square()
        else:
            shifted = (inverses @ self.centres[:, :, None])[:, :, 0]
            rows = inverses.reshape(k * d, d)
            distance = lambda part: (
                ((part @ rows.T).reshape(-1, k, d) - shifted).square().sum(dim=-1)
            )
        found = []
        for part in u.split(max(1, max_entries // (k * d))):
            terms = constant - distance(part) * precisions / 2
            if not others:
                found.append(terms.logsumexp(dim=1))
                continue
            own = (part[:, None] == self.centres).all(dim=-1)
            rest = (~own).to(terms) @ self.weights
            value = terms.masked_fill(own, -math.inf).logsumexp(dim=1) - rest.log()
            found.append(torch.where(rest > 0, value, -math.inf))
        return torch.cat(found)


@dataclass(frozen=True, eq=False)
class PopulationProposal:
    """What the simulations of a population were drawn from, `inside` being its share in support."""

    mixture: GaussianMixture
    simulations: int
    inside: float


def population_log_weights(
    log_prior: Float[Tensor, " n"],
    u: Float[Tensor, "n d"],
    first: int,
    proposals: Sequence[PopulationProposal],
) -> Float[Tensor, " n"]:
    """Return the log weights of draws from any population, the `first` so many from the prior."""
    parts = [log_prior + math.log(first)]
    for proposal in proposals:
        count = math.log(proposal.simulations / proposal.inside)
        parts.append(proposal.mixture.log_prob(u, others=True) + count)
    return log_prior - torch.stack(parts).logsumexp(dim=0)


@runtime_checkable
class PerturbationKernel(Protocol):
    """A rule for proposals around particles."""

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> GaussianMixture:
        """Return the proposal around particles, whose weights sum to 1."""
        ...


@checked
@dataclass(frozen=True)
class GlobalCovariance:
    """Normal perturbations with a multiple of the particles' covariance.

    Attributes:
        scale: What it is multiplied by.

    Example:
        >>> u, weights = torch.tensor([[-2.0], [2.0]]), torch.tensor([0.5, 0.5])
        >>> GlobalCovariance().around(u, weights).roots ** 2
        tensor([[8.0000]])
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        check_positive("scale", self.scale)

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> GaussianMixture:
        """Return the proposal."""
        centred = u - weights @ u
        covariance = self.scale * centred.T @ (weights[:, None] * centred)
        return GaussianMixture(u, weights, _root(covariance))


@checked
@dataclass(frozen=True)
class DefensiveMixture:
    """Narrow perturbations of every other particle, and wide ones of the rest.

    The narrow ones have the width of a kernel density estimate, by Silverman's rule: the
    covariance times (4 / ((d + 2) n))^(2 / (d + 4)), n being their effective sample size, 0.2 for
    350 particles in four dimensions. They are accepted more often than wide ones; alone they would
    miss the tails, whose weights would be few and large.

    Attributes:
        scale: What the covariance of the wide ones is multiplied by.

    Example:
        >>> u, weights = torch.tensor([[-2.0], [2.0]]), torch.tensor([0.5, 0.5])
        >>> mixture = DefensiveMixture().around(u, weights)
        >>> (mixture.roots[0, 0] * mixture.scales) ** 2
        tensor([3.4011, 8.0000])
    """

    scale: float = 2.0

    def __post_init__(self) -> None:
        check_positive("scale", self.scale)

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> GaussianMixture:
        """Return the proposal; particles are sorted by distance, so that both halves are alike."""
        d, n = u.shape[1], float(1 / weights.square().sum())
        narrow = (4 / ((d + 2) * n)) ** (2 / (d + 4))
        wide = torch.arange(len(u)) % 2 == 1
        scales = torch.where(wide, u.new_tensor(self.scale), narrow).sqrt()
        return replace(GlobalCovariance(1.0).around(u, weights), scales=scales)


@dataclass(frozen=True)
class LocalCovariance:
    """The optimal local covariance matrix: the particles' second moments about each of them.

    Example:
        >>> u, weights = torch.tensor([[-2.0], [2.0]]), torch.tensor([0.5, 0.5])
        >>> LocalCovariance().around(u, weights).roots ** 2
        tensor([[[8.0000]],
                [[8.0000]]])
    """

    def around(self, u: Float[Tensor, "k d"], weights: Float[Tensor, " k"]) -> GaussianMixture:
        """Return the proposal."""
        centred = u - weights @ u  # moments about u_k are those about the mean and its shift's
        shared = centred.T @ (weights[:, None] * centred)
        moments = shared + centred[:, :, None] * centred[:, None, :]
        return GaussianMixture(u, weights, _root(moments))


def _root(covariance: Float[Tensor, "*k d d"]) -> Float[Tensor, "*k d d"]:
    """Return Cholesky factors, of positive variance in all directions."""
    variances = covariance.diagonal(dim1=-2, dim2=-1)
    least = torch.where(variances > 0, JITTER * variances, torch.finfo(covariance.dtype).eps)
    return torch.linalg.cholesky(covariance + torch.diag_embed(least))
