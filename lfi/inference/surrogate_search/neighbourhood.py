"""Where a surrogate is asked next, and which simulations it is fitted to.

Both are told by draws of the posterior through the surrogate of now, in unconstrained parameters.
The next parameters are some of these draws, moved a little by the draws' own covariance, so that
what is learnt reaches beyond the posterior on all sides. What has been simulated far from the draws
says nothing of the simulator there, and is left out of the next fit.
"""

import torch
from jaxtyping import Float, Int
from scipy.stats import chi2
from torch import Tensor

from lfi.runtime import torch_rng
from lfi.simulation import Prior

WIDENED = 0.5  # of the draws' deviation, by which proposals are moved: they are 12% wider
RIDGE = 1e-6  # of the draws' variances, added to them
REACH = 2.0  # times the radius that holds nearly all of a normal posterior
NEARLY_ALL = 0.999
LEAST = 1_000  # simulations that are fitted, also where they are not near


def proposed_near(
    prior: Prior, draws: Float[Tensor, "m dim"], n: int, seed: int
) -> Float[Tensor, "n dim"]:
    """Return n parameters around draws, each of which is taken as often as any other."""
    u, rng = prior.to_unconstrained(draws).double(), torch_rng(seed)
    order = torch.randperm(len(u), generator=rng)
    chosen = u[order[torch.arange(n) % len(u)]]
    moved = torch.randn(n, u.shape[1], generator=rng, dtype=u.dtype) @ _root(u).T
    return prior.from_unconstrained(chosen + WIDENED * moved)[0]


def nearby(
    prior: Prior, theta: Float[Tensor, "n dim"], draws: Float[Tensor, "m dim"]
) -> Int[Tensor, " k"]:
    """Return which parameters are near draws of a posterior: 1,000 at least, the nearest.

    Example:
        >>> prior = lfi.simulation.as_prior({"a": torch.distributions.Normal(0.0, 100.0)})
        >>> draws = torch.linspace(-1, 1, 100)[:, None]
        >>> len(nearby(prior, torch.linspace(-100, 100, 100_001)[:, None], draws))
        3857
    """
    u, own = prior.to_unconstrained(draws).double(), prior.to_unconstrained(theta).double()
    off = torch.linalg.solve_triangular(_root(u), (own - u.mean(0)).T, upper=False)
    distance = off.square().sum(0)
    reach = REACH**2 * float(chi2.ppf(NEARLY_ALL, u.shape[1]))
    number = max(LEAST, int((distance <= reach).sum()))
    return distance.argsort(stable=True)[:number].sort().values


def _root(u: Float[Tensor, "m dim"]) -> Float[Tensor, "dim dim"]:
    """Return the lower triangular root of the covariance of points."""
    covariance = u.T.cov().reshape(u.shape[1], u.shape[1])
    variances = covariance.diagonal()
    return torch.linalg.cholesky(covariance + torch.diag(RIDGE * variances + 1e-30))
