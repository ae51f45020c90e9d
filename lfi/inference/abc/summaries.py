"""Distances between summary statistics, given or fitted by regression.

With summaries s(x) and a scale c_k of each, estimated from simulations (in `abc_smc` anew from each
population),

    d(x, x_obs)^2 = sum_k ((s_k(x) - s_k(x_obs)) / c_k)^2.

Scales by medians are robust to the outliers that a wide prior gives. `mad` is the median of
|s - median s|. `cmad` adds that of |s - s_obs|, large too where all simulations miss the
observation, so that a summary which the model cannot explain does not outweigh others. `pcmad` is
`cmad`, or `mad` where more than a third of the summaries are outliers: then the prior misses the
observation, not the model.

Semi-automatic ABC has one summary for each parameter, an estimate of its posterior mean, which has
the smallest expected squared error: here by linear regression of theta on robust features of x,
z = arsinh((x - median) / MAD), and their squares.

References:
    Fearnhead & Prangle, Constructing summary statistics for ABC, 2012. arXiv:1004.1112
    Prangle, Adapting the ABC distance function, 2017. arXiv:1507.00874
    Schaelte et al., Robust adaptive distance functions, 2021. doi:10.1101/2021.07.29.454327
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.distances import (
    ROWS,
    Data,
    DistanceFunction,
    Observed,
    Parameters,
    check_same_shape,
)
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number
from lfi.numerics.ridge import fit_ridge

Summary = Callable[[Data], Float[Tensor, "n k"]]
ScaleEstimate = Callable[[Float[Tensor, "n k"], Float[Tensor, " k"]], Float[Tensor, " k"]]


def mad(s: Float[Tensor, "n k"], s_obs: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the median absolute deviation of each summary from its median.

    Example:
        >>> mad(torch.tensor([[0.0], [1.0], [2.0], [90.0], [-3.0]]), torch.zeros(1))
        tensor([1.])
    """
    return (s - s.median(dim=0).values).abs().median(dim=0).values


def cmad(s: Float[Tensor, "n k"], s_obs: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the median absolute deviations from the median and from the observation, added.

    Example:
        >>> cmad(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([11.0]))
        tensor([11.])
    """
    return mad(s, s_obs) + (s - s_obs).abs().median(dim=0).values


def pcmad(s: Float[Tensor, "n k"], s_obs: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the combined deviation, or the plain one where too many summaries are outliers.

    A summary is an outlier where the median simulation is farther from the observation than two
    deviations; more than a third of them are too many.

    Example:
        >>> pcmad(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([11.0]))
        tensor([1.])
    """
    plain, combined = mad(s, s_obs), cmad(s, s_obs)
    outliers = (combined - plain > 2 * plain).double().mean()
    return plain if outliers > 1 / 3 else combined


@checked
@dataclass(frozen=True)
class Summaries:
    """The Euclidean distance of summary statistics, each divided by its scale.

    Attributes:
        summary: What data are reduced to, (n, *event) to (n, k); None for x itself, flattened.
        scale: The scale of each summary, from simulations (n, k) and the observation (k,).
        adaptive: Whether `abc_smc` estimates the scales anew from each population.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [10.0, 1.0], [20.0, 2.0]])
        >>> Summaries(scale=mad).from_observation(torch.zeros(2), torch.zeros(3, 1), x)(x)
        tensor([0.0000, 1.4142, 2.8284])
    """

    summary: Summary | None = None
    scale: ScaleEstimate = pcmad
    adaptive: bool = True

    def from_observation(self, x_obs: Observed, theta: Parameters, x: Data) -> DistanceFunction:
        """Return the distance, scaled by x; ValueError if x_obs does not fit or is not finite."""
        check_same_shape(x_obs, x)
        summarise = lambda x: summarised(self.summary, x)
        observed = summarise(x_obs[None].to(x))[0]
        if not observed.isfinite().all():
            raise ValueError(f"summary: the summaries of x_obs are not finite, got {observed}")
        return _euclidean(summarise, observed, x, self.scale)


@runtime_checkable
class Regressor(Protocol):
    """A regressor of scikit-learn."""

    def fit(self, x: np.ndarray, y: np.ndarray, /) -> "Regressor":
        """Fit y to x."""
        ...

    def predict(self, x: np.ndarray, /) -> np.ndarray:
        """Return predictions at x."""
        ...


@checked
@dataclass(frozen=True)
class SemiAutomatic:
    """The distance of semi-automatic summaries: estimates of the parameters by regression on x.

    Attributes:
        summary: What x is reduced to before the regression; None for x itself, flattened.
        regression: A regressor of scikit-learn, of several outputs, cloned and fitted to the
            summaries and theta as they are; None for linear regression on robust features and
            their squares.
        ridge: What the linear regression adds to the features' covariance, of unit variances.
        adaptive: Whether `abc_smc` fits anew to each population, and so where the posterior is;
            data far from it may then appear close.

    Example:
        >>> theta = torch.linspace(-1, 1, 50)[:, None]
        >>> x = torch.cat([2 * theta, torch.cos(9 * theta)], dim=1)  # the second tells little
        >>> distance = SemiAutomatic().from_observation(torch.zeros(2), theta, x)
        >>> int(distance(x).argmin()) in (24, 25)
        True
    """

    summary: Summary | None = None
    regression: Regressor | None = None
    ridge: float = 1e-3
    adaptive: bool = False

    def __post_init__(self) -> None:
        check_number("ridge", self.ridge, minimum=0)

    def fit_from_data(self, theta: Parameters, x: Data) -> Summary:
        """Return the fitted summaries as a function of data.

        With `lfi.abc.Summaries(fitted)` a regression on many simulations serves `abc_smc`, whose
        first population is small.

        Raises:
            ValueError: If no simulation has finite summaries.
        """
        s = summarised(self.summary, x).double()
        valid = s.isfinite().all(dim=1)
        if not valid.any():
            raise ValueError("summary: the summaries of no simulation are finite")
        s, theta = s[valid], theta[valid].double()
        if self.regression is None:
            predict = self._linear(s, theta)
        else:
            predict = _by_regressor(self.regression, s, theta)
        return lambda x: predict(summarised(self.summary, x).double())

    def from_observation(self, x_obs: Observed, theta: Parameters, x: Data) -> DistanceFunction:
        """Return the distance by a regression of theta on x; ValueError if x_obs does not fit."""
        check_same_shape(x_obs, x)
        estimate = self.fit_from_data(theta, x)
        observed = estimate(x_obs[None].to(x))[0]
        return _euclidean(estimate, observed, x, mad)

    def _linear(self, s: Tensor, theta: Tensor) -> Callable[[Tensor], Tensor]:
        middle, scale = s.median(dim=0).values, _safe(mad(s, s[0]))

        def features(s: Tensor) -> Tensor:
            z = torch.asinh((s - middle) / scale)
            return torch.cat([z, z.square()], dim=1)

        fit = fit_ridge(features(s), theta, self.ridge)
        return lambda s: fit(features(s))


def summarised(summary: Summary | None, x: Data) -> Float[Tensor, "n k"]:
    """Return the summaries of data sets; ValueError if they are not one row a data set."""
    s = x if summary is None else torch.cat([summary(part) for part in x.split(ROWS)])
    if len(s) != len(x):
        raise ValueError(
            f"summary must keep the rows of x, {len(x)} of them, got shape {tuple(s.shape)}"
        )
    return s.reshape(len(x), -1)


def _by_regressor(regression: Regressor, s: Tensor, theta: Tensor) -> Callable[[Tensor], Tensor]:
    from sklearn.base import clone

    copy = cast(Regressor, clone(regression))  # clone's own type is whatever it is given, or a list
    fitted, dim = copy.fit(s.numpy(), theta.numpy()), theta.shape[1]

    def predict(s: Tensor) -> Tensor:
        valid = s.isfinite().all(dim=1)
        found = torch.full((len(s), dim), torch.nan, dtype=s.dtype)
        if valid.any():
            values = torch.as_tensor(fitted.predict(s[valid].numpy()), dtype=s.dtype)
            found[valid] = values.reshape(-1, dim)
        return found

    return predict


def _euclidean(
    summarise: Summary, observed: Tensor, x: Tensor, scale_of: ScaleEstimate
) -> DistanceFunction:
    """Return the scaled distance from the observed summaries, with scales of those of x."""
    s = summarise(x)
    s = s[s.isfinite().all(dim=1)]
    scale = _safe(scale_of(s, observed)) if len(s) else torch.ones_like(observed)
    return lambda x: ((summarise(x) - observed) / scale).norm(dim=1)


def _safe(scale: Tensor) -> Tensor:
    return torch.where((scale > 0) & scale.isfinite(), scale, 1.0)
