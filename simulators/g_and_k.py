"""The g-and-k distribution: known by its quantiles, and by no density in closed form.

Location a, scale b, skewness g and tail weight k bend a normal variable z:

    x = Q(z) = a + b (1 + c tanh(g z / 2)) (1 + z^2)^k z,    z ~ Normal(0, 1),    c = 0.8.

One simulation is a sample of 250 such numbers. Q increases for b > 0 and k >= 0, so the density is
that of z = Q^-1(x), found by bisection, over the slope:

    log p(x) = log Normal(z; 0, 1) - log Q'(z),
    Q'(z) = b (1 + z^2)^k [(1 + c tanh(g z / 2)) (1 + (2k + 1) z^2) / (1 + z^2)
                           + c g z / (2 cosh^2(g z / 2))].

References:
    Rayner & MacGillivray, Numerical maximum likelihood estimation for the g-and-k and generalized
    g-and-h distributions, Statistics and Computing 2002.
    Bernton, Jacob, Gerber & Robert, Approximate Bayesian computation with the Wasserstein
    distance, JRSS B 2019. arXiv:1905.03747
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
draws = 250
c = 0.8
halvings = 70

units = {"a": "1", "b": "1", "g": "1", "k": "1"}
prior = {name: scipy.stats.uniform(loc=0.0, scale=10.0) for name in units}
theta_true = (3.0, 1.0, 2.0, 0.5)


def quantile(z: Tensor, theta: Tensor) -> Tensor:
    """Return Q(z), (n, m) and (n, 4) to (n, m), differentiable in both."""
    a, b, g, k = theta.T[:, :, None]
    return a + b * (1 + c * torch.tanh(g * z / 2)) * (k * torch.log1p(z.square())).exp() * z


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw 250 numbers, (n, 4) to (n, 250)."""
    z = torch.randn(len(theta), draws, generator=rng, dtype=theta.dtype)
    return quantile(z, theta)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta) of m numbers, (n, 4) and (n, m) or (m,) to (n,).

    Computed in float64, for b > 0 and k >= 0; differentiable once in theta.
    """
    theta, dtype = theta.double(), theta.dtype
    x = x.double().expand(len(theta), -1)
    z = normal_score(x, theta)
    log_normal = -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
    return (log_normal - _log_slope(z, theta)).sum(dim=1).to(dtype)


def normal_score(x: Tensor, theta: Tensor) -> Tensor:
    """Return z with Q(z) = x, (n, m) and (n, 4) to (n, m), differentiable once in theta."""
    with torch.no_grad():
        a, b, _, k = theta.T[:, :, None]
        reach = (x - a).abs() / (b * (1 - c))  # at least |z| max(1, |z|)^(2k)
        reach = torch.where(reach > 1, reach ** (1 / (2 * k + 1)), reach)
        below, above = -reach, reach
        for _ in range(halvings):
            middle = (below + above) / 2
            right = quantile(middle, theta) < x
            below, above = torch.where(right, middle, below), torch.where(right, above, middle)
        z = (below + above) / 2
        slope = _log_slope(z, theta).exp()
    return z - (quantile(z, theta) - x) / slope  # a Newton step, which carries the gradient


def summaries(x: Tensor) -> Tensor:
    """Return the seven octiles of samples, (n, m) to (n, 7)."""
    return torch.quantile(x, torch.arange(1, 8, dtype=x.dtype) / 8, dim=1).T


def _log_slope(z: Tensor, theta: Tensor) -> Tensor:
    _, b, g, k = theta.T[:, :, None]
    squared, half = z.square(), g * z / 2
    bend = (1 + c * torch.tanh(half)) * (1 + (2 * k + 1) * squared) / (1 + squared)
    sech = 2 * torch.exp(-half.abs()) / (1 + torch.exp(-2 * half.abs()))
    return b.log() + k * torch.log1p(squared) + torch.log(bend + c * half * sech.square())
