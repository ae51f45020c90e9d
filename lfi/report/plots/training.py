"""The training plot: the losses of each network, and where its training stopped.

Every column of a history is a curve. Curves of like range share a panel; one that would press the
others flat, such as a learning rate, gets its own below. A panel shows the range of the curves
after their first tenth, so that small late steps stay readable.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray

from lfi.numerics.arguments import checked
from lfi.report.plots.style import (
    DATA,
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    check_width,
    columns_of,
    new_figure,
    plain,
)
from lfi.training import History

COLOURS = (POSTERIOR, DATA, "#2a9d74", "#8e5ea2", PRIOR, "#b8860b")
MAX_RATIO = 20.0  # of a shared panel's range to that of the flattest curve in it

Column = tuple[str, ndarray, ndarray]  # name, steps, values


@checked
def training_plot(
    histories: Sequence[History], titles: Sequence[str] | None = None, *, width: float = PAGE
) -> Figure:
    """Draw a panel per history, a curve per column, and a line at the step that was kept.

    Args:
        histories: What the fits returned; values that are not finite are left out.
        titles: A title per history, by default "training 1", "training 2", ...
        width: Of the figure, in inches; narrow ones have fewer columns.

    Raises:
        ValueError: If there is no history, or not one title per history.

    Example:
        >>> history = lfi.training.History({"loss": ((0, 1.0), (9, 0.5))}, 10, None, 0.1, "done", 1)
        >>> [axes.get_title() for axes in training_plot([history]).axes]
        ['training 1']
    """
    check_width(width)
    if titles is None:
        titles = [f"training {i}" for i in range(1, len(histories) + 1)]
    if len(histories) == 0 or len(titles) != len(histories):
        raise ValueError(
            f"histories must not be empty, with one title each: got {len(histories)} histories "
            f"and {len(titles)} titles"
        )
    columns = min(2 if len(histories) == 4 else min(len(histories), 3), columns_of(width, 2.3))
    rows = math.ceil(len(histories) / columns)
    groups = [_groups(_curves(history)) for history in histories]
    tallest = [
        max(len(group) for group in groups[row * columns :][:columns]) for row in range(rows)
    ]
    with new_figure(width, sum(1.0 + 1.35 * height for height in tallest)) as figure:
        figure.set_layout_engine("constrained", h_pad=0.08)
        outer = figure.add_gridspec(rows, columns, height_ratios=[0.6 + h for h in tallest])
        for i, (history, title) in enumerate(zip(histories, titles, strict=True)):
            cell = outer[i // columns, i % columns].subgridspec(max(len(groups[i]), 1), 1)
            colour = dict(zip(history.columns, cycle(COLOURS), strict=False))
            panels = cell.subplots(sharex=True, squeeze=False)[:, 0]
            for axes, group in zip(panels, groups[i], strict=False):
                _panel(axes, group, colour, history.best_step)
            panels[0].set_title(plain(title))
            panels[-1].set_xlabel("step")
            if not groups[i]:
                panels[0].text(0.5, 0.5, "nothing recorded", ha="center", color=PRIOR)
    return figure


def _curves(history: History) -> list[Column]:
    """Return the columns that hold finite values, as arrays."""
    curves = []
    for name, pairs in history.columns.items():
        table = np.array(pairs, dtype=float).reshape(-1, 2)
        table = table[np.isfinite(table).all(axis=1)]
        if len(table):
            curves.append((name, table[:, 0], table[:, 1]))
    return curves


def _settled(values: ndarray) -> tuple[float, float]:
    """Return the range of a curve without its first tenth and its rarest values."""
    late = values[len(values) // 10 :]
    low, high = np.quantile(late, [0.005, 0.995]) if len(late) > 200 else (late.min(), late.max())
    return float(low), float(high)


def _groups(curves: Sequence[Column]) -> list[list[Column]]:
    """Return the curves in groups that can share a panel without pressing one another flat."""
    groups: list[list[Column]] = []
    for curve in curves:
        for group in groups:
            ranges = np.array([_settled(values) for _, _, values in [*group, curve]])
            shared = ranges[:, 1].max() - ranges[:, 0].min()
            if shared <= MAX_RATIO * np.diff(ranges).min():
                group.append(curve)
                break
        else:
            groups.append([curve])
    return groups


def _panel(
    axes: Axes, group: Sequence[Column], colour: Mapping[str, str], best_step: int | None
) -> None:
    """Draw curves that share a range, on a logarithmic axis where they span two decades."""
    for name, steps, values in group:
        marker = "o" if len(values) < 4 else None
        axes.plot(steps, values, color=colour[name], marker=marker, markersize=3, label=plain(name))
    ranges = np.array([_settled(values) for _, _, values in group])
    low, high = ranges[:, 0].min(), ranges[:, 1].max()
    if min(values.min() for _, _, values in group) > 0 and high > 100 * low:
        axes.set_yscale("log")
    elif high > low:
        axes.set_ylim(low - 0.08 * (high - low), high + 0.15 * (high - low))
    if best_step is not None:
        axes.axvline(best_step, color=PRIOR, linestyle=":", linewidth=1.2, label="kept")
    axes.grid(axis="y", color=RULE, linewidth=0.5)
    axes.legend(loc="best", fontsize=7.5, handlelength=1.4)
    axes.tick_params(labelsize=7.5)
