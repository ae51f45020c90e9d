"""Arrays as ArviZ's data: InferenceData of ArviZ 0.2x, and from ArviZ 1 on xarray's DataTree.

Both hold groups such as `posterior`, each a data set of xarray, and write the same files; nothing
else of lfi knows which it is.

Draws are independent, or the last states of as many chains, in random order. ArviZ compares chains
and refuses to judge a single one, so draws are exported as several: however they are split, chains
of independent draws agree.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import arviz
    import xarray

MAX_CHAINS = 4
MIN_LENGTH = 4  # draws of a chain that ArviZ asks for


def chains_of(n: int) -> int:
    """Return how many chains n draws are exported as: the most of 4, 3, 2 that divide n.

    One where none does, or chains would have less than 4 draws.

    Example:
        >>> [chains_of(n) for n in (2_000, 999, 50, 8, 1_001)]
        [4, 3, 2, 2, 1]
    """
    whole = (k for k in range(MAX_CHAINS, 1, -1) if n % k == 0 and n // k >= MIN_LENGTH)
    return next(whole, 1)


def draws_group(
    variables: Mapping[str, np.ndarray],
    *,
    dims: Sequence[str] = (),
    attributes: Mapping[str, object] | None = None,
) -> "xarray.Dataset":
    """Return draws by name, (n, *event), as chains; `dims` name the first axes of the event."""
    split = {}
    for name, values in variables.items():
        chains = chains_of(len(values))
        split[name] = values.reshape(chains, len(values) // chains, *values.shape[1:])
    return _dataset(split, ("chain", "draw", *dims), attributes or {})


def data_group(
    variables: Mapping[str, np.ndarray],
    *,
    dims: Sequence[str] = (),
    attributes: Mapping[str, object] | None = None,
) -> "xarray.Dataset":
    """Return arrays by name that are no draws, such as observed data."""
    return _dataset(variables, tuple(dims), attributes or {})


def _dataset(
    variables: Mapping[str, np.ndarray], dims: tuple[str, ...], attributes: Mapping[str, object]
) -> "xarray.Dataset":
    import xarray

    arrays, sizes = {}, {}
    for name, values in variables.items():
        axes = dims[: values.ndim]
        axes += tuple(f"{name}_dim_{i}" for i in range(values.ndim - len(axes)))
        arrays[name] = (axes, values)
        sizes |= dict(zip(axes, values.shape, strict=True))
    coordinates = {axis: np.arange(size) for axis, size in sizes.items()}
    facts = {**attributes, "inference_library": "lfi"}
    return xarray.Dataset(arrays, coordinates, facts)


def as_inference_data(groups: Mapping[str, "xarray.Dataset"]) -> "arviz.InferenceData":
    """Return groups by name as the data of the ArviZ that is installed.

    Example:
        >>> draws = draws_group({"mean": np.arange(8.0)})
        >>> dict(as_inference_data({"posterior": draws}).posterior.sizes)
        {'chain': 2, 'draw': 4}
    """
    if int(version("arviz").partition(".")[0]) >= 1:
        import xarray

        tree: Any = xarray.DataTree.from_dict(dict(groups))
        return tree
    import warnings

    with warnings.catch_warnings():  # ArviZ announces its next major version on import
        warnings.simplefilter("ignore", FutureWarning)
        import arviz

    return arviz.InferenceData(None, False, **groups)  # of no attributes; names are free
