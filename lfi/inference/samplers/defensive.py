"""Importance samples of many posteriors by a defensive mixture of their proposals and the prior.

Of each observation, samples come from q = (flow of theta given x + prior) / 2, so that no weight is
above twice that of either alone: what the flow misses is still found from the prior. The number
from each is binomial, hence samples are independent draws from q, and a true theta among them is
exchangeable with them once all are weighted by p(theta | x) / q(theta).

References:
    Hesterberg, Weighted average importance sampling and defensive mixture distributions,
        Technometrics 1995.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.samplers.target import Proposal, Target
from lfi.runtime import numpy_rng, torch_rng
from lfi.simulation import Prior


@dataclass(frozen=True, eq=False)
class DefensiveSamples:
    """Samples theta of m observations, the true parameters first where these are known.

    `base` is their log prior over proposal density, and `log_prior` the log prior density.
    """

    theta: Float[Tensor, "m c d"]
    base: Float[Tensor, "m c"]
    log_prior: Float[Tensor, "m c"]

    def log_weights(self, target: Target) -> Float[Tensor, "m c"]:
        """Return log of posterior over proposal density, up to a constant of each observation."""
        return self.base + target.log_weight(self.theta).double()

    def first(self, m: int) -> "DefensiveSamples":
        """Return those of the first observations."""
        return DefensiveSamples(self.theta[:m], self.base[:m], self.log_prior[:m])


@torch.no_grad()
def defensive_samples(
    prior: Prior,
    proposal: Proposal | None,
    m: int,
    n: int,
    *,
    truth: Float[Tensor, "m d"] | None = None,
    seed: int,
) -> DefensiveSamples:
    """Draw n samples for each of m observations, from the prior alone where there is no proposal.

    Example:
        >>> from torch.distributions import Normal
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> drawn = defensive_samples(prior, None, 2, 5, seed=1)
        >>> drawn.theta.shape, float(drawn.base.abs().max())
        (torch.Size([2, 5, 1]), 0.0)
    """
    own = 0
    if proposal is not None:
        own = min(max(1, int(numpy_rng(seed, 2).binomial(n, 0.5))), n - 1)
    drawn = prior.sample(m * (n - own), seed=numpy_rng(seed, 0)).view(m, n - own, -1)
    rows = [] if truth is None else [truth[:, None].to(drawn)]
    rows.append(drawn)
    if proposal is not None:
        rows.append(proposal.draw(own, proposal.x, torch_rng(seed, 1)).to(drawn))
    theta = torch.cat(rows, 1)
    log_prior = prior.log_prob(theta).double()
    base = torch.zeros_like(log_prior)
    if proposal is not None:
        log_q = proposal.log_density(theta, proposal.x[:, None]).to(log_prior)
        base = log_prior - torch.logaddexp(log_prior, log_q) + math.log(2)
    return DefensiveSamples(theta, base, log_prior)
