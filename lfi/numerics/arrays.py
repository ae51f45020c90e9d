"""Samples and observations from users: tensors, NumPy arrays, lists of numbers, data frames."""

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class DataFrame(Protocol):
    """A table or a column of pandas, polars or xarray."""

    def to_numpy(self) -> np.ndarray:
        """Return the values."""
        ...


ArrayLike = np.ndarray | Sequence[Any] | DataFrame
Samples = Tensor | ArrayLike  # (n, *event)
Batch = tuple[Tensor, ...]


def as_tensor(name: str, values: object) -> Tensor:
    """Return real numbers as a tensor: a tensor as it is, arrays and data frames in their dtype.

    Numbers in lists are float64 where they are not whole. What holds no real numbers raises
    TypeError, rows of unequal lengths ValueError.
    """
    if not isinstance(values, Tensor):
        values = _from_array(name, values)
    if values.is_complex():
        raise TypeError(f"{name} must hold real numbers, got {values.dtype}")
    if values.is_inference() and not torch.is_inference_mode_enabled():
        return values.clone()  # an ordinary tensor, which gradients may be computed with
    return values


def _from_array(name: str, values: object) -> Tensor:
    if isinstance(values, list | tuple) and values and isinstance(values[0], Tensor):
        return torch.stack([as_tensor(name, row) for row in values])
    try:
        array = values.to_numpy() if isinstance(values, DataFrame) else np.asarray(values)
    except ValueError as error:  # NumPy's words say where
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "fiubc":
        raise TypeError(
            f"{name} must be a torch tensor, a NumPy array, a list of numbers or a data frame, got "
            f"{type(values).__name__} of {array.dtype}"
        )
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not (array.flags.writeable and array.dtype.isnative and min(array.strides, default=0) >= 0):
        array = np.array(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(array)


def as_sample(
    name: str, x: Samples, shape: tuple[int, ...] | None = None, *, min_rows: int = 0
) -> Tensor:
    """Return a sample, (n, *event), as a tensor, on its device and in its dtype.

    ValueError if its events do not have the `shape`, it has too few rows, or a row is not finite.
    """
    x = as_tensor(name, x)
    if x.ndim == 0 or (shape is not None and tuple(x.shape[1:]) != shape):
        expected = ", ".join(["n", *map(str, ("*event",) if shape is None else shape)])
        raise ValueError(f"{name} has shape {tuple(x.shape)}, expected ({expected})")
    if 0 in x.shape[1:]:
        raise ValueError(f"{name} has shape {tuple(x.shape)}: its events have no entries")
    if x.dtype == torch.bool:
        raise TypeError(f"{name} must hold real numbers, got {x.dtype}")
    if len(x) < min_rows:
        raise ValueError(f"{name}: {len(x)} rows are too few, need at least {min_rows}")
    bad = ~x.isfinite().flatten(1).all(1) if x.ndim > 1 else ~x.isfinite()
    if bad.any():
        raise ValueError(
            f"{name}: {int(bad.sum())} of {len(x)} rows are not finite, the first is row "
            f"{int(bad.nonzero()[0])}"
        )
    return x


def as_two_samples(
    p: Samples,
    q: Samples,
    *,
    min_rows: int = 1,
    names: tuple[str, str] = ("p_samples", "q_samples"),
) -> tuple[Tensor, Tensor]:
    """Return two samples, (n, *event) and (m, *event), as `as_sample`, of events of one shape."""
    p, q = (as_sample(name, x, min_rows=min_rows) for name, x in zip(names, (p, q), strict=True))
    if p.shape[1:] != q.shape[1:]:
        raise ValueError(
            f"{' and '.join(names)} must hold events of one shape, got {tuple(p.shape)} and "
            f"{tuple(q.shape)}"
        )
    return p, q


def row_numbers(rows: slice | int | Samples, n: int) -> Int[Tensor, " m"]:
    """Return the numbers, from 0, of rows of n that a slice, a number, numbers or a mask name.

    Example:
        >>> [row_numbers(rows, 4).tolist() for rows in (slice(2), -1, [2, 0], [True] + 3 * [False])]
        [[0, 1], [3], [2, 0], [0]]
    """
    if isinstance(rows, slice):
        if rows.step == 0:
            raise ValueError(f"rows must be a slice of steps that are not zero, got {rows}")
        return torch.tensor(range(n)[rows], dtype=torch.long)
    index = as_tensor("rows", rows).to("cpu")
    if index.dtype == torch.bool:
        if tuple(index.shape) != (n,):
            raise ValueError(f"rows: the mask has shape {tuple(index.shape)}, expected ({n},)")
        return index.nonzero()[:, 0]
    if index.numel() == 0:
        return index.new_empty(0, dtype=torch.long)
    if index.is_floating_point() or index.ndim > 1:
        raise TypeError(
            "rows must be a slice, whole numbers or a mask of rows, got "
            f"{tuple(index.shape)} of {index.dtype}"
        )
    index = index.long().reshape(-1)
    beyond = index[(index < -n) | (index >= n)]
    if len(beyond):
        raise IndexError(f"rows: there is no row {int(beyond[0])} of {n}")
    return index % n


def stacked_pairs(x: Samples, y: Samples) -> tuple[Float[Tensor, "n d"], int]:
    """Return rows of x and y, flattened and concatenated, and how many entries are x.

    Example:
        >>> stacked_pairs(torch.zeros(1), torch.ones(1, 2))
        (tensor([[0., 1., 1.]]), 1)
    """
    x, y = as_sample("x", x), as_sample("y", y)
    if len(x) != len(y):
        raise ValueError(f"x and y are pairs, one in a row of either: got {len(x)} and {len(y)}")
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    common = floating_dtype(torch.promote_types(x.dtype, y.dtype))
    return torch.cat([x.to(common), y.to(common)], dim=1), x.shape[1]


def as_observation(
    x_obs: object,
    shape: tuple[int, ...] | None = None,
    *,
    dtype: torch.dtype | None = None,
    name: str = "x_obs",
    missing: bool = False,
) -> Float[Tensor, "..."]:
    """Return one observation of a shape, None for any, on the CPU and without gradients.

    It has its own dtype, and float64 for whole numbers, unless another is asked for. ValueError if
    it has another shape, or a value is not finite, other than NaN where entries may be `missing`.
    """
    x = as_tensor(name, x_obs).detach()
    x = x.to("cpu", dtype or floating_dtype(x.dtype))
    unfit = x.isinf() if missing else ~x.isfinite()
    if unfit.any():
        raise ValueError(f"{name} holds {int(unfit.sum())} values that are not finite")
    if shape is not None and tuple(x.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(x.shape)}, but one simulation's x has {shape}")
    return x


def as_observations(
    x_obs: object,
    shape: tuple[int, ...],
    *,
    dtype: torch.dtype | None = None,
    missing: bool = False,
) -> tuple[Float[Tensor, "m ..."], bool]:
    """Return observations, (m, *event), of events of a shape, and whether it was a single one."""
    x = as_observation(x_obs, dtype=dtype, missing=missing)
    if tuple(x.shape) == shape:
        return x[None], True
    if tuple(x.shape[1:]) != shape or x.ndim != 1 + len(shape) or len(x) == 0:
        raise ValueError(
            f"x_obs has shape {tuple(x.shape)}, but one simulation's x has {shape}: give one "
            "observation, or several stacked along a first dimension"
        )
    return x, False


def floating_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of answers about a sample: its own, or float64 for whole numbers."""
    return dtype if dtype.is_floating_point else torch.float64
