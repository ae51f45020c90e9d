"""Distributions as plain values for JSON: their name and their parameters.

Reading runs no code of the file: a name is looked up in `torch.distributions` or `scipy.stats`
(slow, so loaded on first use), must be a distribution there, and is called with numbers. What
cannot be written so (a user's own class, a transformed one) gives None.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import scipy
import torch
from torch.distributions import Distribution, Independent

from lfi.simulation.priors.cdf import FrozenDistribution, torch_class

Json = dict[str, Any]
REDUNDANT = {"validate_args", "covariance_matrix", "precision_matrix", "logits"}


def constructor(
    distribution: Distribution,
) -> tuple[Callable[..., Distribution], dict[str, torch.Tensor]] | None:
    """Return the distribution's class and the tensors to call it with, None where not known."""
    own = torch_class(distribution)
    if own is None:
        return None
    wanted = sorted(set(inspect.signature(own).parameters) - REDUNDANT)
    found = {name: getattr(distribution, name, None) for name in wanted}
    values = {name: value for name, value in found.items() if isinstance(value, torch.Tensor)}
    return (own, values) if values and len(values) == len(found) else None


def torch_to_spec(distribution: Distribution) -> Json | None:
    """Return the class name and parameters of a torch or Pyro distribution."""
    if isinstance(distribution, Independent):
        base = torch_to_spec(distribution.base_dist)
        ndims = distribution.reinterpreted_batch_ndims
        return None if base is None else {"torch": "Independent", "base": base, "ndims": ndims}
    made = constructor(distribution)
    if made is None:
        return None
    values = {
        name: {"values": v.detach().cpu().tolist(), "dtype": dtype_name(v.dtype)}
        for name, v in made[1].items()
    }
    return {"torch": type(distribution).__name__, "parameters": values}


def torch_from_spec(spec: Mapping[str, Any]) -> Distribution:
    """Return the distribution that `torch_to_spec` wrote; ValueError if torch has none such."""
    name = spec.get("torch")
    own = _named_class(name)
    if own is Independent:
        return Independent(torch_from_spec(spec["base"]), int(spec["ndims"]))
    values = {
        key: torch.tensor(v["values"], dtype=named_dtype(v["dtype"]))
        for key, v in spec["parameters"].items()
    }
    unknown = set(values) - set(inspect.signature(own).parameters)
    if unknown:
        raise ValueError(f"description of a prior: {name} has no parameters {unknown}")
    return own(**values)


def _named_class(name: object) -> Callable[..., Distribution]:
    own = getattr(torch.distributions, name, None) if isinstance(name, str) else None
    if not (isinstance(own, type) and issubclass(own, Distribution)):
        raise ValueError(f"description of a prior: torch.distributions has no {name!r}")
    return own


def scipy_to_spec(frozen: FrozenDistribution) -> Json | None:
    """Return a frozen distribution's name in `scipy.stats` and its arguments."""
    name = frozen.dist.name
    if type(getattr(scipy.stats, str(name), None)) is not type(frozen.dist):
        return None
    return {
        "scipy": name,
        "args": [float(value) for value in frozen.args],
        "kwds": {key: float(value) for key, value in frozen.kwds.items()},
    }


def scipy_from_spec(spec: Mapping[str, Any]) -> FrozenDistribution:
    """Return the frozen distribution `scipy_to_spec` wrote; ValueError if SciPy has none such."""
    name = spec.get("scipy")
    family = getattr(scipy.stats, name, None) if isinstance(name, str) else None
    if family is None or not isinstance(family, scipy.stats.rv_continuous):
        raise ValueError(f"description of a prior: scipy.stats has no {name!r}")
    numbers = [*spec["args"], *spec["kwds"].values()]
    if not all(isinstance(v, Real) and not math.isnan(v) for v in numbers):
        raise ValueError(f"description of a prior: {name} has parameters that are not numbers")
    try:
        return family(*spec["args"], **spec["kwds"])
    except TypeError as error:
        raise ValueError(f"description of a prior: {error}") from error


def dtype_name(dtype: torch.dtype) -> str:
    """Return a dtype's name without the library's."""
    return str(dtype).removeprefix("torch.")


def named_dtype(name: str) -> torch.dtype:
    """Return the floating dtype of that name."""
    if name not in ("float32", "float64"):
        raise ValueError(f"description of a prior: dtype must be float32 or float64, got {name!r}")
    return getattr(torch, name)
