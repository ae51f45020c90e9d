"""Distances by summaries of the data, given ones and learned ones.

With summaries s(x) and a spread c_k of each, taken from simulations (in `abc_smc` anew from each
generation),

    d(x, x_obs)^2 = sum_k ((s_k(x) - s_k(x_obs)) / c_k)^2.

Spreads by medians do not mind the wild simulations that a wide prior gives:

    deviation             median |s - median s|
    combined_deviation    the same + median |s - s_obs|: large too where all simulations miss
                          the observation, so that a summary which the model cannot explain
                          does not outweigh those which it can
    prudent_deviation     the second, or the first where more than a third of the summaries are
                          off: then it is the prior that misses, not the model

Semi-automatic ABC learns one summary for each parameter: a regression of theta on x estimates the
posterior mean, which is the summary with the least expected square error of estimates. Here theta
is regressed linearly on features of x, made robust: z = arsinh((x - median) / deviation) and its
square.

References:
    Fearnhead & Prangle, Constructing summary statistics for approximate Bayesian computation,
        JRSS B, 2012. arXiv:1004.1112
    Prangle, Adapting the ABC distance function, Bayesian Analysis, 2017. arXiv:1507.00874
    Schaelte, Alamoudi & Hasenauer, Robust adaptive distance functions for approximate Bayesian
        inference on outlier-corrupted data, 2021. doi:10.1101/2021.07.29.454327 (spreads)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.distances import ROWS, Measure, same_shape
from lfi.numerics.ridge import fit_ridge

Summary = Callable[[Float[Tensor, " n *event"]], Float[Tensor, "n k"]]
Spread = Callable[[Float[Tensor, "n k"], Float[Tensor, " k"]], Float[Tensor, " k"]]


def deviation(s: Float[Tensor, "n k"], s_obs: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the median absolute deviation of each summary from its median.

    Example:
        >>> deviation(torch.tensor([[0.0], [1.0], [2.0], [90.0], [-3.0]]), torch.zeros(1))
        tensor([1.])
    """
    return (s - s.median(dim=0).values).abs().median(dim=0).values


def combined_deviation(s: Float[Tensor, "n k"], s_obs: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the median absolute deviations from the median and from the observation, added.

    Example:
        >>> combined_deviation(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([11.0]))
        tensor([11.])
    """
    return deviation(s, s_obs) + (s - s_obs).abs().median(dim=0).values


def prudent_deviation(s: Float[Tensor, "n k"], s_obs: Float[Tensor, " k"]) -> Float[Tensor, " k"]:
    """Return the combined deviation, or the plain one where too many are off.

    A summary is off where the median simulation is further from the observation than two
    deviations; more than a third of them are too many.

    Example:
        >>> prudent_deviation(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([11.0]))
        tensor([1.])
    """
    plain, combined = deviation(s, s_obs), combined_deviation(s, s_obs)
    off = (combined - plain > 2 * plain).double().mean()
    return plain if off > 1 / 3 else combined


@dataclass(frozen=True)
class Summaries:
    """The Euclidean distance of summaries, each divided by its spread.

    Attributes:
        summary: What data are reduced to, (n, *event) to (n, k); None for x itself, flattened.
        spread: The spread of each summary, from simulations (n, k) and the observation (k,).
        adaptive: Whether `abc_smc` takes the spreads anew from each generation.

    Example:
        >>> x = torch.tensor([[0.0, 0.0], [10.0, 1.0], [20.0, 2.0]])
        >>> Summaries(spread=deviation).towards(torch.zeros(2), torch.zeros(3, 1), x)(x)
        tensor([0.0000, 1.4142, 2.8284])
    """

    summary: Summary | None = None
    spread: Spread = prudent_deviation
    adaptive: bool = True

    def towards(
        self,
        x_obs: Float[Tensor, "*shape"],
        theta: Float[Tensor, "n dim"],
        x: Float[Tensor, " n *event"],
    ) -> Measure:
        """Return the distance from x_obs, with spreads of x.

        Raises:
            ValueError: If x_obs has another shape than one simulation's x, or its summaries are not
                finite.
        """
        same_shape(x_obs, x)
        summarise = lambda x: summarised(self.summary, x)
        observed = summarise(x_obs[None].to(x))[0]
        if not observed.isfinite().all():
            raise ValueError(f"summary: the summaries of x_obs are not finite, got {observed}")
        return _euclidean(summarise, observed, x, self.spread)


@dataclass(frozen=True)
class SemiAutomatic:
    """The distance of learned summaries: estimates of the parameters, by regression on x.

    Attributes:
        summary: What x is reduced to before the regression; None for x itself, flattened.
        regression: A regressor of scikit-learn, of several outputs, cloned and fitted to the
            summaries and theta as they are; None for linear regression on robust features and
            their squares.
        ridge: What the linear regression adds to the features' covariance, of unit variances.
        adaptive: Whether `abc_smc` learns anew from each generation, and so where the posterior is;
            what is far from it may then be mistaken for near.

    Example:
        >>> theta = torch.linspace(-1, 1, 50)[:, None]
        >>> x = torch.cat([2 * theta, torch.cos(9 * theta)], dim=1)  # the second tells little
        >>> measure = SemiAutomatic().towards(torch.zeros(2), theta, x)
        >>> int(measure(x).argmin()) in (24, 25)
        True
    """

    summary: Summary | None = None
    regression: object = None
    ridge: float = 1e-3
    adaptive: bool = False

    def learn(self, theta: Float[Tensor, "n dim"], x: Float[Tensor, " n *event"]) -> Summary:
        """Return the learned summaries as a function of data.

        With `lfi.abc.Summaries(learned)` a regression on many simulations serves `abc_smc`, whose
        first generation is small.

        Raises:
            ValueError: If no simulation has finite summaries.
        """
        s = summarised(self.summary, x).double()
        fine = s.isfinite().all(dim=1)
        if not fine.any():
            raise ValueError("summary: the summaries of no simulation are finite")
        fit = self._linear if self.regression is None else self._by_regressor
        predict = fit(s[fine], theta[fine].double())
        return lambda x: predict(summarised(self.summary, x).double())

    def towards(
        self,
        x_obs: Float[Tensor, "*shape"],
        theta: Float[Tensor, "n dim"],
        x: Float[Tensor, " n *event"],
    ) -> Measure:
        """Return the distance from x_obs, by a regression of theta on x.

        Raises:
            ValueError: If x_obs has another shape than one simulation's x.
        """
        same_shape(x_obs, x)
        estimate = self.learn(theta, x)
        observed = estimate(x_obs[None].to(x))[0]
        return _euclidean(estimate, observed, x, deviation)

    def _linear(self, s: Tensor, theta: Tensor) -> Callable[[Tensor], Tensor]:
        middle, scale = s.median(dim=0).values, _safe(deviation(s, s[0]))

        def features(s: Tensor) -> Tensor:
            z = torch.asinh((s - middle) / scale)
            return torch.cat([z, z.square()], dim=1)

        fit = fit_ridge(features(s), theta, self.ridge)
        return lambda s: fit(features(s))

    def _by_regressor(self, s: Tensor, theta: Tensor) -> Callable[[Tensor], Tensor]:
        from sklearn.base import clone

        fitted = clone(self.regression).fit(s.numpy(), theta.numpy())
        dim = theta.shape[1]

        def predict(s: Tensor) -> Tensor:
            fine = s.isfinite().all(dim=1)
            found = torch.full((len(s), dim), torch.nan, dtype=s.dtype)
            if fine.any():
                values = torch.as_tensor(fitted.predict(s[fine].numpy()), dtype=s.dtype)
                found[fine] = values.reshape(-1, dim)
            return found

        return predict


def summarised(summary: Summary | None, x: Float[Tensor, " n *event"]) -> Float[Tensor, "n k"]:
    """Return the summaries of data sets.

    Raises:
        ValueError: If they are not one row a data set.
    """
    s = x if summary is None else torch.cat([summary(part) for part in x.split(ROWS)])
    if len(s) != len(x):
        raise ValueError(
            f"summary must keep the rows of x, {len(x)} of them, got shape {tuple(s.shape)}"
        )
    return s.reshape(len(x), -1)


def _euclidean(summarise: Summary, observed: Tensor, x: Tensor, spread: Spread) -> Measure:
    """Return the scaled distance from the observed summaries, with spreads of those of x."""
    s = summarise(x)
    s = s[s.isfinite().all(dim=1)]
    scale = _safe(spread(s, observed)) if len(s) else torch.ones_like(observed)
    return lambda x: ((summarise(x) - observed) / scale).norm(dim=1)


def _safe(scale: Tensor) -> Tensor:
    return torch.where((scale > 0) & scale.isfinite(), scale, 1.0)
