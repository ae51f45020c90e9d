"""The mean of a ten-dimensional Gaussian under a uniform prior (sbibm's task).

    theta_i ~ Uniform(-1, 1),    x_i ~ Normal(theta_i, variance 0.1),    i = 1, ..., 10,

so that the posterior is known: theta_i given x is Normal(x_i, variance 0.1), truncated to (-1, 1).
`observations` are sbibm's ten, made with `true_parameters`.

References:
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.2)
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, Uniform, constraints
from torch.special import log_ndtr, ndtri

dim = 10
bound = 1.0
scale = 0.1**0.5
differentiable = True

units = {f"theta_{i}": "1" for i in range(1, dim + 1)}
prior = {name: Uniform(-bound, bound) for name in units}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["gaussian_linear_uniform_x"])
    true_parameters = torch.from_numpy(_data["gaussian_linear_uniform_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw x, (n, 10) to (n, 10)."""
    return theta + scale * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 10) and (n, 10) or (10,) to (n,), differentiable in theta."""
    return Normal(theta, scale).log_prob(x).sum(dim=1)


def posterior(x_obs: Tensor) -> Distribution:
    """Return the posterior of theta given x_obs (10,), within (-1, 1)."""
    scales = torch.full_like(x_obs, scale)
    return Independent(TruncatedNormal(x_obs, scales, -bound, bound), 1)


class TruncatedNormal(Distribution):
    """Normal(loc, scale) given that it falls between `low` and `high`.

    It is exact as long as the nearer end is less than 37 scales from `loc`.

    Attributes:
        loc: The location of the normal distribution before truncation, of any shape.
        scale: Its standard deviation, of the same shape.
        low: The lower end.
        high: The upper end.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}

    def __init__(self, loc: Tensor, scale: Tensor, low: float, high: float) -> None:
        self.loc, self.scale, self.low, self.high = loc, scale, low, high
        super().__init__(loc.shape)
        # mirrored where that brings the interval to the left, where log_ndtr loses no digits
        ends = [(torch.full_like(loc, end).double() - loc) / scale for end in (low, high)]
        self._sign = torch.where(ends[0] + ends[1] > 0, -1.0, 1.0).double()
        self._left = torch.minimum(self._sign * ends[0], self._sign * ends[1])
        self._right = torch.maximum(self._sign * ends[0], self._sign * ends[1])

    @property
    def support(self) -> constraints.Constraint:
        """The interval."""
        return constraints.interval(self.low, self.high)

    @property
    def log_mass(self) -> Tensor:
        """The log probability of the interval under the normal distribution before truncation."""
        left, right = log_ndtr(self._left), log_ndtr(self._right)
        return right + torch.log1p(-torch.exp(left - right))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density, minus infinity outside the interval."""
        inside = (value >= self.low) & (value <= self.high)
        values = Normal(self.loc, self.scale).log_prob(value) - self.log_mass.to(value.dtype)
        return torch.where(inside, values, -torch.inf)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        """Draw by the inverse of the distribution function."""
        shape = self._extended_shape(sample_shape)
        left, right = log_ndtr(self._left).exp(), log_ndtr(self._right).exp()
        share = torch.rand(shape, dtype=torch.float64)
        value = self.loc + self.scale * self._sign * ndtri(left + share * (right - left))
        return value.clamp(self.low, self.high).to(self.loc.dtype)
