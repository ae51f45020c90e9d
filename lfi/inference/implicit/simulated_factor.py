"""The likelihood of a simulator at one observation, by ratios to a conditional Gaussian.

Of simulations (theta, x), theta drawn from a Gaussian proposal s, a regression of theta on x gives
a conditional Gaussian q(theta | x), a little wider than its residuals, and a critic that tells
pairs (theta, x) from (draws of q, x) the ratio of the posterior under s to q. Then

    log p(x | theta) = log q(theta | x) + log ratio - log s(theta) + constant.

Where q is nearly the posterior, nearly as much is known as by maximum likelihood: shuffled pairs
tell less. Simulations are divided into groups that share nothing, whose scatter tells the sampling
error.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import MultivariateNormal

from lfi.networks import Features
from lfi.networks.conditional_gaussian import regression
from lfi.ratio import CriticRatio, fit_ratio
from lfi.runtime import child, numpy_rng, torch_rng
from lfi.simulation import Simulator, as_prior, replicate
from lfi.training import TrainSettings

DRAWN = 4  # of the conditional Gaussian, for each simulation
WIDER = 1.1  # times as wide as the residuals
SETTINGS = TrainSettings(steps=400, batch_size=512)


@dataclass(frozen=True, eq=False)
class LocalFactor:
    """log p(x | theta) up to a constant, of the simulations of one group.

    Attributes:
        proposal: Of the simulations' parameters.
        conditional: q of the observation.
        x_obs: The observation, (c,).
        ratio: Of (L^-1 (theta - m(x)), x).
    """

    proposal: MultivariateNormal
    conditional: MultivariateNormal
    x_obs: Float[Tensor, " c"]
    ratio: CriticRatio

    @torch.no_grad()
    def __call__(self, theta: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return log t of parameters, in float64."""
        theta = theta.double()
        own = self.conditional
        rows = torch.cat(
            [_whitened(theta - own.loc, own.scale_tril), self.x_obs.expand(len(theta), -1)], 1
        )
        return own.log_prob(theta) + self.ratio.log_ratio(rows) - self.proposal.log_prob(theta)


@dataclass(frozen=True, eq=False)
class SimulatedFactor:
    """The mean of log t by groups of simulations that share nothing."""

    groups: tuple[LocalFactor, ...]

    def each(self, theta: Float[Tensor, "n d"]) -> Float[Tensor, "groups n"]:
        """Return each group's log t, with a mean of 0, as its constant is its own."""
        values = torch.stack([group(theta) for group in self.groups])
        return values - values.mean(1, keepdim=True)

    def __call__(self, theta: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return log t of parameters."""
        return self.each(theta).mean(0)


def _whitened(centred: Float[Tensor, "n d"], root: Float[Tensor, "d d"]) -> Float[Tensor, "n d"]:
    return torch.linalg.solve_triangular(root, centred.T, upper=False).T


def simulated_factor(
    simulator: Simulator,
    proposal: MultivariateNormal,
    x_obs: Tensor,
    n: int,
    groups: int,
    settings: TrainSettings | None,
    *,
    seed: int,
    device: str,
    progress: bool,
) -> SimulatedFactor:
    """Simulate n times from a proposal, in float64, and fit the ratio of each group."""
    prior = as_prior(proposal, simulator.names)
    theta = prior.sample(n, seed=numpy_rng(seed, 0))
    x = replicate(simulator, theta.to(simulator.prior.dtype), seed=child(seed, 1)).flatten(1)
    valid = x.isfinite().all(1)
    theta, x = theta[valid], x[valid]
    if x_obs.numel() != x.shape[1]:
        raise ValueError(f"x_obs has {x_obs.numel()} numbers, and a simulation has {x.shape[1]}")
    parts = zip(theta.chunk(groups), x.chunk(groups), strict=True)
    return SimulatedFactor(
        tuple(
            _fitted(proposal, own, x, x_obs, settings, child(seed, 2, k), device, progress)
            for k, (own, x) in enumerate(parts)
        )
    )


def _fitted(
    proposal: MultivariateNormal,
    theta: Float[Tensor, "n d"],
    x: Float[Tensor, "n c"],
    x_obs: Tensor,
    settings: TrainSettings | None,
    seed: int,
    device: str,
    progress: bool,
) -> LocalFactor:
    """Return the factor by one group of simulations."""
    encode = Features(tuple(x.shape[1:]))
    encode.fit_from_data(x)
    features, at = encode(x).double(), encode(x_obs.reshape(1, -1).to(x)).double()
    coefficients, intercept, residuals = regression(features, theta)
    covariance = WIDER**2 * residuals.T @ residuals / len(theta)
    root = torch.linalg.cholesky(covariance)
    centred = theta - features @ coefficients - intercept
    z = torch.randn(
        DRAWN * len(theta),
        theta.shape[1],
        generator=torch_rng(seed, 0),
        dtype=torch.float64,
        device="cpu",
    )
    ratio = fit_ratio(
        torch.cat([_whitened(centred, root), x.double()], 1),
        torch.cat([z, x.double().repeat(DRAWN, 1)], 1),
        members=1,
        settings=SETTINGS.updated(settings),
        seed=child(seed, 1),
        device=device,
        progress=progress,
    )
    conditional = MultivariateNormal((at @ coefficients + intercept)[0], scale_tril=root)
    return LocalFactor(proposal, conditional, x_obs.double().flatten(), ratio)
