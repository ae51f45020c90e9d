"""An infection among a million people, followed by random tests of a thousand (sbibm's task).

One of N = 1,000,000 people is infected on day 0; the susceptible S are infected by contact with
the infected I, who recover:

    dS/dt = -beta S I / N,    dI/dt = beta S I / N - gamma I.

On days 0, 17, ..., 153, 1,000 people are tested:

    x_i ~ Binomial(1000, I(t_i) / N).

The equations are solved by Taylor series, to a relative error of 1e-7 over the whole prior.
`observations` are sbibm's ten, made with `true_parameters`.

References:
    Kermack & McKendrick, A contribution to the mathematical theory of epidemics, Proceedings of
    the Royal Society A 115, 1927.
    Lueckmann et al., Benchmarking simulation-based inference, 2021. arXiv:2101.04653 (T.9)
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.distributions import LogNormal

from simulators import taylor

people = 1_000_000
tested = 1_000
days = tuple(17.0 * i for i in range(10))

units = {"beta": "1/day", "gamma": "1/day"}
prior = {"beta": LogNormal(math.log(0.4), 0.5), "gamma": LogNormal(math.log(0.125), 0.2)}
with np.load(Path(__file__).parent / "data" / "sbibm.npz") as _data:
    observations = torch.from_numpy(_data["sir_x"])
    true_parameters = torch.from_numpy(_data["sir_theta"])
x_obs = observations[0]
x_names, x_axis = "positive tests", ("day", days)


def infected(theta: Tensor) -> Tensor:
    """Return I(t) / N on the ten days, (n, 2) to (n, 10), in float64, differentiable in theta."""

    def slope(theta: Tensor, u: Tensor) -> Tensor:
        beta, gamma = theta.unbind(dim=1)
        new = beta * taylor.product(u[:, 0], u[:, 1])
        return torch.stack([-new, new - gamma * u[-1, 1]])

    first = torch.tensor([people - 1.0, 1.0], dtype=torch.float64) / people
    return taylor.solve(slope, theta, first.expand(len(theta), 2), days)[:, 1]


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw how many of the tested are infected, (n, 2) to (n, 10)."""
    share = infected(theta).clamp(0, 1).to(theta.dtype)
    return torch.binomial(torch.full_like(share, tested), share, generator=rng)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 2) and (n, 10) or (10,) to (n,), differentiable in theta."""
    share = infected(theta).clamp(0, 1)
    counts = (x >= 0) & (x <= tested) & (x == x.round())
    x = torch.where(counts, x, 0.0).to(share)
    ways = math.lgamma(tested + 1) - torch.lgamma(x + 1) - torch.lgamma(tested - x + 1)
    terms = ways + torch.xlogy(x, share) + torch.special.xlog1py(tested - x, -share)
    return torch.where(counts, terms, -math.inf).sum(dim=1).to(theta.dtype)
