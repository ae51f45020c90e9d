"""Simulations as data sets of xarray and ArviZ."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from lfi.numerics.inference_data import as_inference_data, draws_group

if TYPE_CHECKING:
    import arviz
    import pandas
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


def to_pandas(
    theta: Tensor, x: Tensor, status: np.ndarray, names: tuple[str, ...]
) -> "pandas.DataFrame":
    """Return theta's columns, entries of x by their index, and status."""
    import pandas  # which xarray, and so ArviZ, needs

    index = [",".join(map(str, entry)) for entry in np.ndindex(*x.shape[1:])]
    parts = [
        pandas.DataFrame(theta.numpy(), columns=list(names)),
        pandas.DataFrame(
            x.reshape(len(x), -1).numpy(), columns=[f"x[{i}]" if i else "x" for i in index]
        ),
        pandas.DataFrame({"status": status}),
    ]
    return pandas.concat(parts, axis=1)


def to_arviz(
    theta: Tensor, x: Tensor, names: tuple[str, ...], facts: Mapping[str, Any]
) -> "arviz.InferenceData":
    """Return parameters (n, D) and data (n, *event) as ArviZ's prior and prior_predictive."""
    columns = dict(zip(names, theta.numpy().T, strict=True))
    groups = {
        "prior": draws_group(columns, attributes=facts),
        "prior_predictive": draws_group({"x": x.numpy()}, attributes=facts),
    }
    return as_inference_data(groups)
