"""What tables come as, and what generated ones go back to: frames, structured arrays, dictionaries.

A form takes a table apart into arrays by name, and puts arrays together as a table of the dtypes
that it was fitted to.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from lfi.numerics.arguments import shown
from lfi.numerics.arrays import DataFrame, Samples, as_tensor
from lfi.numerics.data_frames import is_frame

if TYPE_CHECKING:
    import pandas as pd

    NewTable = pd.DataFrame | np.ndarray | dict[str, np.ndarray]

Table = DataFrame | np.ndarray | Mapping[str, Samples]
Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class FrameForm:
    """A data frame of pandas; `dtypes` are of its columns, of categories with all of them."""

    dtypes: tuple[Any, ...]

    @classmethod
    def of(cls, frame: "pd.DataFrame") -> "FrameForm":
        """Return the form of a frame; TypeError if names of columns are no text, or twice there."""
        names = list(frame.columns)
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise TypeError(f"table: columns must have names of their own, in text, got {names}")
        return cls(tuple(frame.dtypes))

    def columns(self, frame: "pd.DataFrame") -> Columns:
        """Return the columns of a frame; ValueError if entries are missing."""
        for name, missing in frame.isna().sum().items():
            if missing:
                raise ValueError(
                    f"table: {int(missing)} of {len(frame)} entries of the column {name!r} are "
                    "missing: leave out these rows, or fill them"
                )
        return {str(name): _plain(column.to_numpy()) for name, column in frame.items()}

    def table(self, columns: Columns) -> "pd.DataFrame":
        """Return a frame of columns, in the dtypes of the data."""
        import pandas as pd

        pairs = zip(columns.items(), self.dtypes, strict=True)
        return pd.DataFrame(
            {name: pd.Series(values).astype(dtype) for (name, values), dtype in pairs}
        )

    def _spec(self) -> list[str]:
        import pandas as pd

        return [
            json.dumps([_plain(dtype.categories.to_numpy()).tolist(), bool(dtype.ordered)])
            if isinstance(dtype, pd.CategoricalDtype)
            else str(dtype)
            for dtype in self.dtypes
        ]

    @classmethod
    def _restore(cls, spec: list[str]) -> "FrameForm":
        import pandas as pd

        return cls(
            tuple(
                pd.CategoricalDtype(*json.loads(text))
                if text.startswith("[")
                else pd.api.types.pandas_dtype(text)
                for text in spec
            )
        )


@dataclass(frozen=True)
class RecordForm:
    """A structured array of NumPy, (n,), of a dtype with names."""

    dtype: np.dtype

    @classmethod
    def of(cls, records: np.ndarray) -> "RecordForm":
        """Return the form of records; ValueError if they have more axes than one."""
        if records.ndim != 1:
            raise ValueError(f"table: structured arrays have one axis, got shape {records.shape}")
        return cls(records.dtype)

    def columns(self, records: np.ndarray) -> Columns:
        """Return the columns of records."""
        return {name: _plain(records[name]) for name in self.dtype.names or ()}

    def table(self, columns: Columns) -> np.ndarray:
        """Return records of columns, in the dtype of the data."""
        records = np.empty(len(next(iter(columns.values()))), self.dtype)
        for name, values in columns.items():
            records[name] = values
        return records

    def _spec(self) -> list[str]:
        return [json.dumps([name, self.dtype[name].str]) for name in self.dtype.names or ()]

    @classmethod
    def _restore(cls, spec: list[str]) -> "RecordForm":
        return cls(np.dtype([tuple(json.loads(text)) for text in spec]))


@dataclass(frozen=True)
class DictForm:
    """A dictionary of columns, from which arrays of NumPy come back in the same dtypes."""

    dtypes: tuple[np.dtype, ...]

    @classmethod
    def of(cls, columns: Mapping[str, Samples]) -> "DictForm":
        """Return the form of columns."""
        return cls(tuple(_array(name, column).dtype for name, column in columns.items()))

    def columns(self, columns: Mapping[str, Samples]) -> Columns:
        """Return the columns as arrays; ValueError if they are of unequal lengths."""
        arrays = {name: _array(name, column) for name, column in columns.items()}
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"table: columns have unequal lengths, {lengths}")
        return arrays

    def table(self, columns: Columns) -> Columns:
        """Return columns in the dtypes of the data."""
        pairs = zip(columns.items(), self.dtypes, strict=True)
        return {name: values.astype(dtype) for (name, values), dtype in pairs}

    def _spec(self) -> list[str]:
        return [dtype.str for dtype in self.dtypes]

    @classmethod
    def _restore(cls, spec: list[str]) -> "DictForm":
        return cls(tuple(np.dtype(text) for text in spec))


TableForm = FrameForm | RecordForm | DictForm
FORMS: dict[str, type[TableForm]] = {
    form.__name__: form for form in (FrameForm, RecordForm, DictForm)
}


def is_table(data: object) -> TypeGuard[Table]:
    """Return whether data are a table: a frame, a structured array, or a dictionary of columns.

    Example:
        >>> is_table({"a": [1.0], "b": ["x"]}), is_table(np.zeros((3, 2)))
        (True, False)
    """
    structured = isinstance(data, np.ndarray) and data.dtype.names is not None
    return is_frame(data) or isinstance(data, Mapping) or structured


def form_of(table: Table) -> TableForm:
    """Return what form a table has; TypeError if it is none."""
    if is_frame(table):
        return FrameForm.of(table)
    if isinstance(table, np.ndarray) and table.dtype.names:
        return RecordForm.of(table)
    if isinstance(table, Mapping):
        return DictForm.of(table)
    raise TypeError(
        "table must be a data frame, a structured array or a dictionary of columns, got "
        f"{shown(table)}"
    )


def _array(name: str, column: Samples) -> np.ndarray:
    """Return a column of a dictionary as an array, (n,), of numbers or of text."""
    array = np.asarray(column)
    if array.dtype.kind not in "OU":
        array = as_tensor(f"table[{name!r}]", column).detach().cpu().numpy()
    if array.ndim != 1:
        raise ValueError(f"table: the column {name!r} has shape {array.shape}, expected (n,)")
    return array


def _plain(values: np.ndarray) -> np.ndarray:
    """Return numbers as they are, and anything else as objects."""
    return values if values.dtype.kind in "fiub" else values.astype(object)
