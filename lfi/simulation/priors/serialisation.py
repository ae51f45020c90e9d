"""Distributions as plain values for JSON: their name and their parameters.

Reading runs no code of the file: a name is looked up in `torch.distributions` or in `scipy.stats`
only, must be a distribution there, and is called with numbers. A distribution that cannot be
written so (a user's own class, a transformed one) gives None.

SciPy loads `scipy.stats` on its first use, which takes as long as all else here.
"""

import inspect
import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy
import torch
from torch.distributions import Distribution, Independent

Json = dict[str, Any]
REDUNDANT = {"validate_args", "covariance_matrix", "precision_matrix", "logits"}


@runtime_checkable
class FrozenDistribution(Protocol):
    """A frozen distribution of `scipy.stats`: a family and its arguments."""

    dist: Any
    args: tuple[Any, ...]
    kwds: dict[str, Any]


def torch_class(distribution: Distribution) -> type[Distribution] | None:
    """Return the class of `torch.distributions` that this is one of; Pyro's are torch's.

    Example:
        >>> torch_class(torch.distributions.Normal(0.0, 1.0)).__name__
        'Normal'
    """
    own = type(distribution)
    if not own.__module__.startswith(("torch.distributions.", "pyro.distributions.")):
        return None  # a user's subclass may be another distribution
    named = getattr(torch.distributions, own.__name__, None)
    return named if isinstance(named, type) and issubclass(own, named) else None


def parameters(distribution: Distribution) -> dict[str, torch.Tensor] | None:
    """Return the tensors to call the distribution's class with, None where that is not known."""
    own = torch_class(distribution)
    if own is None:
        return None
    wanted = set(inspect.signature(own).parameters) - REDUNDANT
    values = {name: getattr(distribution, name, None) for name in sorted(wanted)}
    return values if values and all(torch.is_tensor(v) for v in values.values()) else None


def torch_to_spec(distribution: Distribution) -> Json | None:
    """Return the class name and parameters of a torch or Pyro distribution.

    Example:
        >>> torch_to_spec(torch.distributions.Exponential(torch.tensor(2.0)))["torch"]
        'Exponential'
    """
    if isinstance(distribution, Independent):
        base = torch_to_spec(distribution.base_dist)
        ndims = distribution.reinterpreted_batch_ndims
        return None if base is None else {"torch": "Independent", "base": base, "ndims": ndims}
    values = parameters(distribution)
    if values is None:
        return None
    return {
        "torch": torch_class(distribution).__name__,
        "parameters": {
            name: {"values": v.detach().cpu().tolist(), "dtype": dtype_name(v.dtype)}
            for name, v in values.items()
        },
    }


def torch_from_spec(spec: Mapping[str, Any]) -> Distribution:
    """Return the distribution that `torch_to_spec` wrote.

    Raises:
        ValueError: If it names no distribution of torch or does not fit it.
    """
    name = spec.get("torch")
    own = getattr(torch.distributions, name, None) if isinstance(name, str) else None
    if not (isinstance(own, type) and issubclass(own, Distribution)):
        raise ValueError(f"description of a prior: torch.distributions has no {name!r}")
    if own is Independent:
        return Independent(torch_from_spec(spec["base"]), int(spec["ndims"]))
    values = {
        key: torch.tensor(v["values"], dtype=named_dtype(v["dtype"]))
        for key, v in spec["parameters"].items()
    }
    known = set(inspect.signature(own).parameters)
    if not set(values) <= known:
        raise ValueError(f"description of a prior: {name} has no parameters {set(values) - known}")
    return own(**values)


def scipy_to_spec(frozen: FrozenDistribution) -> Json | None:
    """Return a frozen distribution's name in `scipy.stats` and its arguments.

    Example:
        >>> scipy_to_spec(scipy.stats.expon(scale=0.2))
        {'scipy': 'expon', 'args': [], 'kwds': {'scale': 0.2}}
    """
    name = frozen.dist.name
    if type(getattr(scipy.stats, str(name), None)) is not type(frozen.dist):
        return None
    return {
        "scipy": name,
        "args": [float(value) for value in frozen.args],
        "kwds": {key: float(value) for key, value in frozen.kwds.items()},
    }


def scipy_from_spec(spec: Mapping[str, Any]) -> FrozenDistribution:
    """Return the frozen distribution that `scipy_to_spec` wrote.

    Raises:
        ValueError: If it names no continuous distribution of SciPy or does not fit it.
    """
    name = spec.get("scipy")
    family = getattr(scipy.stats, name, None) if isinstance(name, str) else None
    if not isinstance(family, scipy.stats.rv_continuous):
        raise ValueError(f"description of a prior: scipy.stats has no {name!r}")
    numbers = [*spec["args"], *spec["kwds"].values()]
    if not all(isinstance(v, Real) and not math.isnan(v) for v in numbers):
        raise ValueError(f"description of a prior: {name} has parameters that are not numbers")
    try:
        return family(*spec["args"], **spec["kwds"])
    except TypeError as error:
        raise ValueError(f"description of a prior: {error}") from error


def is_scalar(frozen: FrozenDistribution) -> bool:
    """Return whether a frozen distribution is of one number, not of an array of them."""
    return all(np.ndim(value) == 0 for value in (*frozen.args, *frozen.kwds.values()))


def dtype_name(dtype: torch.dtype) -> str:
    """Return a dtype's name without the library's."""
    return str(dtype).removeprefix("torch.")


def named_dtype(name: str) -> torch.dtype:
    """Return the floating dtype of that name."""
    if name not in ("float32", "float64"):
        raise ValueError(f"description of a prior: dtype must be float32 or float64, got {name!r}")
    return getattr(torch, name)
