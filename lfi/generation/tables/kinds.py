"""Kinds of columns of tables, as users say them and as they are seen from values.

    Numeric        numbers of any sign
    Positive       numbers none of which is negative
    Whole          whole numbers, none negative where none is in the data
    Categorical    a few values, between which nothing lies

Text, booleans and pandas' categories are categorical; so are whole numbers of at most ten values
with ten rows each on average, such as classes and ratings. Other whole numbers are whole, also
those of a floating dtype; what is left is positive where nothing is negative, else numeric.
"""

from dataclasses import dataclass

import numpy as np

from lfi.generation.tables.categories import CategoryColumn
from lfi.generation.tables.quantiles import QuantileColumn, decimals_of
from lfi.numerics.arguments import checked

MAX_CLASSES, ROWS_PER_CLASS = 10, 10  # of whole numbers that are taken for categories


@checked
@dataclass(frozen=True)
class Numeric:
    """Numbers of any sign, with as many decimals as the data have."""

    def fitted(self, name: str, values: np.ndarray) -> QuantileColumn:
        """Return the map of a column; TypeError if its values are no numbers."""
        numbers = _numbers(name, values)
        return QuantileColumn.of(numbers, decimals=decimals_of(numbers))


@checked
@dataclass(frozen=True)
class Positive:
    """Numbers that are never negative, and zero only if some of the data are."""

    def fitted(self, name: str, values: np.ndarray) -> QuantileColumn:
        """Return the map of a column; ValueError if one of its values is negative."""
        numbers = _numbers(name, values)
        if numbers.min() < 0:
            raise ValueError(f"kinds: the column {name!r} is positive, got {numbers.min():g}")
        return QuantileColumn.of(numbers, decimals=decimals_of(numbers), positive=True)


@checked
@dataclass(frozen=True)
class Whole:
    """Whole numbers, none negative where none of the data is."""

    def fitted(self, name: str, values: np.ndarray) -> QuantileColumn:
        """Return the map of a column; ValueError if one of its values is not whole."""
        numbers = _numbers(name, values)
        if decimals_of(numbers) != 0:
            between = numbers[numbers != numbers.round()][0]
            raise ValueError(f"kinds: the column {name!r} is of whole numbers, got {between:g}")
        return QuantileColumn.of(numbers, decimals=0, positive=bool(numbers.min() >= 0))


@checked
@dataclass(frozen=True)
class Categorical:
    """A few values, of which only those in the data are generated."""

    def fitted(self, name: str, values: np.ndarray) -> CategoryColumn:
        """Return the map of a column; ValueError if it has too many values."""
        return CategoryColumn.of(name, values)


ColumnKind = Numeric | Positive | Whole | Categorical


def kind_of(values: np.ndarray) -> ColumnKind:
    """Return the kind of a column, seen from its values.

    Example:
        >>> kind_of(np.arange(90) % 3), kind_of(np.arange(90.0)), kind_of(np.array(["a", "b"]))
        (Categorical(), Whole(), Categorical())
        >>> kind_of(np.array([0.1, 2.25])), kind_of(np.array([-0.1, 2.25]))
        (Positive(), Numeric())
    """
    if values.dtype.kind not in "fiu":
        return Categorical()
    if decimals_of(values) == 0:
        classes = len(np.unique(values))
        few = classes <= MAX_CLASSES and len(values) >= ROWS_PER_CLASS * classes
        return Categorical() if few else Whole()
    return Positive() if values.min() >= 0 else Numeric()


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind not in "fiub":
        raise TypeError(f"kinds: the column {name!r} holds no numbers, got {values[0]!r}")
    return values.astype(np.float64) if values.dtype.kind != "f" else values
