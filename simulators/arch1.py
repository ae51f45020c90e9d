"""A time series with autoregressive level and volatility, ARCH(1): 100 values.

    x_t = theta1 x_{t-1} + e_t,    e_t = z_t sqrt(0.2 + theta2 e_{t-1}^2),    z_t ~ Normal(0, 1),

from x_0 = 0 and e_0 ~ Normal(0, 1), which is not seen. Since x determines e_1, e_2, ..., the
likelihood is a product of normal densities but for its first factor, an integral over e_0:

    p(x | theta) = int Normal(e_0; 0, 1) Normal(e_1; 0, 0.2 + theta2 e_0^2) de_0
                   prod_{t > 1} Normal(e_t; 0, 0.2 + theta2 e_{t-1}^2),

here by the trapezoidal rule, exact to 1e-10 (the integrand is analytic, and near zero at +-9).

References:
    Thomas, Dutta, Corander, Kaski & Gutmann, Likelihood-free inference by ratio estimation,
    Bayesian Analysis 2022. arXiv:1611.10242
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
length = 100
floor = 0.2

units = {"theta1": "1", "theta2": "1"}
prior = {
    "theta1": scipy.stats.uniform(loc=-1.0, scale=2.0),
    "theta2": scipy.stats.uniform(loc=0.0, scale=1.0),
}
theta_true = (0.3, 0.7)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw 100 values, (n, 2) to (n, 100)."""
    theta1, theta2 = theta.unbind(1)
    e, *noise = torch.randn(length + 1, len(theta), generator=rng, dtype=theta.dtype)
    x = torch.zeros_like(e)
    path = []
    for z in noise:
        e = z * (floor + theta2 * e.square()).sqrt()
        x = theta1 * x + e
        path.append(x)
    return torch.stack(path, dim=1)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, t) or (t,) to (n,), differentiable in theta."""
    theta1, theta2 = theta[:, :1], theta[:, 1:]
    x = x.expand(len(theta), -1)
    first = x[:, :1]
    e = torch.cat([first, x[:, 1:] - theta1 * x[:, :-1]], dim=1)
    later = _log_normal(e[:, 1:], floor + theta2 * e[:, :-1].square())
    e0 = torch.linspace(-9, 9, 361, dtype=theta.dtype)
    joint = _log_normal(e0, torch.ones_like(e0)) + _log_normal(first, floor + theta2 * e0.square())
    return torch.logsumexp(joint, dim=1) + math.log(18 / 360) + later.sum(dim=1)


def summaries(x: Tensor) -> Tensor:
    """Return the paper's features of series, (n, t) to (n, 17).

    They are mean, variance, the autocorrelations at lags 1 to 5 and their ten products of two.
    """
    mean, variance = x.mean(dim=1), x.var(dim=1)
    z = (x - mean[:, None]) / variance.sqrt()[:, None]
    lags = torch.stack([(z[:, lag:] * z[:, :-lag]).mean(dim=1) for lag in range(1, 6)], dim=1)
    i, j = torch.triu_indices(5, 5, offset=1)
    return torch.cat([mean[:, None], variance[:, None], lags, lags[:, i] * lags[:, j]], dim=1)


def weighted_summaries(x: Tensor) -> Tensor:
    """Return features that know of the changing variance, series (n, t) to (n, 26).

    Sample autocorrelations tell little of theta1 where a few wild values outweigh all others, and
    hardly anything of theta2. Least squares with each value weighted by its variance, guessed with
    theta2 = 1/2, tells more of both: it regresses x_t on x_{t-1} for theta1, then for theta2
    e_t^2 - 0.2 on e_{t-1}^2. To these two and a measure of wildness come their six
    products of two, and the paper's features with the logarithm of the variance.
    """
    y, before = x[:, 1:], x[:, :-1]
    theta1 = (y * before).sum(dim=1) / before.square().sum(dim=1)
    for _ in range(2):
        e = y - theta1[:, None] * before
        weighted = before[:, 1:] / (floor + 0.5 * e[:, :-1].square())
        theta1 = (weighted * y[:, 1:]).sum(dim=1) / (weighted * before[:, 1:]).sum(dim=1)
    squared = (y - theta1[:, None] * before).square()
    variance = floor + 0.5 * squared[:, :-1]
    weighted = squared[:, :-1] / variance.square()
    theta2 = (weighted * (squared[:, 1:] - floor)).sum(dim=1)
    theta2 = theta2 / (weighted * squared[:, :-1]).sum(dim=1)
    wild = torch.log1p(squared[:, 1:] / variance).mean(dim=1)
    found = torch.stack([theta1, theta2, wild], dim=1)
    i, j = torch.triu_indices(3, 3)
    known = summaries(x)
    known = torch.cat([known[:, :1], known[:, 1:2].log(), known[:, 2:]], dim=1)
    return torch.cat([known, found, found[:, i] * found[:, j]], dim=1)


def _log_normal(e: Tensor, variance: Tensor) -> Tensor:
    return -0.5 * (e.square() / variance + variance.log() + math.log(2 * math.pi))
