"""Major earthquakes a year, 1900 to 2006: counts that remember the years before.

A Poisson autoregression, or integer-valued GARCH(1, 1): the expected number follows the counts,

    x_t ~ Poisson(m_t),    m_t = level (1 - memory) + memory (news x_{t-1} + (1 - news) m_{t-1}),

from m_1 = level. The further from 0 `memory` is, the longer a deviation lasts; `news` is the share
of the last count, against all before it.

References:
    Ferland, Latour & Oraichi, Integer-valued GARCH process, Journal of Time Series Analysis 2006.
    Zucchini & MacDonald, Hidden Markov Models for Time Series, 2009 (data).
"""

from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

units = {"level": "1/year", "memory": "1", "news": "1"}
prior = {
    "level": scipy.stats.lognorm(s=0.5, scale=20.0),
    "memory": scipy.stats.uniform(loc=0.0, scale=1.0),
    "news": scipy.stats.uniform(loc=0.0, scale=1.0),
}
_table = np.loadtxt(Path(__file__).parent / "data" / "earthquakes.csv", delimiter=",", skiprows=3)
x_obs = torch.from_numpy(_table[:, 1]).float()
x_names, x_axis = "major earthquakes", ("year", _table[:, 0])


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the counts of 107 years, (n, 3) to (n, 107)."""
    mean, path = theta[:, 0], []
    for _ in range(len(x_obs)):
        path.append(torch.poisson(mean, generator=rng))
        mean = _next(theta, mean, path[-1])
    return torch.stack(path, dim=1)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 3) and (n, t) or (t,) to (n,), differentiable in theta."""
    mean, total = theta[:, 0], torch.zeros_like(theta[:, 0])
    for count in x.unbind(-1):
        total = total + count * mean.log() - mean - torch.lgamma(count + 1)
        mean = _next(theta, mean, count)
    return total


def _next(theta: Tensor, mean: Tensor, count: Tensor) -> Tensor:
    level, memory, news = theta.unbind(1)
    return level * (1 - memory) + memory * (news * count + (1 - news) * mean)
