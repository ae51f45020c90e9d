"""How the entries of x lie along a figure's axis: by their names, or by the data's own axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from numpy import ndarray

from lfi.report.plots.style import RULE, plain, whole_ticks, with_unit
from lfi.simulation.simulators.labels import INDEX, DataLabels, DataSeries

MAX_ENTRIES = 2_000  # of a longer x, evenly spaced entries are shown: a page has fewer pixels
MIN_FOR_BANDS = 9  # entries of x from which a band over the axis makes sense
MAX_TICKS = 12  # names of entries or series below an axis
LETTER, LINE = 0.075, 0.15  # inches of an average letter, and of a line of them


@dataclass(frozen=True, eq=False)
class Layout:
    """Places of entries on one axis: `entries` of x flattened, at `positions`, with ticks.

    Attributes:
        entries: Places in x flattened.
        positions: Where they stand; NaN between two series, so that no line joins them.
        label: Of the axis.
        ticks: Places and names, where names stand in place of numbers.
        breaks: Between series.
        name: Of the quantity.
        unit: Of the quantity, "" where it has none or entries have several.
    """

    entries: Int[ndarray, " k"]
    positions: Float[ndarray, " k"]
    label: str
    ticks: tuple[tuple[float, str], ...] = ()
    breaks: tuple[float, ...] = ()
    name: str = "x"
    unit: str = ""

    @property
    def quantity(self) -> str:
        """The quantity with its unit."""
        return with_unit(self.name, self.unit)

    @property
    def few(self) -> bool:
        """Whether entries stand alone, in place of bands."""
        return bool(self.ticks and not self.breaks) or len(self.entries) < MIN_FOR_BANDS

    def dress(self, axes: Axes) -> None:
        """Give an axis its range, its ticks and a grid."""
        seen = self.positions[np.isfinite(self.positions)]
        low, high = seen.min(), seen.max()
        room = 0.5 * self.step if self.few else 0.015 * (high - low)
        axes.set_xlim(low - room, high + room)
        axes.grid(axis="y", color=RULE, linewidth=0.5)
        for place in self.breaks:
            axes.axvline(place, color=RULE, linewidth=0.8)
        if self.ticks:
            self._name_ticks(axes)
        elif (seen == np.round(seen)).all():
            whole_ticks(axes.xaxis)

    def _name_ticks(self, axes: Axes) -> None:
        """Write names below the axis, steep where they are long, and some where there are many."""
        spec, figure = axes.get_subplotspec(), axes.get_figure(root=True)
        columns = 1 if spec is None else spec.get_gridspec().ncols
        inches = 10.0 if figure is None else figure.get_figwidth()
        room = max(inches / columns - 0.7, 0.5) / len(self.ticks)  # for each name
        shown = self.ticks[:: math.ceil(LINE / room)]
        places, names = zip(*shown, strict=True)
        steep = max(map(len, names)) * LETTER > room
        look = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if steep else {}
        axes.set_xticks(places, [plain(name) for name in names], **look)
        axes.tick_params(axis="x", length=0)

    @property
    def step(self) -> float:
        """The least distance of two positions, 1 where there is one position."""
        apart = np.diff(np.unique(self.positions[np.isfinite(self.positions)]))
        return float(apart.min()) if len(apart) else 1.0


def of_series(series: DataSeries, event: tuple[int, ...]) -> Layout:
    """Return one series along its axis, in the order of its positions."""
    order = np.argsort(series.positions, kind="stable")
    step = math.ceil(len(order) / MAX_ENTRIES)
    order = order[::step]
    label, name = series.axis, series.name or "x"
    if series.axis == INDEX and not series.name and len(event) > 1:
        label += f", flattened from {' × '.join(str(length) for length in event)}"
    elif series.axis == INDEX and series.name:
        label = f"index of {series.name}"
    if step > 1:
        label += f" (one in {step} shown)"
    return Layout(
        series.entries[order], series.positions[order], label, name=name, unit=series.unit
    )


def side_by_side(labels: DataLabels | None, event: tuple[int, ...]) -> Layout:
    """Return all series on one axis: one along its own, several one after another."""
    series = (labels or DataLabels()).series(event)
    if len(series) == 1:
        return of_series(series[0], event)
    entries, positions, centres, breaks, at = [], [], [], [], 0.0
    alone = all(len(one.entries) == 1 for one in series)
    step = math.ceil(sum(len(one.entries) for one in series) / MAX_ENTRIES)
    for one in series:
        order = np.argsort(one.positions, kind="stable")[::step]
        entries += one.entries[order].tolist()
        positions += (at + np.arange(len(order))).tolist()
        centres.append(at + (len(order) - 1) / 2)
        at += len(order)
        if not alone and one is not series[-1]:
            entries.append(int(one.entries[order[-1]]))
            positions.append(math.nan)
            breaks.append(at)
            at += 1.0
    few = len(series) <= MAX_TICKS
    ticks = tuple(zip(centres, (one.name for one in series), strict=True)) if few else ()
    label = "" if alone else f"each by {series[0].axis}" if series[0].axis != INDEX else ""
    units = {one.unit for one in series}
    unit = units.pop() if len(units) == 1 else ""
    at = np.array(entries), np.array(positions)
    return Layout(*at, label, ticks, tuple(breaks), unit=unit)


def names_of(series: Sequence[DataSeries], entries: Sequence[int]) -> list[str]:
    """Return what entries of x are called, by series and place along the axis."""
    called = {}
    for one in series:
        for entry, place in zip(one.entries.tolist(), one.positions.tolist(), strict=True):
            if one.axis == INDEX:
                called[entry] = one.name if len(one.entries) == 1 and one.name else str(entry)
            else:
                several = f"{one.name}, " if len(series) > 1 else ""
                called[entry] = f"{several}{one.axis} {place:.6g}"
    return [called[entry] for entry in entries]
