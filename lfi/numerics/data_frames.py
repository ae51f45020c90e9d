"""Data frames with columns of text or categories: the same numbers for all frames of a comparison.

Columns are matched by name. One that holds no numbers becomes one column for each of its values in
any of the frames, 1 where a row has that value and 0 elsewhere.
"""

import sys
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

from lfi.numerics.arrays import Samples

if TYPE_CHECKING:
    import pandas as pd


def is_frame(x: object) -> "TypeGuard[pd.DataFrame]":
    """Return whether x is a data frame of pandas, which is not imported for it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(x, pandas.DataFrame)


def frames_as_numbers(samples: tuple[Samples, ...], names: tuple[str, ...]) -> tuple[Samples, ...]:
    """Return samples that are all data frames as arrays, (n, d), and others as they are.

    ValueError if their columns differ, or entries of columns that hold no numbers are missing.

    Example:
        >>> import pandas as pd
        >>> p = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
        >>> q = pd.DataFrame({"b": ["z"], "a": [3.0]})
        >>> frames_as_numbers((p, q), ("p", "q"))[1]
        array([[3., 0., 0., 1.]])
    """
    frames = [x for x in samples if is_frame(x)]
    if len(frames) < len(samples):
        return samples
    first = frames[0]
    for name, frame in zip(names, frames, strict=True):
        if set(frame.columns) != set(first.columns):
            raise ValueError(
                f"{name} must have the columns {list(first.columns)} of {names[0]}, got "
                f"{list(frame.columns)}"
            )
    parts: list[list[np.ndarray]] = [[] for _ in frames]
    for column in first.columns:
        values = [frame[column].to_numpy() for frame in frames]
        if all(each.dtype.kind in "fiub" for each in values):
            blocks = [each[:, None].astype(np.float64) for each in values]
        else:
            blocks = _one_hot(
                values,
                [int(frame[column].isna().to_numpy().sum()) for frame in frames],
                str(column),
            )
        for own, block in zip(parts, blocks, strict=True):
            own.append(block)
    return tuple(np.concatenate(own, axis=1) for own in parts)


def _one_hot(values: list[np.ndarray], missing: list[int], column: str) -> list[np.ndarray]:
    if any(missing):
        raise ValueError(f"the column {column!r} has {sum(missing)} missing entries")
    levels = list(dict.fromkeys(value for each in values for value in each.tolist()))
    place = {level: i for i, level in enumerate(levels)}
    rows = np.eye(len(levels))
    return [rows[[place[value] for value in each.tolist()]] for each in values]
