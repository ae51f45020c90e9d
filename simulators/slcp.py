"""Simple likelihood, complex posterior: four points of a bent Gaussian (sbibm's task).

Five parameters in (-3, 3) set mean and covariance of a Gaussian in the plane,

    m = (theta_1, theta_2),    s_1 = theta_3^2,    s_2 = theta_4^2,    rho = tanh theta_5,

    x = (p_1, ..., p_4),    p_i ~ Normal(m, S),    S = [[s_1^2 + eps, rho s_1 s_2],
                                                        [rho s_1 s_2, s_2^2 + eps]],

with eps = 10^-6. The signs of theta_3 and theta_4 leave no trace: the posterior has four modes.
`observations` are sbibm's ten, made with `true_parameters`.

References:
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, 2019. arXiv:1805.07226
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.3)
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Uniform

points = 4
eps = 1e-6
differentiable = True

units = {f"theta_{i}": "1" for i in range(1, 6)}
prior = {name: Uniform(-3.0, 3.0) for name in units}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["slcp_x"])
    true_parameters = torch.from_numpy(_data["slcp_theta"])
x_obs = observations[0]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw x, (n, 5) to (n, 8)."""
    l_11, l_21, l_22 = _cholesky(theta)
    z = torch.randn((len(theta), points, 2), generator=rng, dtype=theta.dtype)
    p_1 = theta[:, :1] + l_11 * z[..., 0]
    p_2 = theta[:, 1:2] + l_21 * z[..., 0] + l_22 * z[..., 1]
    return torch.stack([p_1, p_2], dim=2).flatten(start_dim=1)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 5) and (n, 8) or (8,) to (n,), differentiable in theta."""
    l_11, l_21, l_22 = _cholesky(theta)
    z_1 = (x[..., 0::2] - theta[:, :1]) / l_11
    z_2 = (x[..., 1::2] - theta[:, 1:2] - l_21 * z_1) / l_22
    terms = -0.5 * (z_1**2 + z_2**2) - torch.log(2 * math.pi * l_11 * l_22)
    return terms.sum(dim=1)


def _cholesky(theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the entries of the lower triangular root of S, (n, 1) each."""
    s_1, s_2, tail = theta[:, 2:3] ** 2, theta[:, 3:4] ** 2, theta[:, 4:]
    variance = s_1**2 + eps
    l_11 = variance.sqrt()
    l_21 = tail.tanh() * s_1 * s_2 / l_11
    # s_2^2 + eps - l_21^2 without cancellation, by 1 - tanh^2 = 1 / cosh^2
    kept = (s_1**2 / tail.cosh() ** 2 + eps) / variance
    return l_11, l_21, (s_2**2 * kept + eps).sqrt()
