"""The mean of a ten-dimensional Gaussian under a Gaussian prior (sbibm's task).

    theta_i ~ Normal(0, variance 0.1),    x_i ~ Normal(theta_i, variance 0.1),    i = 1, ..., 10,

so that the posterior is known: theta_i given x is Normal(x_i / 2, variance 0.05). `observations`
are sbibm's ten, made with `true_parameters`.

References:
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.1)
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

dim = 10
prior_scale = scale = 0.1**0.5
differentiable = True

units = {f"theta_{i}": "1" for i in range(1, dim + 1)}
prior = {name: Normal(0.0, prior_scale) for name in units}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["gaussian_linear_x"])
    true_parameters = torch.from_numpy(_data["gaussian_linear_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw x, (n, 10) to (n, 10)."""
    return theta + scale * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 10) and (n, 10) or (10,) to (n,), differentiable in theta."""
    return Normal(theta, scale).log_prob(x).sum(dim=1)


def posterior(x_obs: Tensor) -> Distribution:
    """Return the posterior of theta given x_obs (10,)."""
    gain = prior_scale**2 / (prior_scale**2 + scale**2)
    scales = torch.full_like(x_obs, gain**0.5 * scale)
    return Independent(Normal(gain * x_obs, scales), 1)
