"""An influenza outbreak in an English boarding school, 1978: what were its rates?

763 boys, one of them infected on day 0. Susceptible boys S are infected at rate beta by the
infected boys I, who recover at rate gamma (the SIR equations, integrated here by Runge-Kutta):

    dS/dt = -beta S I / N,    dI/dt = beta S I / N - gamma I.

The school counted the boys in bed on 14 days. Counts are overdispersed, negative binomial with
mean I(t) and size 1/phi_inv, that is, variance I + phi_inv I^2:

    x_t ~ Poisson(I(t) G_t),    G_t ~ Gamma(1/phi_inv, 1/phi_inv).

References:
    Influenza in a boarding school, British Medical Journal, 4 March 1978, p. 587.
    Grinsztajn et al., Bayesian workflow for disease transmission modeling in Stan, Statistics in
    Medicine 2021. arXiv:2006.02985
    (there beta 1.73 +- 0.05, gamma 0.54 +- 0.05, phi_inv 0.14 +- 0.07)
"""

from pathlib import Path

import numpy as np
import scipy.stats
import torch
from torch import Tensor

boys = 763
days = 14
steps_per_day = 8  # Runge-Kutta steps: I(t) within 0.3% over the central 99.8% of the prior

units = {"beta": "1/day", "gamma": "1/day", "phi_inv": "1"}
prior = {
    "beta": scipy.stats.truncnorm(a=-2.0, b=np.inf, loc=2.0, scale=1.0),
    "gamma": scipy.stats.truncnorm(a=-0.8, b=np.inf, loc=0.4, scale=0.5),
    "phi_inv": scipy.stats.expon(scale=1 / 5),
}
x_obs = torch.from_numpy(
    np.loadtxt(Path(__file__).parent / "data" / "influenza.csv", delimiter=",", skiprows=3)[:, 1]
).float()
x_names, x_axis = "boys in bed", ("day", range(1, days + 1))


def infected(theta: Tensor) -> Tensor:
    """Return I(t) on days 1 to 14, (n, 3) to (n, 14), differentiable in theta."""
    beta, gamma = theta[:, 0] / boys, theta[:, 1]
    s = torch.full_like(gamma, boys - 1.0)
    i = torch.ones_like(gamma)
    h = 1 / steps_per_day

    def slope(s: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
        new = beta * s * i
        return -new, new - gamma * i

    path = []
    for _ in range(days):
        for _ in range(steps_per_day):
            s1, i1 = slope(s, i)
            s2, i2 = slope(s + h / 2 * s1, i + h / 2 * i1)
            s3, i3 = slope(s + h / 2 * s2, i + h / 2 * i2)
            s4, i4 = slope(s + h * s3, i + h * i3)
            s = s + h / 6 * (s1 + 2 * s2 + 2 * s3 + s4)
            i = i + h / 6 * (i1 + 2 * i2 + 2 * i3 + i4)
        path.append(i)
    return torch.stack(path, dim=1)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the counts of boys in bed on days 1 to 14, (n, 3) to (n, 14)."""
    mean, phi_inv = infected(theta), theta[:, 2:]
    size = (1 / phi_inv).expand_as(mean)
    return torch.poisson(mean * torch._standard_gamma(size, generator=rng) * phi_inv, generator=rng)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta), (n, 3) and (n, 14) or (14,) to (n,), differentiable in theta."""
    mean, size = infected(theta), 1 / theta[:, 2:]
    return (
        torch.lgamma(x + size)
        - torch.lgamma(size)
        - torch.lgamma(x + 1)
        + size * torch.log(size / (size + mean))
        + x * torch.log(mean / (size + mean))
    ).sum(dim=1)
