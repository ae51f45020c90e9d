"""Factor analysis with known parameters, whose posterior and evidence are Gaussian in closed form.

z ~ Normal(0, 1),   x = loadings z + mean + noise of deviation `scale`
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal, Normal


@dataclass(frozen=True)
class FactorAnalysis:
    loadings: Tensor  # (entries, codes)
    mean: Tensor
    scale: float

    @property
    def codes(self) -> int:
        return self.loadings.shape[1]

    def sample(self, n: int, rng: torch.Generator) -> Tensor:
        z = torch.randn(n, self.codes, generator=rng)
        noise = torch.randn(n, len(self.mean), generator=rng)
        return z @ self.loadings.T + self.mean + self.scale * noise

    @property
    def covariance(self) -> Tensor:
        """That of z given any x."""
        precision = self.loadings.T @ self.loadings / self.scale**2
        return torch.linalg.inv(torch.eye(self.codes) + precision)

    @property
    def slope(self) -> Tensor:
        """That of the mean of z given x, (codes, entries)."""
        return self.covariance @ self.loadings.T / self.scale**2

    def posterior(self, x: Tensor) -> MultivariateNormal:
        return MultivariateNormal((x - self.mean) @ self.slope.T, self.covariance)

    def log_evidence(self, x: Tensor) -> Tensor:
        noise = self.scale**2 * torch.eye(len(self.mean))
        return MultivariateNormal(self.mean, self.loadings @ self.loadings.T + noise).log_prob(x)

    def kl(self, x: Tensor) -> Tensor:
        """Return the divergence of each posterior from the prior."""
        mean, covariance = self.posterior(x).mean, self.covariance
        trace = covariance.diagonal().sum() - covariance.logdet() - self.codes
        return (trace + mean.square().sum(1)) / 2

    def decoder(self) -> nn.Linear:
        """Return the model's own decoder, in the data's units, which nothing trains."""
        layer = nn.Linear(self.codes, len(self.mean), dtype=torch.float32)
        with torch.no_grad():
            layer.weight.copy_(self.loadings)
            layer.bias.copy_(self.mean)
        return layer.requires_grad_(False)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        centre = z @ self.loadings.T + self.mean
        return Normal(centre, self.scale).log_prob(x).sum(-1)


def model() -> FactorAnalysis:
    """Return two factors of four entries, whose posteriors are of unequal widths and correlated."""
    loadings = torch.tensor([[1.0, 0.2], [0.6, -0.5], [-0.3, 0.9], [0.5, 0.5]])
    return FactorAnalysis(loadings, torch.tensor([1.0, -2.0, 0.0, 3.0]), 0.7)
