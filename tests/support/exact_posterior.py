"""A conjugate Gaussian: the exact posterior, and wrong ones made of it by known mistakes."""

from dataclasses import dataclass

import torch
from torch.distributions import Normal

from lfi.inference.draws import WeightedDraws
from lfi.runtime.seeds import numpy_rng, torch_rng
from lfi.simulation import Prior, Simulations, as_prior

SIGMA = 0.5  # theta ~ N(0, I), x = theta + N(0, SIGMA^2 I)
VARIANCE = SIGMA**2 / (1 + SIGMA**2)  # of theta given x, whose mean is x (1 - VARIANCE)
PRIOR = as_prior({"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)})


@dataclass(frozen=True)
class GaussianPosterior:
    """Exact by default.

    Attributes:
        shift: Of its mean, in posterior standard deviations.
        scale: Of its standard deviation.
        correlation: Of a and b; 0 is right.
        informed: False returns the prior, whatever x.
        offset: Added to the log-ratio, a function of x; it must change nothing.
    """

    shift: float = 0.0
    scale: float = 1.0
    correlation: float = 0.0
    informed: bool = True
    offset: float = 0.0
    prior: Prior = PRIOR
    names: tuple[str, ...] = ("a", "b")
    x_shape: tuple[int, ...] = (2,)

    def log_ratio(self, theta, x):
        if not self.informed:
            return torch.zeros(torch.broadcast_shapes(theta.shape, x.shape)[:-1])
        sd = VARIANCE**0.5
        z = (theta - x * (1 - VARIANCE) - self.shift * sd) / (self.scale * sd)
        cross = 2 * self.correlation * z.prod(dim=-1)
        quadratic = (z.square().sum(dim=-1) - cross) / (1 - self.correlation**2)
        return (theta.square().sum(dim=-1) - quadratic) / 2 + self.offset * x.sum(dim=-1)

    def weighted(self, x, n, *, seed):
        theta = self.prior.sample(n, seed=numpy_rng(seed))
        return WeightedDraws(theta, self.log_ratio(theta, x[:, None]).log_softmax(dim=1))


def held_out(n, seed, prior=PRIOR):
    """n simulations that the posterior was not fitted to."""
    theta = prior.sample(n, seed=numpy_rng(seed, 0))
    noise = torch.randn(theta.shape, generator=torch_rng(seed, 1), dtype=theta.dtype)
    return Simulations.from_arrays(theta, theta + SIGMA * noise, prior=prior)


@dataclass(frozen=True)
class GaussianDraws:
    """The same posteriors known by draws alone, of one observation or of a batch.

    Attributes:
        shift: Of its mean, in posterior standard deviations.
        scale: Of its standard deviation.
        correlation: Of a and b; 0 is right.
        informed: False returns the prior, whatever x.
        batched: Whether `sample` takes many observations at once.
    """

    shift: float = 0.0
    scale: float = 1.0
    correlation: float = 0.0
    informed: bool = True
    batched: bool = True
    prior: Prior = PRIOR

    def sample(self, n, x_obs, *, seed=None):
        if x_obs.ndim > 1 and not self.batched:
            raise ValueError("one observation at a time")
        rng = torch_rng(seed)
        noise = torch.randn(*x_obs.shape[:-1], n, 2, generator=rng, dtype=torch.float64)
        if not self.informed:
            return noise
        a, b = noise.unbind(-1)
        b = self.correlation * a + (1 - self.correlation**2) ** 0.5 * b
        z = self.shift + self.scale * torch.stack([a, b], dim=-1)
        return x_obs[..., None, :] * (1 - VARIANCE) + VARIANCE**0.5 * z


class GaussianFlow(GaussianDraws):
    """The same with a normalised density, of one observation."""

    def log_prob(self, theta, x_obs):
        ratio = GaussianPosterior(self.shift, self.scale, self.correlation, self.informed)
        return ratio.log_ratio(theta, x_obs) - theta.square().sum(dim=-1) / 2
