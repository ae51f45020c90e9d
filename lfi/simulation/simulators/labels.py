"""Names of the data's entries, their units, and the axis along which they were taken.

Figures of data draw one panel for each series of numbers along an axis, or for each named number:

    x_axis given, a value for each step of x's first axis    the other axes count the series
    x_axis given, a value for each entry of x                series run along x's last axis
    no x_axis, a name for each entry                         every entry stands alone
    no x_axis, a name for each step of x's last axis         series run along the other axes
    otherwise                                                one series of all entries
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from lfi.numerics.arguments import shown
from lfi.numerics.arrays import Samples, as_tensor

INDEX = "index of x"  # of an axis without a name
Axis = tuple[str, Samples]


@dataclass(frozen=True, eq=False)
class DataSeries:
    """Some entries of x, as places in x flattened, and where they lie along an axis.

    Attributes:
        name: Of the quantity, "" where it has none.
        unit: Of the quantity, "" where it has none.
        entries: Places in x flattened.
        positions: Along the axis, increasing or not.
        axis: The axis's name.
    """

    name: str
    unit: str
    entries: Int[ndarray, " k"]
    positions: Float[ndarray, " k"]
    axis: str


@dataclass(frozen=True, eq=False)
class DataLabels:
    """What the entries of x are called, their units and their axis; without any, by default.

    Attributes:
        names: One name for all of x, or one for each series.
        units: One unit for all of x, or one for each name.
        axis: The axis's name.
        positions: Values along the axis.
        observed: Which entries of the x that the labels describe are left, in order, as a vector;
            None where all are, in the shape that they have.

    Example:
        >>> labels = data_labels(("hares", "lynxes"), ("year", [1900, 1901, 1902]), "thousands")
        >>> [(series.name, series.entries.tolist()) for series in labels.series((3, 2))]
        [('hares', [0, 2, 4]), ('lynxes', [1, 3, 5])]
    """

    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    axis: str = ""
    positions: Float[ndarray, "..."] | None = None
    observed: Bool[ndarray, "..."] | None = None

    def of_observed(self, observed: Bool[ndarray, "..."]) -> "DataLabels":
        """Return the labels of an x of which only some entries are left, as a vector.

        Example:
            >>> labels = DataLabels(("hares", "lynxes")).of_observed(np.array([[0, 1], [1, 1]]) > 0)
            >>> [(series.name, series.entries.tolist()) for series in labels.series((3,))]
            [('hares', [1]), ('lynxes', [0, 2])]
        """
        if self.observed is not None:
            whole = self.observed.copy()
            whole[self.observed] = observed
            observed = whole
        return replace(self, observed=observed)

    def series(self, event: tuple[int, ...]) -> tuple[DataSeries, ...]:
        """Return the series in an x of shape `event`; ValueError if the labels do not fit it."""
        if self.observed is None:
            return self._whole_series(event)
        left = int(self.observed.sum())
        if event != (left,):
            raise ValueError(f"labels: they are of {left} entries, but x has shape {event}")
        places = np.cumsum(self.observed.ravel()) - 1  # among those that are left
        found = []
        for one in self._whole_series(self.observed.shape):
            seen = self.observed.ravel()[one.entries]
            if seen.any():
                entries, positions = places[one.entries[seen]], one.positions[seen]
                found.append(replace(one, entries=entries, positions=positions))
        return tuple(found)

    def _whole_series(self, event: tuple[int, ...]) -> tuple[DataSeries, ...]:
        """Return the series of all entries."""
        index = np.arange(math.prod(event)).reshape(event)
        rows, positions = self._rows(index)
        if len(self.names) not in (0, 1, len(rows)):
            raise ValueError(
                f"x_names: {len(self.names)} names, but x of shape {event} has "
                f"{len(rows)} series or {index.size} entries"
            )
        if len(self.units) > 1 and len(self.units) != len(rows):
            raise ValueError(
                f"x_units: {len(self.units)} units, but x of shape {event} has {len(rows)} series"
            )
        names, units = self.names or ("",), self.units or ("",)
        if len(names) < len(rows):
            names = tuple(f"{names[0] or 'series'} {i}" for i in range(len(rows)))
        units = units if len(units) == len(rows) else units * len(rows)
        each = zip(names, units, rows, positions, strict=True)
        return tuple(DataSeries(*parts, self.axis or INDEX) for parts in each)

    def _rows(
        self, index: Int[ndarray, "..."]
    ) -> tuple[Int[ndarray, "s k"], Float[ndarray, "s k"]]:
        """Return the places of each series' entries, and their positions."""
        event = index.shape
        if self.positions is not None:
            if len(event) > 1 and self.positions.shape == event:
                rows = index.reshape(-1, event[-1])
                return rows, self.positions.reshape(rows.shape)
            if self.positions.shape == event[:1]:
                rows = index.reshape(len(index), -1).T
                return rows, np.broadcast_to(self.positions, rows.shape)
            raise ValueError(
                f"x_axis: its values have shape {self.positions.shape}, and x has {event}: give a "
                "value for each step of x's first axis, or one for each entry"
            )
        if len(self.names) == index.size:
            rows = index.reshape(-1, 1)
        elif len(event) > 1 and len(self.names) == event[-1]:
            rows = index.reshape(-1, event[-1]).T
        else:
            rows = index.reshape(1, -1)
        return rows, np.broadcast_to(np.arange(rows.shape[1], dtype=float), rows.shape)

    def describe(self) -> str:
        """Return the quantities and the axis in words, "" where there are no labels."""
        names = ", ".join(self.names[:6]) + ", ..." * (len(self.names) > 6)
        units = ", ".join(dict.fromkeys(unit for unit in self.units if unit != "1"))
        text = f"{names} ({units})" if names and units else names or units
        if self.positions is None:
            return text
        low, high = self.positions.min(), self.positions.max()
        along = f"{self.axis} from {low:.6g} to {high:.6g}"
        return f"{text}, by {along}" if text else f"by {along}"


def data_labels(
    x_names: str | Sequence[str] | None = None,
    x_axis: Axis | None = None,
    x_units: str | Sequence[str] | None = None,
) -> DataLabels:
    """Return the labels; TypeError or ValueError if they are not names, units and an axis."""
    names, units = _words("x_names", x_names), _words("x_units", x_units)
    if len(set(names)) < len(names):
        raise ValueError(f"x_names: names must be different, got {names}")
    if len(units) > 1 and names and len(units) != len(names):
        raise ValueError(f"x_units: {len(units)} units for {len(names)} names")
    if x_axis is None:
        return DataLabels(names, units)
    if not (isinstance(x_axis, tuple | list) and len(x_axis) == 2 and isinstance(x_axis[0], str)):
        raise TypeError(
            f"x_axis must be a pair, the axis's name and its values, such as "
            f'("day", range(1, 15)); got {shown(x_axis)}'
        )
    axis, values = x_axis
    values = list(values) if isinstance(values, range) else values
    positions = as_tensor("x_axis", values).double().numpy(force=True)
    if not axis or positions.ndim == 0 or positions.size == 0 or not np.isfinite(positions).all():
        raise ValueError(
            "x_axis must have a name, and values that are finite numbers along an axis; got "
            f"{axis!r} and values of shape {positions.shape}"
        )
    return DataLabels(names, units, axis, positions)


def _words(argument: str, words: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one word or several as a tuple."""
    each = () if words is None else (words,) if isinstance(words, str) else tuple(words)
    for word in each:
        if not isinstance(word, str) or not word.strip():
            raise TypeError(f"{argument} must be a text, or texts, got {shown(word)}")
    return each
