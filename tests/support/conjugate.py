"""A model with every answer in closed form, and its exact ratio in a critic's clothes.

theta ~ N(0, I), x = theta + sd N(0, I) in two dimensions.
"""

import torch
from torch import Tensor, nn
from torch.distributions import Independent, MultivariateNormal, Normal

from lfi.simulation import Simulator

zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
prior = {"a": Normal(zero, one), "b": Normal(zero, one)}


def model(sd: float = 1.0) -> Simulator:
    """Return the simulator."""

    def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
        return theta + sd * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    return Simulator(simulate, prior=prior, name="conjugate")


def posterior(x_obs: Tensor, sd: float = 1.0) -> MultivariateNormal:
    """Return p(theta | x_obs)."""
    shrink = 1 / (1 + sd**2)
    return MultivariateNormal(shrink * x_obs, shrink * sd**2 * torch.eye(2, dtype=x_obs.dtype))


class ExactCritic(nn.Module):
    """log p(x | theta) / p(x), with the embeddings that a pair critic has."""

    def __init__(self, sd: float = 1.0) -> None:
        super().__init__()
        self.sd = nn.Parameter(torch.tensor(sd, dtype=torch.float32))

    def embed_theta(self, theta: Tensor) -> Tensor:
        """Return theta."""
        return theta

    def embed_x(self, x: Tensor) -> Tensor:
        """Return x."""
        return x

    def embed(self, theta: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        return theta, x

    def pair(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the log ratio of pairs."""
        evidence = Independent(Normal(torch.zeros_like(x), (1 + self.sd**2).sqrt()), 1)
        return Independent(Normal(theta, self.sd), 1).log_prob(x) - evidence.log_prob(x)

    def forward(self, theta: Tensor, x: Tensor) -> Tensor:
        """Return the log ratio."""
        return self.pair(theta, x)
