"""One-dimensional priors on open intervals: scalar distributions of torch, of Pyro and of SciPy."""

import copy
import math
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution, TransformedDistribution, constraints

from lfi.runtime.seeds import isolated
from lfi.simulation.priors.cdf import (
    FrozenDistribution,
    InvertibleCdf,
    invertible_cdf,
    torch_class,
)
from lfi.simulation.priors.serialisation import dtype_name, scipy_to_spec, torch_to_spec


class Marginal(ABC):
    """A continuous distribution of one number between `lower` and `upper`."""

    invertible_cdf: InvertibleCdf | None  # None where not known

    def __init__(self, dtype: torch.dtype, lower: float, upper: float) -> None:
        self.dtype: torch.dtype = dtype
        self.lower: float = lower
        self.upper: float = upper

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, " n"]:
        """Draw n values; called where torch's global state is seeded already."""

    @abstractmethod
    def log_prob(self, t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log density at values between the bounds."""

    @abstractmethod
    def _spec(self) -> dict[str, Any] | None:
        """Return plain values for JSON, None where the distribution cannot be named."""


class ScipyMarginal(Marginal):
    """A frozen distribution of `scipy.stats`; its draws and densities have the given dtype."""

    def __init__(self, frozen: FrozenDistribution, dtype: torch.dtype) -> None:
        super().__init__(dtype, *map(float, frozen.support()))
        self.frozen: FrozenDistribution = frozen
        self.invertible_cdf: InvertibleCdf | None = frozen

    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, " n"]:
        """Draw n values with NumPy's generator."""
        values = np.asarray(self.frozen.rvs(size=n, random_state=rng))
        return torch.from_numpy(values).to(self.dtype)

    def log_prob(self, t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log density, computed in float64; its gradient is a central difference."""
        points = t.detach().double().numpy()
        with np.errstate(over="ignore"):  # of samplers that try very far
            values = torch.as_tensor(self.frozen.logpdf(points), dtype=self.dtype)
        if not (t.requires_grad and torch.is_grad_enabled()):
            return values
        step = 1e-6 * self.frozen.std() if np.isfinite(self.frozen.std()) else 1e-6
        with np.errstate(invalid="ignore", over="ignore"):  # beyond the edges
            ends = self.frozen.logpdf(points + step) - self.frozen.logpdf(points - step)
        slope = torch.as_tensor(ends / (2 * step), dtype=t.dtype)
        slope = slope.nan_to_num(0.0, 0.0, 0.0)
        return values + (slope * (t - t.detach())).to(self.dtype)  # zero, but for the gradient

    def _spec(self) -> dict[str, Any] | None:
        """Return name, arguments and dtype."""
        spec = scipy_to_spec(self.frozen)
        return spec and {**spec, "dtype": dtype_name(self.dtype)}


class TorchMarginal(Marginal):
    """A scalar distribution of torch or Pyro."""

    def __init__(self, distribution: Distribution) -> None:
        self.distribution: Distribution = distribution
        super().__init__(dtype_of_draws(distribution), *map(float, torch_bounds(distribution)))

    @cached_property
    def invertible_cdf(self) -> InvertibleCdf | None:
        """The equivalent distribution of SciPy, or torch's own cdf and icdf."""
        return invertible_cdf(self.distribution, unvalidated(self.distribution))

    def sample(self, n: int, rng: np.random.Generator) -> Float[Tensor, " n"]:
        """Draw n values with torch's global generator, which the caller has seeded."""
        return self.distribution.sample((n,))

    def log_prob(self, t: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log density."""
        return quiet_log_prob(self.distribution, t)

    def _spec(self) -> dict[str, Any] | None:
        """Return class name and parameters."""
        return torch_to_spec(self.distribution)


def torch_marginal(name: str, distribution: Distribution) -> TorchMarginal:
    """Return the marginal of the parameter `name`.

    TypeError if the support is no interval, ValueError if nothing can be drawn.
    """
    torch_bounds(distribution, name)
    try:
        with isolated(0):
            distribution.sample()
    except RuntimeError as error:
        raise ValueError(f"prior: {name} cannot be drawn from: {error}") from error
    return TorchMarginal(distribution)


def dtype_of_draws(distribution: Distribution) -> torch.dtype:
    """Return the dtype of draws; of torch's own distributions without drawing.

    A draw would wait for threads that hold the global state of random numbers, such as a run whose
    store is opened meanwhile.
    """
    if torch_class(distribution) is not None:
        with suppress(NotImplementedError):  # no mean is known
            return distribution.mean.dtype
    with isolated(0):
        return distribution.sample().dtype


def unvalidated(distribution: Distribution) -> Distribution:
    """Return a copy that computes log densities without checking values first."""
    twin = copy.copy(distribution)
    for name, value in vars(distribution).items():
        if isinstance(value, Distribution):
            vars(twin)[name] = unvalidated(value)
    vars(twin)["_validate_args"] = False
    return twin


def quiet_log_prob(distribution: Distribution, t: Float[Tensor, "*n"]) -> Tensor:
    """Return the log density, minus infinity where the distribution knows none; never raises."""
    values = unvalidated(distribution).log_prob(t)
    return torch.where(values.isnan(), -math.inf, values)


def torch_bounds(distribution: Distribution, name: str | None = None) -> tuple[Tensor, Tensor]:
    """Return the ends of the support per number; TypeError, with `name`, if it is no box."""
    own = type(distribution).__name__
    name = name or own
    plain = own == "TransformedDistribution"  # its subclasses know better
    if plain and isinstance(distribution, TransformedDistribution) and not distribution.event_shape:
        low, high = torch_bounds(distribution.base_dist, name)
        with suppress(NotImplementedError):  # of a transform that is not monotonic
            for transform in distribution.transforms:
                ends = torch.as_tensor(transform(low)), torch.as_tensor(transform(high))
                low, high = ends if transform.sign > 0 else ends[::-1]
            return low, high
    support = distribution.support
    while (inner := getattr(support, "base_constraint", None)) is not None:
        support = inner  # of independent ones and of mixtures
    if getattr(support, "is_discrete", False):
        raise TypeError(f"prior: {name} is discrete: priors are continuous distributions")
    low = getattr(support, "lower_bound", None)
    high = getattr(support, "upper_bound", None)
    if low is None and high is None and support is not constraints.real:
        raise TypeError(f"prior: {name} has support {support}, which is not a product of intervals")
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    low, high = (torch.as_tensor(end).detach() for end in (low, high))
    return low.expand(distribution.event_shape), high.expand(distribution.event_shape)
