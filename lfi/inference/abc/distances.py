"""Distances of approximate Bayesian computation between simulated and observed data.

A distance is made for one observation, and may be fitted to simulations:

    distances = distance.from_observation(x_obs, theta, x)      theta and x to fit it to
    distances(x)                                                (n, *event) to (n,)

`SampleDistance` compares samples, `Summaries` and `SemiAutomatic` (`summaries.py`) summary
statistics. `FittedRatio` is the divergence between the posteriors of x and of x_obs by a fitted
ratio,

    J(x, x_obs) = sum_j (w_j(x) - w_j(x_obs)) (log w_j(x) - log w_j(x_obs)),

Jeffreys' divergence of weights w_j over the same prior draws theta_j. The posterior is a sufficient
summary; where the ratio is wrong, ABC still simulates.

References:
    Park, Jitkrittum & Sejdinovic, K2-ABC, 2016. arXiv:1502.02558 (MMD)
    Bernton, Jacob, Gerber & Robert, 2019. arXiv:1905.03747 (Wasserstein)
    Gutmann, Dutta, Kaski & Corander, 2018. arXiv:1407.4981 (classifiers)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import Discrepancy
from lfi.inference.draws import WeightedDraws
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance, check_whole
from lfi.runtime import BriefSettings

ROWS = 4096  # data sets that go through a summary or a ratio in one call

Observed = Float[Tensor, "*shape"]
Parameters = Float[Tensor, "n dim"]
Data = Float[Tensor, " n *event"]
DistanceFunction = Callable[[Data], Float[Tensor, " n"]]


@runtime_checkable
class Distance(Protocol):
    """A distance between data sets, to be made for an observation."""

    @property
    def adaptive(self) -> bool:
        """Whether `abc_smc` fits it anew to the simulations of each population."""
        ...

    def from_observation(self, x_obs: Observed, theta: Parameters, x: Data) -> DistanceFunction:
        """Return the distance from x_obs, fitted to theta and x; ValueError if x_obs is unfit."""
        ...


@checked
@dataclass(frozen=True, repr=False)
class SampleDistance(BriefSettings):
    """A discrepancy of two samples, for data whose first axis counts independent draws.

    Data of one number a draw may lack the last axis: (n, trials) is taken for (n, trials, 1). The
    observation may have another number of draws. A time series is no sample: its order would be
    ignored.

    Attributes:
        discrepancy: Any of `lfi.discrepancies`.
        max_entries: Pairs of points in one call of the discrepancy, which bounds the memory.
        standardise: Whether each entry of the events is divided by its interquartile range over
            the simulations, as entries of other units need; the points are then of float64.

    Example:
        >>> x_obs, x = torch.zeros(30, 2), torch.stack([torch.zeros(20, 2), torch.ones(20, 2)])
        >>> distance = SampleDistance(lfi.discrepancies.Moments())
        >>> distance.from_observation(x_obs, torch.zeros(2, 1), x)(x)
        tensor([0., 2.])
    """

    discrepancy: Discrepancy
    max_entries: int = 2**22
    standardise: bool = False

    def __post_init__(self) -> None:
        check_instance("discrepancy", self.discrepancy, Discrepancy)
        check_whole("max_entries", self.max_entries)

    @property
    def adaptive(self) -> bool:
        """False: it is not fitted to simulations."""
        return False

    def from_observation(self, x_obs: Observed, theta: Parameters, x: Data) -> DistanceFunction:
        """Return the discrepancy from x_obs; ValueError unless x and x_obs are samples alike."""
        if x.ndim < 2 or x_obs.ndim != x.ndim - 1 or x_obs.shape[1:] != x.shape[2:]:
            raise ValueError(
                f"{type(self.discrepancy).__name__} compares samples: x must be (n, trials, "
                f"*event) and x_obs (m, *event), got shapes {tuple(x.shape)} and "
                f"{tuple(x_obs.shape)}"
            )
        scale = _spread(_points(x)) if self.standardise else None
        scaled = lambda x: _points(x) if scale is None else _points(x).double() / scale
        observed = scaled(x_obs[None].to(x))[0]

        def distances(x: Tensor) -> Tensor:
            points = scaled(x)
            rows = max(1, self.max_entries // (points.shape[1] + len(observed)) ** 2)
            with torch.no_grad():
                return torch.cat([self.discrepancy(part, observed) for part in points.split(rows)])

        return distances


@runtime_checkable
class HasWeightedDraws(Protocol):
    """A posterior that weights the same prior draws for many observations at once."""

    x_shape: tuple[int, ...]

    def weighted(self, x: Tensor, n: int, *, seed: int) -> WeightedDraws:
        """Return prior draws and their weights for each x."""
        ...


@checked
@dataclass(frozen=True, eq=False)
class FittedRatio:
    """Jeffreys' divergence of the posteriors of two data sets by a fitted ratio.

    Attributes:
        posterior: What `lfi.fit_posterior` returns.
        prior_draws: How many prior draws represent the posteriors.
        seed: The seed of those draws.
    """

    posterior: HasWeightedDraws
    prior_draws: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        check_instance("posterior", self.posterior, HasWeightedDraws)
        check_whole("prior_draws", self.prior_draws, minimum=2)
        check_whole("seed", self.seed, minimum=0)

    @property
    def adaptive(self) -> bool:
        """False: the ratio was fitted before."""
        return False

    def from_observation(self, x_obs: Observed, theta: Parameters, x: Data) -> DistanceFunction:
        """Return the divergence from the posterior at x_obs; ValueError if it is of other data."""
        check_same_shape(x_obs, x)
        if tuple(x_obs.shape) != tuple(self.posterior.x_shape):
            raise ValueError(
                f"posterior is given x of shape {tuple(self.posterior.x_shape)}, but x_obs has "
                f"{tuple(x_obs.shape)}"
            )
        weighted = partial(self.posterior.weighted, n=self.prior_draws, seed=self.seed)
        observed = weighted(x_obs[None]).log_weights

        def distances(x: Tensor) -> Tensor:
            p = torch.cat([weighted(part).log_weights for part in x.split(ROWS)])
            return ((p.exp() - observed.exp()) * (p - observed)).sum(dim=1)

        return distances


def as_distance(obj: object) -> Distance:
    """Return the distance itself, or that of a discrepancy of samples; TypeError for neither."""
    if isinstance(obj, Distance):
        return obj
    if isinstance(obj, type) or not isinstance(obj, Discrepancy):
        raise TypeError(
            "discrepancy must be a discrepancy of samples such as lfi.discrepancies.MMD(), or a "
            f"distance such as lfi.abc.Summaries(); got {obj!r}"
        )
    return SampleDistance(obj)


def check_same_shape(x_obs: Observed, x: Data) -> None:
    """Check that an observation has the shape of one simulation's x."""
    if x_obs.shape != x.shape[1:]:
        raise ValueError(
            f"x_obs has shape {tuple(x_obs.shape)}, but one simulation's x has {tuple(x.shape[1:])}"
        )


def finite_distances(distance: DistanceFunction, x: Data) -> Float[Tensor, " n"]:
    """Return distances in float64, infinite where they are NaN: such data are rejected."""
    if len(x) == 0:
        return torch.empty(0, dtype=torch.float64)
    return (
        distance(x).detach().to("cpu", torch.float64).nan_to_num(torch.inf, torch.inf, -torch.inf)
    )


def _points(x: Data) -> Float[Tensor, "n trials d"]:
    return x.reshape(*x.shape[:2], -1)


def _spread(points: Float[Tensor, "n trials d"]) -> Float[Tensor, " d"]:
    """Return the interquartile range of each entry, 1 where it is zero."""
    ends = np.nanquantile(points.flatten(0, 1).double().numpy(force=True), (0.25, 0.75), axis=0)
    spread = torch.from_numpy(ends[1] - ends[0])
    return torch.where((spread > 0) & spread.isfinite(), spread, 1.0)
