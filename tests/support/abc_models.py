"""Conjugate models with trials, whose posterior given any data is known.

Whatever is accepted, and by whatever discrepancy, was accepted for its data x. Theta given x then
still follows the exact posterior p(theta | x): its distribution function there, `rank`, is uniform.
This is the error that a tolerance implies, exactly: that of other data, and nothing else.
"""

import math
from dataclasses import dataclass

import torch
from scipy.stats import gamma, norm
from torch.distributions import Gamma, Normal

from lfi.simulation import Simulator

TRIALS = 20


@dataclass(frozen=True)
class Conjugate:
    """A model of one parameter with trials of one number.

    Attributes:
        name: For test reports.
        simulator: theta to 20 trials.
        posterior: The frozen distribution of scipy given data, (n, trials, 1).
        x_obs: An observation, of 30 trials.
    """

    name: str
    simulator: Simulator
    posterior: object
    x_obs: torch.Tensor

    def ranks(self, theta, x):
        """Return the exact posterior's distribution function at theta, each given its x."""
        values = self.posterior(x.double()).cdf(theta[:, 0].double().numpy())
        return torch.as_tensor(values)


def _normal(theta, rng: torch.Generator):
    return theta + torch.randn(theta.shape, generator=rng, dtype=theta.dtype)


def _normal_posterior(x):
    """theta ~ N(0, 3^2), trials N(theta, 1)."""
    n = x.shape[1]
    precision = 1 / 9 + n
    return norm((x.sum(dim=(1, 2)) / precision).numpy(), math.sqrt(1 / precision))


def _exponential(theta, rng: torch.Generator):
    return -torch.log(torch.rand(theta.shape, generator=rng, dtype=theta.dtype)) / theta


def _exponential_posterior(x):
    """Theta ~ Gamma(2, 1), trials Exponential(theta)."""
    return gamma(2 + x.shape[1], scale=1 / (1 + x.sum(dim=(1, 2)).numpy()))


def quantiles(law, n=30):
    """A sample without noise."""
    return law.icdf((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]


NORMAL = Conjugate(
    "normal",
    Simulator(_normal, prior={"mean": Normal(0.0, 3.0)}, trials=TRIALS, name="normal"),
    _normal_posterior,
    quantiles(Normal(1.0, 1.0)),
)
EXPONENTIAL = Conjugate(
    "exponential",
    Simulator(_exponential, prior={"rate": Gamma(2.0, 1.0)}, trials=TRIALS, name="exponential"),
    _exponential_posterior,
    quantiles(torch.distributions.Exponential(1.5)),
)
MODELS = (NORMAL, EXPONENTIAL)


def counted(model):
    """A simulator that counts the parameter vectors it is called with, and the count."""
    counts = []

    def simulate(theta, rng: torch.Generator):
        counts.append(len(theta))
        return model.simulator.simulate(theta, rng)

    prior = model.simulator.prior
    return Simulator(simulate, prior=prior, trials=TRIALS, name=model.name), counts


def fails(theta, rng: torch.Generator):
    """Data that tell nothing, but fail with probability theta."""
    u = torch.rand(theta.shape, generator=rng, dtype=theta.dtype)
    return torch.where(u < theta, torch.nan, torch.zeros_like(theta))
