"""Distances of approximate Bayesian computation: how far simulated data are from the observed.

A distance is made for one observation, and may learn from simulations at hand what to look at:

    measure = distance.towards(x_obs, theta, x)       simulations to learn from
    measure(x)                                        (n, *event) to (n,)

Three kinds of it:

    Samples         x holds draws, (n, trials, *event): any discrepancy of the comparison room.
                    Given to `abc_rejection` or `abc_smc`, a discrepancy becomes this by itself.
    Summaries       x is reduced to numbers, each divided by its spread (abc_summaries.py);
    SemiAutomatic   or to estimates of the parameters, by regression.
    FittedRatio     how different the posteriors are that a fitted ratio sees in x and in x_obs:

        J(x, x_obs) = sum_j (w_j(x) - w_j(x_obs)) (log w_j(x) - log w_j(x_obs)),

    Jeffreys' divergence of weights w_j over the same prior draws theta_j. Posteriors are all that
    data tell, so no summary loses less; where the ratio is off, ABC still simulates.

References:
    Park, Jitkrittum & Sejdinovic, K2-ABC, 2016. arXiv:1502.02558 (MMD)
    Bernton, Jacob, Gerber & Robert, 2019. arXiv:1905.03747 (Wasserstein)
    Gutmann, Dutta, Kaski & Corander, 2018. arXiv:1407.4981 (classifiers)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import Discrepancy
from lfi.inference.types import Weighted

ENTRIES = 2**22  # of pairs of points that a discrepancy looks at in one call: keeps memory flat
ROWS = 4096  # data sets that go through a summary or a ratio in one call

Measure = Callable[[Float[Tensor, " n *event"]], Float[Tensor, " n"]]


@runtime_checkable
class Distance(Protocol):
    """What makes a measure for an observation."""

    @property
    def adaptive(self) -> bool:
        """Whether it learns from simulations, so that better ones make it better."""

    def towards(
        self,
        x_obs: Float[Tensor, "*shape"],
        theta: Float[Tensor, "n dim"],
        x: Float[Tensor, " n *event"],
    ) -> Measure:
        """Return the distance of data sets from x_obs, having learned from theta and x.

        Raises:
            ValueError: If x_obs does not belong to x.
        """
        ...


@dataclass(frozen=True)
class Samples:
    """A discrepancy of two samples, for data whose first axis counts independent draws.

    Data of one number a draw may lack the last axis: (n, trials) is taken for (n, trials, 1). The
    observation may have another number of draws. A time series is no sample: its order would be
    ignored.

    Attributes:
        discrepancy: `lfi.discrepancies.MMD()`, `lfi.discrepancies.Energy()`,
            `lfi.discrepancies.ClassifierDiscrepancy()`, any.

    Example:
        >>> x_obs, x = torch.zeros(30, 2), torch.stack([torch.zeros(20, 2), torch.ones(20, 2)])
        >>> Samples(lfi.discrepancies.Moments()).towards(x_obs, torch.zeros(2, 1), x)(x)
        tensor([0., 2.])
    """

    discrepancy: Discrepancy

    @property
    def adaptive(self) -> bool:
        """False: it is the same whatever was simulated."""
        return False

    def towards(
        self,
        x_obs: Float[Tensor, "*shape"],
        theta: Float[Tensor, "n dim"],
        x: Float[Tensor, " n *event"],
    ) -> Measure:
        """Return the discrepancy from x_obs.

        Raises:
            ValueError: If x holds single numbers, or x_obs is no sample of the same events.
        """
        if x.ndim < 2 or x_obs.ndim != x.ndim - 1 or x_obs.shape[1:] != x.shape[2:]:
            raise ValueError(
                f"{type(self.discrepancy).__name__} compares samples: x must be (n, trials, "
                f"*event) and x_obs (m, *event), got shapes {tuple(x.shape)} and "
                f"{tuple(x_obs.shape)}"
            )
        observed = _points(x_obs[None])[0].to(x)

        def measure(x: Tensor) -> Tensor:
            points = _points(x)
            rows = max(1, ENTRIES // (points.shape[1] + len(observed)) ** 2)
            with torch.no_grad():
                return torch.cat([self.discrepancy(part, observed) for part in points.split(rows)])

        return measure


@runtime_checkable
class WeighsCandidates(Protocol):
    """A posterior that weighs the same prior draws for many observations at once."""

    x_shape: tuple[int, ...]

    def weighted(self, x: Tensor, candidates: int, *, seed: int) -> Weighted:
        """Return prior draws and their weights for each x."""
        ...


@dataclass(frozen=True, eq=False)
class FittedRatio:
    """Jeffreys' divergence of the posteriors that a fitted ratio sees in two data sets.

    Attributes:
        posterior: What `lfi.fit_posterior` returns, if it weighs prior draws.
        candidates: How many prior draws stand for the parameters.
        seed: Of those draws.
    """

    posterior: WeighsCandidates
    candidates: int = 512
    seed: int = 0

    @property
    def adaptive(self) -> bool:
        """False: the ratio was fitted before."""
        return False

    def towards(
        self,
        x_obs: Float[Tensor, "*shape"],
        theta: Float[Tensor, "n dim"],
        x: Float[Tensor, " n *event"],
    ) -> Measure:
        """Return the divergence from the posterior at x_obs.

        Raises:
            ValueError: If the posterior is one of other data.
        """
        same_shape(x_obs, x)
        if tuple(x_obs.shape) != tuple(self.posterior.x_shape):
            raise ValueError(
                f"posterior is given x of shape {tuple(self.posterior.x_shape)}, but x_obs has "
                f"{tuple(x_obs.shape)}"
            )
        weigh = lambda x: self.posterior.weighted(x, self.candidates, seed=self.seed).log_weights
        observed = weigh(x_obs[None])

        def measure(x: Tensor) -> Tensor:
            parts = [weigh(part) for part in x.split(ROWS)]
            return torch.cat(
                [((p.exp() - observed.exp()) * (p - observed)).sum(dim=1) for p in parts]
            )

        return measure


def as_distance(obj: object) -> Distance:
    """Return the distance itself, or that of a discrepancy of samples.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(obj, Distance):
        return obj
    if isinstance(obj, type) or not isinstance(obj, Discrepancy):
        raise TypeError(
            "discrepancy must be a discrepancy of samples such as lfi.discrepancies.MMD(), or a "
            f"distance such as lfi.abc.Summaries(); got {obj!r}"
        )
    return Samples(obj)


def same_shape(x_obs: Float[Tensor, "*shape"], x: Float[Tensor, " n *event"]) -> None:
    """Refuse an observation that has another shape than one simulation's x."""
    if x_obs.shape != x.shape[1:]:
        raise ValueError(
            f"x_obs has shape {tuple(x_obs.shape)}, but one simulation's x has {tuple(x.shape[1:])}"
        )


def measured(measure: Measure, x: Float[Tensor, " n *event"]) -> Float[Tensor, " n"]:
    """Return the distances in float64, infinite where there is none: such data are rejected."""
    if len(x) == 0:
        return torch.empty(0, dtype=torch.float64)
    return measure(x).detach().to("cpu", torch.float64).nan_to_num(nan=torch.inf)


def _points(x: Float[Tensor, " n *event"]) -> Float[Tensor, "n trials d"]:
    return x.reshape(*x.shape[:2], -1)
