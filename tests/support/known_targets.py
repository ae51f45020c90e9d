"""Targets whose posteriors are known in closed form, for every sampler."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Exponential, MultivariateNormal, Normal, Uniform

from lfi.inference import Target
from lfi.simulation import as_prior

zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)


@dataclass(frozen=True)
class Known:
    """A target and the moments of its posteriors, one row for each observation."""

    target: Target
    mean: Tensor  # (m, d)
    covariance: Tensor  # (m, d, d)
    log_evidence: Tensor  # (m,)


def conjugate(m: int = 1, sd: float = 0.3) -> Known:
    """Return theta ~ N(0, I), x = theta + correlated noise, the weight being the likelihood."""
    noise = sd**2 * torch.tensor([[1.0, 0.8], [0.8, 1.0]], dtype=torch.float64)
    x = torch.tensor([[0.8, -0.5], [-1.0, 0.2], [0.0, 1.5]], dtype=torch.float64)[:m]

    root = torch.linalg.cholesky(noise.inverse())
    constant = root.logdet() - math.log(2 * math.pi)

    def pair(theta: Tensor, x: Tensor) -> Tensor:
        return constant - ((x - theta) @ root).square().sum(-1) / 2

    covariance = (torch.eye(2, dtype=torch.float64) + noise.inverse()).inverse()
    evidence = MultivariateNormal(torch.zeros(2, dtype=torch.float64), torch.eye(2) + noise)
    return Known(
        Target(as_prior({"a": Normal(zero, one), "b": Normal(zero, one)}), (x,), pair),
        x @ noise.inverse() @ covariance,
        covariance.expand(m, 2, 2),
        evidence.log_prob(x),
    )


def smooth(d: int, length: float = 10.0, sd: float = 0.5) -> Known:
    """Return theta ~ N(0, Matern 3/2) of d neighbours, x = theta + noise, and its posterior."""
    place = torch.arange(d, dtype=torch.float64)
    r = math.sqrt(3) * (place[:, None] - place).abs() / length
    covariance = (1 + r) * torch.exp(-r)
    of_x = covariance + sd**2 * torch.eye(d, dtype=torch.float64)
    gain = torch.linalg.solve(of_x, covariance).T
    prior = MultivariateNormal(torch.zeros(d, dtype=torch.float64), covariance)
    x = 2 * torch.sin(place / 7)[None]

    def pair(theta: Tensor, x: Tensor) -> Tensor:
        return Normal(theta, sd).log_prob(x).sum(-1)

    return Known(
        Target(as_prior(prior), (x,), pair),
        x @ gain.T,
        sd**2 * (gain + gain.T)[None] / 2,
        MultivariateNormal(torch.zeros(d, dtype=torch.float64), of_x).log_prob(x),
    )


def edge(rate: float = 20.0) -> Known:
    """Return a posterior that piles up at the edges of its support: two exponentials, one cut.

    The weight is exp(-rate (share + size)), share ~ Uniform(0, 1), size ~ Exponential(1).
    """
    prior = as_prior({"share": Uniform(zero, one), "size": Exponential(one)})

    def pair(theta: Tensor, x: Tensor) -> Tensor:
        return -(theta * x).sum(-1)

    cut = math.exp(-rate)
    first = 1 / rate - cut / (1 - cut)
    second = 1 / (1 + rate)
    variances = torch.tensor([1 / rate**2 - cut / (1 - cut) ** 2, second**2], dtype=torch.float64)
    return Known(
        Target(prior, (torch.tensor([[rate, rate]], dtype=torch.float64),), pair),
        torch.tensor([[first, second]], dtype=torch.float64),
        variances.diag()[None],
        torch.tensor([math.log((1 - cut) / rate / (1 + rate))], dtype=torch.float64),
    )


def two_modes(share: float = 0.3, sd: float = 0.03) -> Target:
    """Return a posterior of two narrow modes at (-0.5, -0.5) and (0.5, 0.5) in a square of prior.

    The mode at (0.5, 0.5) holds `share` of the mass.
    """
    prior = as_prior({"a": Uniform(-one, one), "b": Uniform(-one, one)})

    def pair(theta: Tensor, x: Tensor) -> Tensor:
        modes = [
            Normal(place, sd).log_prob(theta).sum(-1) + math.log(weight)
            for place, weight in ((x, share), (-x, 1 - share))
        ]
        return torch.stack(modes).logsumexp(0)

    return Target(prior, (torch.tensor([[0.5, 0.5]], dtype=torch.float64),), pair)
