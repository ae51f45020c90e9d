"""Simulations for other tools: NumPy, xarray and ArviZ. Failed rows go along, with their status."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from lfi.simulation.records.simulations import Simulations

if TYPE_CHECKING:
    import arviz
    import xarray


def to_numpy(simulations: Simulations) -> dict[str, np.ndarray]:
    """Return theta (n, D), x (n, *event), status (n,) and names (D,), as `numpy.savez` takes them.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> made = lfi.Simulations.from_arrays([[0.5], [1.0]], [[1.0], [2.0]], prior=prior)
        >>> {key: value.shape for key, value in to_numpy(made).items()}
        {'theta': (2, 1), 'x': (2, 1), 'status': (2,), 'names': (1,)}
    """
    return {
        "theta": simulations.theta.numpy(),
        "x": simulations.x.numpy(),
        "status": simulations.status,
        "names": np.array(simulations.names),
    }


def to_xarray(simulations: Simulations) -> "xarray.Dataset":
    """Return a dataset with a variable for each parameter, and x and status, along `sample`.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> made = lfi.Simulations.from_arrays([[0.5], [1.0]], [[1.0], [2.0]], prior=prior)
        >>> to_xarray(made)["mean"].values.tolist()
        [0.5, 1.0]
    """
    import xarray

    taken = {"x", "status", "sample"} & set(simulations.names)
    if taken:
        raise ValueError(f"parameters {sorted(taken)} have names that the data set needs itself")
    x = simulations.x.numpy()
    axes = ("sample", *(f"x_{i}" for i in range(x.ndim - 1)))
    columns = simulations.theta.numpy().T
    parameters = {
        name: ("sample", column) for name, column in zip(simulations.names, columns, strict=True)
    }
    return xarray.Dataset(
        {**parameters, "x": (axes, x), "status": ("sample", simulations.status)},
        attrs={"source": simulations.source, "seed": simulations.seed, "library": "lfi"},
    )


def to_arviz(simulations: Simulations) -> "arviz.InferenceData":
    """Return the valid rows as ArviZ's groups prior and prior_predictive, one chain.

    How many rows failed, and so are left out, is in the attributes.
    """
    with warnings.catch_warnings():  # ArviZ announces its next major version on import
        warnings.simplefilter("ignore", FutureWarning)
        import arviz

    theta, x = simulations.ok()
    facts = {
        "source": simulations.source,
        "seed": simulations.seed,
        "failed": len(simulations) - len(theta),
        "inference_library": "lfi",
    }
    columns = theta.numpy().T
    return arviz.from_dict(
        prior={name: column[None] for name, column in zip(simulations.names, columns, strict=True)},
        prior_predictive={"x": x.numpy()[None]},
        prior_attrs=facts,
        prior_predictive_attrs=facts,
    )
