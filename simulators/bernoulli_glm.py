"""The spikes of a neuron that listens to white noise, summarised (sbibm's task).

The neuron of `simulators.bernoulli_glm_raw`, with spikes y_t in 100 bins and log odds that are
linear in theta, psi = V theta. What is measured are the sufficient statistics: the number of
spikes, and nine sums of the stimulus before spikes (a spike-triggered average, not divided),

    x = V^T y,    x_0 = sum y_t,    x_j = sum over t of s_(t - j + 1) y_t.

As log p(y | theta) = psi . y - sum of log(1 + e^psi_t) and psi . y = theta . x, the likelihood
needs only x; distinct trains of spikes have distinct x, so it is that of x, too. `observations`
are sbibm's ten, made with `true_parameters`.

References:
    Goncalves et al., Training deep neural density estimators to identify mechanistic models of
    neural dynamics, eLife 9, 2020.
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.5)
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import softplus

from simulators import bernoulli_glm_raw
from simulators.bernoulli_glm_raw import design

units = bernoulli_glm_raw.units
prior = bernoulli_glm_raw.prior
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["bernoulli_glm_x"])
    true_parameters = torch.from_numpy(_data["bernoulli_glm_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the statistics of the spikes, (n, 10) to (n, 10)."""
    return bernoulli_glm_raw.simulate(theta, rng) @ design.to(theta)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 10) and (n, 10) or (10,) to (n,), differentiable in theta.

    The probability of the one train of spikes that has these statistics; x is taken to be possible.
    """
    odds = theta @ design.to(theta).T
    return (theta * x).sum(dim=1) - softplus(odds).sum(dim=1)
