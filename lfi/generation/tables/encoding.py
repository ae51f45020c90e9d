"""Tables as vectors of real numbers, and back: one map for each column.

Numbers become standard normal ones by their quantiles (`quantiles`), categories one-hot vectors
(`categories`). A generator of these vectors is a generator of tables: whatever it returns, decoded
columns have the data's kinds, dtypes and decimals, and nothing is negative where nothing was.

References:
    Xu, Skoularidou, Cuesta-Infante & Veeramachaneni, Modeling tabular data using conditional GAN,
        2019. arXiv:1907.00503 (one-hot categories beside normalised numbers)
    Kotelnikov et al., TabDDPM, 2023. arXiv:2209.15421 (quantile transforms)
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.generation.tables.categories import CategoryColumn
from lfi.generation.tables.forms import FORMS, Columns, Table, TableForm, form_of
from lfi.generation.tables.kinds import ColumnKind, kind_of
from lfi.generation.tables.quantiles import QuantileColumn
from lfi.numerics.arguments import checked, shown
from lfi.numerics.arrays import as_sample
from lfi.runtime import Described, fresh, numpy_rng, stripped

if TYPE_CHECKING:
    from lfi.generation.tables.forms import NewTable

TableColumn = QuantileColumn | CategoryColumn
COLUMNS: dict[str, type[TableColumn]] = {
    kind.__name__: kind for kind in (QuantileColumn, CategoryColumn)
}


@dataclass(frozen=True, eq=False, repr=False)
class TableEncoding(Described):
    """A map of tables to vectors and back.

    Attributes:
        columns: The map of each column, by name.
        form: What tables come as.

    Example:
        >>> table = {"height": [1.62, 1.75, 1.8], "eyes": ["blue", "brown", "blue"]}
        >>> encoding = TableEncoding.of(table)
        >>> encoding.encode(table, seed=1).shape
        torch.Size([3, 3])
        >>> encoding.decode(encoding.encode(table, seed=1))
        {'height': array([1.62, 1.75, 1.8 ]), 'eyes': array(['blue', 'brown', 'blue'], dtype='<U5')}
    """

    columns: dict[str, TableColumn]
    form: TableForm

    @classmethod
    @checked
    def of(cls, table: Table, kinds: Mapping[str, ColumnKind] | None = None) -> "TableEncoding":
        """Return the encoding of a table.

        Args:
            table: A data frame, a structured array, or a dictionary of columns.
            kinds: Of columns by name; those of others are seen from their values.

        Raises:
            TypeError: If it is no table, or columns are of other kinds than numbers and categories.
            ValueError: If entries are missing or not finite, or kinds do not fit.
        """
        form, kinds = form_of(table), dict(kinds or {})
        columns = _columns(form, table)
        if unknown := [name for name in kinds if name not in columns]:
            raise ValueError(f"kinds: there is no column {unknown[0]!r}, only {list(columns)}")
        return cls(
            {
                name: (kinds.get(name) or kind_of(values)).fitted(name, values)
                for name, values in columns.items()
            },
            form,
        )

    @property
    def widths(self) -> tuple[int, ...]:
        """How many entries of a vector each column has."""
        return tuple(column.width for column in self.columns.values())

    @checked
    def encode(self, table: Table, *, seed: int | None = None) -> Float[Tensor, "n d"]:
        """Return the vectors of a table, in float64.

        Rounded and repeated values are spread at random over the interval that they own.

        Args:
            table: Of the columns and the form that the encoding is of.
            seed: None takes fresh entropy.

        Raises:
            ValueError: If its columns are others, or hold categories that were not in the data.
        """
        columns, rng = _columns(self.form, table), numpy_rng(fresh(seed))
        if set(columns) != set(self.columns):
            raise ValueError(f"table: columns are {list(self.columns)}, got {list(columns)}")
        parts = [map_.encode(columns[name], rng) for name, map_ in self.columns.items()]
        return torch.from_numpy(np.concatenate(parts, axis=1))

    @checked
    def decode(self, x: Float[Tensor, "n d"]) -> "NewTable":
        """Return the table of vectors, in the form and the dtypes of the data.

        Args:
            x: Vectors, such as a generator's of encoded tables.

        Raises:
            ValueError: If they have another width, or are not finite.
        """
        x = as_sample("x", x, (sum(self.widths),))
        parts = torch.split(x.detach().cpu().double(), list(self.widths), dim=1)
        pairs = zip(self.columns.items(), parts, strict=True)
        return self.form.table({name: map_.decode(part.numpy()) for (name, map_), part in pairs})

    def describe(self) -> str:
        """Return the kind of each column, in words."""
        lines = [f"{name}: {column.describe()}" for name, column in self.columns.items()]
        return "\n  ".join([f"table of {len(lines)} columns, {sum(self.widths)} numbers", *lines])

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        parts = [(name, column, *column._spec()) for name, column in self.columns.items()]
        spec = {
            "form": [type(self.form).__name__, self.form._spec()],
            "columns": [[name, type(column).__name__, spec] for name, column, spec, _ in parts],
        }
        tensors = {
            f"column {i}.{name}": tensor
            for i, (*_, own) in enumerate(parts)
            for name, tensor in own.items()
        }
        return spec, tensors

    @classmethod
    def _restore(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> "TableEncoding":
        kind, form = spec["form"]
        columns = {
            name: COLUMNS[column]._restore(own, stripped(f"column {i}.", tensors))
            for i, (name, column, own) in enumerate(spec["columns"])
        }
        if len(form) != len(spec["columns"]) or len(columns) != len(form):
            raise ValueError("its columns are not those of its form")
        if not all(isinstance(name, str) for name in columns):
            raise ValueError("its columns have strange names")
        return cls(columns, FORMS[kind]._restore(form))


def _columns(form: TableForm, table: Table) -> Columns:
    """Return the columns of a table; TypeError if of another form, ValueError if it is empty."""
    if type(form_of(table)) is not type(form):
        raise TypeError(f"table must be of the kind that was fitted, got {shown(table)}")
    columns = form.columns(table)  # type: ignore[arg-type]
    if not columns:
        raise ValueError("table: the table has no columns")
    for name, values in columns.items():
        if len(values) == 0:
            raise ValueError(f"table: the column {name!r} has no entries")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            count = int((~np.isfinite(values)).sum())
            raise ValueError(f"table: {count} entries of the column {name!r} are not finite")
    return columns
