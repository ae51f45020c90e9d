"""A queue with one server, seen from its exit: how long is a service, how often do people come?

Customers arrive as a Poisson process of rate `arrival_rate` at an empty queue and are served in
turn; a service takes a time uniform between service_min and service_min + service_width. Of 50
customers the times between departures are recorded, the first one from the opening, and kept as
five quantiles (least, quarter, median, three quarters, greatest). With arrival v_i and service s_i
the departures are

    d_i = s_i + max(d_{i-1}, v_i)  =  max over j <= i of (v_j + s_j + ... + s_i).

The likelihood of the departures is an integral over all arrivals, and so not at hand.

References:
    Blum & Francois, Non-linear regression models for approximate Bayesian computation, Statistics
    and Computing 2010. arXiv:0809.4178
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, AISTATS 2019. arXiv:1805.07226
"""

import scipy.stats
import torch
from torch import Tensor

differentiable = True
customers = 50
levels = (0.0, 0.25, 0.5, 0.75, 1.0)

units = {"service_min": "min", "service_width": "min", "arrival_rate": "1/min"}
prior = {
    "service_min": scipy.stats.uniform(loc=0.0, scale=10.0),
    "service_width": scipy.stats.uniform(loc=0.0, scale=10.0),
    "arrival_rate": scipy.stats.uniform(loc=0.0, scale=1 / 3),
}
theta_true = (1.0, 4.0, 0.2)  # services between 1 and 5, an arrival every 5


def interdepartures(services: Tensor, gaps: Tensor) -> Tensor:
    """Return the times between departures, given those of service and between arrivals, (n, m)."""
    done = services.cumsum(dim=1)
    waits = (gaps.cumsum(dim=1) - (done - services)).cummax(dim=1).values
    return (done + waits).diff(dim=1, prepend=torch.zeros_like(done[:, :1]))


def queue(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the 50 times between departures, (n, 3) to (n, 50)."""
    low, width, rate = theta.T[:, :, None]
    shape = len(theta), customers
    services = low + width * torch.rand(shape, generator=rng, dtype=theta.dtype)
    gaps = -torch.log1p(-torch.rand(shape, generator=rng, dtype=theta.dtype)) / rate
    return interdepartures(services, gaps)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw five quantiles of the times between departures, (n, 3) to (n, 5)."""
    q = torch.tensor(levels, dtype=theta.dtype)
    return torch.quantile(queue(theta, rng), q, dim=1).T
