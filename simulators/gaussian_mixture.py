"""The common mean of a wide and a narrow Gaussian (sbibm's task, since its version 1.1.0).

    theta ~ Uniform(-10, 10)^2,    x ~ 1/2 Normal(theta, 1) + 1/2 Normal(theta, 0.1^2),

two-dimensional, both coordinates from the same component. (Before 1.1.0 sbibm drew components by
mistake for the whole batch.) The posterior is the same mixture around x, truncated to the square.
`observations` are sbibm's ten, made with `true_parameters`.

References:
    Sisson et al., Sequential Monte Carlo without likelihoods, PNAS 104, 2007.
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.7)
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
    Uniform,
)

from simulators.gaussian_linear_uniform import TruncatedNormal

bound = 10.0
scales = (1.0, 0.1)  # equally likely
differentiable = True

units = {"theta_1": "1", "theta_2": "1"}
prior = {name: Uniform(-bound, bound) for name in units}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["gaussian_mixture_x"])
    true_parameters = torch.from_numpy(_data["gaussian_mixture_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw x, (n, 2) to (n, 2)."""
    component = torch.rand((len(theta), 1), generator=rng, dtype=torch.float64) > 0.5
    noise = torch.randn(theta.shape, generator=rng, dtype=theta.dtype)
    return theta + theta.new_tensor(scales)[component.long()] * noise


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 2) or (2,) to (n,), differentiable in theta."""
    terms = [Normal(theta, scale).log_prob(x).sum(dim=1) for scale in scales]
    return torch.logsumexp(torch.stack(terms), dim=0) - math.log(2)


def posterior(x_obs: Tensor) -> Distribution:
    """Return the posterior of theta given x_obs (2,), within the square."""
    deviations = x_obs.new_tensor(scales)[:, None].expand(2, 2)
    components = TruncatedNormal(x_obs.expand(2, 2), deviations, -bound, bound)
    weights = Categorical(logits=components.log_mass.sum(dim=1).to(x_obs.dtype))
    return MixtureSameFamily(weights, Independent(components, 1))
