"""The spikes of a neuron that listens to white noise, one by one (sbibm's task).

In each of 100 time bins the neuron spikes or not. Its log odds are a bias, theta_0, plus the last
nine values of the stimulus s, weighted by the filter theta_1, ..., theta_9:

    x_t ~ Bernoulli(sigmoid(psi_t)),    psi_t = theta_0 + sum over j of theta_j s_(t - j + 1),

where s, zero before the start, is the same in every simulation. The prior prefers smooth filters:
theta_0 ~ Normal(0, variance 2), and the filter is Normal(0, (F^T F)^-1) with

    F = D^2 + diag(sqrt(0/9), ..., sqrt(8/9)),

where D takes first differences. `observations` are sbibm's ten, made with `true_parameters`.

References:
    Goncalves et al., Training deep neural density estimators to identify mechanistic models of
    neural dynamics, eLife 9, 2020.
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.6)
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal
from torch.nn.functional import logsigmoid

bins = 100
taps = 9
stimulus = torch.from_numpy(np.random.RandomState(42).randn(bins).astype(np.float32))
# row t holds 1, s_t, s_(t - 1), ..., s_(t - 8): psi = design theta
design = torch.stack(
    [torch.ones(bins, dtype=torch.float32)]
    + [torch.cat([torch.zeros(j, dtype=torch.float32), stimulus[: bins - j]]) for j in range(taps)],
    dim=1,
)


def smooth() -> MultivariateNormal:
    """Return the prior."""
    differences = torch.eye(taps) - torch.diag(torch.ones(taps - 1), -1)
    roughness = differences @ differences + torch.diag(torch.arange(taps) / taps) ** 0.5
    precision = torch.block_diag(torch.tensor(0.5), roughness.T @ roughness)
    return MultivariateNormal(torch.zeros(taps + 1), precision_matrix=precision)


units = {f"theta_{i}": "1" for i in range(taps + 1)}
prior = smooth()
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["bernoulli_glm_raw_x"])
    true_parameters = torch.from_numpy(_data["bernoulli_glm_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the spikes, (n, 10) to (n, 100), zeros and ones."""
    odds = theta @ design.to(theta).T
    return (torch.rand(odds.shape, generator=rng, dtype=odds.dtype) < odds.sigmoid()).to(odds)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 10) and (n, 100) or (100,) to (n,), differentiable in theta."""
    odds = theta @ design.to(theta).T
    return torch.where(x > 0, logsigmoid(odds), logsigmoid(-odds)).sum(dim=1)
