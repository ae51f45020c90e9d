"""A linear Gaussian model of two parameters and five numbers, of which some may be missing."""

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from lfi.simulation import Simulator

SLOPES = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, -1.0], [0.5, 2.0]]).double()
DEVIATIONS = torch.tensor([0.5, 0.5, 0.7, 0.7, 1.0]).double()


def partly_observed() -> Simulator:
    """Return the simulator, of complete x: theta ~ N(0, 1), x = A theta + noise."""

    def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
        noise = torch.randn(len(theta), 5, generator=rng, dtype=theta.dtype)
        return theta @ SLOPES.to(theta).T + DEVIATIONS.to(theta) * noise

    return Simulator(simulate, prior={"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)})


def exact_posterior(x: Tensor) -> MultivariateNormal:
    """Return p(theta | x) of one x, what is NaN left out."""
    seen = ~x.isnan()
    a, sd = SLOPES[seen], DEVIATIONS[seen]
    covariance = torch.linalg.inv(torch.eye(2).double() + a.T @ (a / sd[:, None].square()))
    return MultivariateNormal(covariance @ a.T @ (x[seen].double() / sd.square()), covariance)
