"""An epidemic person by person: the stochastic SIR model, by Gillespie's algorithm.

Of N = 500 people, S are susceptible, I infected (5 at the start) and the rest recovered. Nothing
happens but

    infection   S, I -> S - 1, I + 1    at rate beta S I / N,
    recovery    I -> I - 1              at rate gamma I,

so that the time to the next event is exponential with the sum of the rates, and the event one of
the two in proportion to its rate. Seen are the infected on 12 days, every 10 days. A number of
people is whole: its gradient in theta is zero almost everywhere, and says nothing.

The equations of `sir` are its limit for many people; this one dies out by chance.

References:
    Gillespie, Exact stochastic simulation of coupled chemical reactions, Journal of Physical
    Chemistry 1977.
    Bartlett, Some evolutionary stochastic processes, JRSS B 1949.
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = False
population = 500
infected = 5
days = tuple(range(10, 121, 10))
x_names, x_axis = "infected", ("day", days)

units = {"beta": "1/day", "gamma": "1/day"}
prior = {
    "beta": scipy.stats.lognorm(s=0.5, scale=0.4),
    "gamma": scipy.stats.lognorm(s=0.2, scale=1 / 8),
}


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw how many are infected on days 10, 20, ..., 120, (n, 2) to (n, 12)."""
    return epidemic(theta, rng, population, infected, days)[..., 1]


def epidemic(
    theta: Tensor, rng: torch.Generator, people: int, start: int, times: tuple[float, ...]
) -> Tensor:
    """Draw susceptible and infected at times, (n, 2) to (n, t, 2), one event of all rows a step.

    Args:
        theta: beta and gamma, (n, 2).
        rng: Where random numbers come from.
        people: N.
        start: How many are infected at time 0.
        times: When to look, t increasing numbers.
    """
    beta, gamma = theta.double().unbind(1)
    looks = torch.tensor([*times, math.inf], dtype=torch.float64)
    seen = torch.empty(len(theta), len(times), 2, dtype=torch.float64)
    row, look = torch.arange(len(theta)), torch.zeros(len(theta), dtype=torch.long)
    s, i = torch.full_like(beta, people - start), torch.full_like(beta, start)
    t = torch.zeros_like(beta)
    while len(row):  # those which have not been looked at for the last time
        infection, recovery = beta * s * i / people, gamma * i
        total = infection + recovery
        u, v = torch.rand(2, len(row), generator=rng, dtype=torch.float64)
        t = torch.where(total > 0, t - torch.log1p(-u) / total, math.inf)
        while (due := looks[look] < t).any():
            seen[row[due], look[due]] = torch.stack([s[due], i[due]], dim=1)
            look = look + due
        infects = (v * total < infection).double()
        s, i = s - infects, i + 2 * infects - 1
        on = look < len(times)
        row, look, s, i, t, beta, gamma = (v[on] for v in (row, look, s, i, t, beta, gamma))
    return seen.to(theta.dtype)
