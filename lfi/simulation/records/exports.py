"""Simulations as data sets of xarray and ArviZ."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    import arviz
    import xarray


def to_xarray(
    theta: Tensor, x: Tensor, status: np.ndarray, names: tuple[str, ...], facts: Mapping[str, Any]
) -> "xarray.Dataset":
    """Return theta's columns, x and status along `sample`.

    A parameter of a name that the data set needs itself, such as x, is called theta_x there.
    """
    import xarray

    axes = ("sample", *(f"x_{i}" for i in range(x.ndim - 1)))
    own = [*axes, "x", "status"]
    written = list(names)
    for i in range(len(names)):
        while written[i] in own or written[i] in {*written[:i], *written[i + 1 :]}:
            written[i] = f"theta_{written[i]}"
    columns = zip(written, theta.numpy().T, strict=True)
    parameters = {name: ("sample", column) for name, column in columns}
    return xarray.Dataset(
        {**parameters, "x": (axes, x.numpy()), "status": ("sample", status)},
        attrs={**facts, "library": "lfi"},
    )


def to_arviz(
    theta: Tensor, x: Tensor, names: tuple[str, ...], facts: Mapping[str, Any]
) -> "arviz.InferenceData":
    """Return parameters (n, D) and data (n, *event) as ArviZ's prior and prior_predictive."""
    with warnings.catch_warnings():  # ArviZ announces its next major version on import
        warnings.simplefilter("ignore", FutureWarning)
        import arviz

    attributes = {**facts, "inference_library": "lfi"}
    columns = zip(names, theta.numpy().T, strict=True)
    return arviz.from_dict(
        prior={name: column[None] for name, column in columns},
        prior_predictive={"x": x.numpy()[None]},
        prior_attrs=attributes,
        prior_predictive_attrs=attributes,
    )
