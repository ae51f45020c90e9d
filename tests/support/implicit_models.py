"""Models of known posterior for implicit inference."""

import math

import pyro
import torch
from pyro.distributions import Dirichlet, Gamma, HalfCauchy, Normal, Poisson

X = torch.tensor([0.8, -0.5])
NOISE = 0.25  # variance of x given theta, whose prior is N(0, I)
SHRINK = 1 / (1 + NOISE)  # the posterior is N(SHRINK x, SHRINK NOISE I)
PRIOR = {"a": torch.distributions.Normal(0.0, 1.0), "b": torch.distributions.Normal(0.0, 1.0)}
EVIDENCE = -(X.square().sum() / 2 * SHRINK + math.log(2 * math.pi * (1 + NOISE)))
BANANA_SD = 0.5


def log_likelihood(theta, x=X):
    """The log density of x given theta."""
    return -(x - theta).square().sum(-1) / (2 * NOISE) - math.log(2 * math.pi * NOISE)


def banana(z):
    """z_0 ~ N(0, 4), z_1 ~ N(z_0^2 / 2, 1/4): unnormalised, its integral is 2 pi."""
    bent = (z[:, 1] - z[:, 0].square() / 2) / BANANA_SD
    return -(z[:, 0].square() / 4 + bent.square()) / 2


def banana_draws(n, rng):
    """Exact draws of it."""
    first, second = torch.randn(2, n, generator=rng)
    return torch.stack([2 * first, 2 * first.square() + BANANA_SD * second], dim=1)


def two_modes(z):
    """Modes of .3 and .7 of the mass at (1.5, 1.5) and (-1.5, -1.5), of deviation .3."""
    near = [-(z - c).square().sum(1) / (2 * 0.3**2) + math.log(w) for c, w in PLACES]
    return torch.logaddexp(*near)


PLACES = ((1.5, 0.3), (-1.5, 0.7))
COUNTS = torch.tensor([4.0, 7.0, 5.0])


def rate():
    """A Gamma prior and Poisson counts: the posterior is Gamma(2 + 16, 1 + 3)."""
    own = pyro.sample("rate", Gamma(2.0, 1.0))
    with pyro.plate("days", 3):
        pyro.sample("count", Poisson(own), obs=COUNTS)


def shares(counts):
    """Dirichlet(1, 1, 1) shares of counts, whose posterior is Dirichlet(1 + counts)."""
    own = pyro.sample("shares", Dirichlet(torch.ones(3)))
    pyro.factor("counts", (counts * own.log()).sum())


SCHOOLS = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
SCHOOLS_SD = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def eight_schools(centred=False):
    """Coaching in eight schools (Rubin 1981); `eta`, or `theta` where it is centred."""
    mu = pyro.sample("mu", Normal(0.0, 5.0))
    tau = pyro.sample("tau", HalfCauchy(5.0))
    with pyro.plate("schools", 8):
        if centred:
            theta = pyro.sample("theta", Normal(mu, tau))
        else:
            theta = mu + tau * pyro.sample("eta", Normal(0.0, 1.0))
        pyro.sample("y", Normal(theta, SCHOOLS_SD), obs=SCHOOLS)
