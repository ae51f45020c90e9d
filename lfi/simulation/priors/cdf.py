"""Distribution functions and their inverses, in float64, for truncated sampling.

SciPy's are used where it has them: torch mostly lacks inverses, and computes tails by `1 + erf`.
"""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy
import torch
from torch.distributions import Distribution


@runtime_checkable
class InvertibleCdf(Protocol):
    """A cumulative distribution function, the survival function and their inverses, in float64."""

    cdf: Callable[[float], float]  # the probability of a value up to t
    sf: Callable[[float], float]  # the probability of a value above t
    ppf: Callable[[np.ndarray], np.ndarray]  # the inverse of cdf
    isf: Callable[[np.ndarray], np.ndarray]  # the inverse of sf


@runtime_checkable
class FrozenDistribution(InvertibleCdf, Protocol):
    """A frozen continuous distribution of `scipy.stats`: a family and its arguments."""

    dist: Any
    args: tuple[Any, ...]
    kwds: dict[str, Any]
    support: Callable[[], tuple[float, float]]
    std: Callable[[], float]
    rvs: Callable[..., np.ndarray]
    logpdf: Callable[[np.ndarray], np.ndarray]


def torch_class(distribution: Distribution) -> type[Distribution] | None:
    """Return the class of `torch.distributions` that this is one of; Pyro's are torch's."""
    own = type(distribution)
    if not own.__module__.startswith(("torch.distributions.", "pyro.distributions.")):
        return None  # a user's subclass may be another distribution
    named = getattr(torch.distributions, own.__name__, None)
    return named if isinstance(named, type) and issubclass(own, named) else None


def invertible_cdf(distribution: Distribution, unvalidated: Distribution) -> InvertibleCdf | None:
    """Return cdf and inverse, or None; `unvalidated` is the same, for values off the support."""
    equivalent = EQUIVALENTS.get(torch_class(distribution))
    if equivalent is not None:
        names = distribution.arg_constraints
        values = {name: float(getattr(distribution, name)) for name in names}
        return equivalent(SimpleNamespace(**values))
    own = _TorchCdf(unvalidated)
    try:
        own.cdf(float(own.ppf(np.array(0.5))))
    except NotImplementedError:
        return None
    return own


class _TorchCdf:
    """A torch distribution's own cdf and icdf, where SciPy has none."""

    def __init__(self, distribution: Distribution) -> None:
        self.distribution = distribution

    def cdf(self, t: float) -> float:
        return float(self.distribution.cdf(torch.tensor(t, dtype=torch.float64)))

    def sf(self, t: float) -> float:
        return 1 - self.cdf(t)

    def ppf(self, u: np.ndarray) -> np.ndarray:
        return self.distribution.icdf(torch.as_tensor(u, dtype=torch.float64)).numpy()

    def isf(self, u: np.ndarray) -> np.ndarray:
        return self.ppf(1 - u)


_torch = torch.distributions
EQUIVALENTS: dict[type[Distribution] | None, Callable[[Any], FrozenDistribution]] = {
    _torch.Beta: lambda d: scipy.stats.beta(d.concentration1, d.concentration0),
    _torch.Cauchy: lambda d: scipy.stats.cauchy(d.loc, d.scale),
    _torch.Chi2: lambda d: scipy.stats.chi2(d.df),
    _torch.Exponential: lambda d: scipy.stats.expon(scale=1 / d.rate),
    _torch.FisherSnedecor: lambda d: scipy.stats.f(d.df1, d.df2),
    _torch.Gamma: lambda d: scipy.stats.gamma(d.concentration, scale=1 / d.rate),
    _torch.Gumbel: lambda d: scipy.stats.gumbel_r(d.loc, d.scale),
    _torch.HalfCauchy: lambda d: scipy.stats.halfcauchy(scale=d.scale),
    _torch.HalfNormal: lambda d: scipy.stats.halfnorm(scale=d.scale),
    _torch.InverseGamma: lambda d: scipy.stats.invgamma(d.concentration, scale=d.rate),
    _torch.Laplace: lambda d: scipy.stats.laplace(d.loc, d.scale),
    _torch.LogNormal: lambda d: scipy.stats.lognorm(s=d.scale, scale=math.exp(d.loc)),
    _torch.Normal: lambda d: scipy.stats.norm(d.loc, d.scale),
    _torch.Pareto: lambda d: scipy.stats.pareto(d.alpha, scale=d.scale),
    _torch.StudentT: lambda d: scipy.stats.t(d.df, d.loc, d.scale),
    _torch.Uniform: lambda d: scipy.stats.uniform(d.low, d.high - d.low),
    _torch.Weibull: lambda d: scipy.stats.weibull_min(d.concentration, scale=d.scale),
}
