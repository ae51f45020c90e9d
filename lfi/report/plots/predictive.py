"""Figures of simulated data: posterior predictions, and a surrogate beside its simulator.

Many x are bands along the data's axis; a single number is shown by histograms, a few by bars. Below
the bands, residuals of the data: less the replicates' median, in units of its distance from the end
of the band of 90% on the same side, so that the band ends at -1 and 1.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from numpy import ndarray
from torch import Tensor

from lfi.diagnostics import PredictiveCheck
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.numerics.arguments import checked
from lfi.report.plots.layout import Layout, of_series, side_by_side
from lfi.report.plots.style import (
    DATA,
    FILLS,
    INK,
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    check_width,
    columns_of,
    fitted,
    legend_above,
    new_figure,
    plain,
)
from lfi.simulation import DataLabels

LONG_SERIES = 100  # entries above which marks and dashes would run into each other
MAX_SERIES = 12  # panels of data
MAX_THETAS = 12
MAX_NAMES = 4  # parameters whose values fit above a panel
LETTER = 0.085  # inches of an average letter of a title
FAR = 6.0  # residual from which their axis is logarithmic
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


@checked
def predictive_plot(
    predictive: PredictiveCheck, *, labels: DataLabels | None = None, width: float = PAGE
) -> Figure:
    """Draw the bands that hold 50 and 90% of the replicated data, the data, and residuals below.

    Points outside the band of 90%, about a tenth of a right model's, are filled. Each series that
    the labels tell apart has a panel, twelve at most.

    Args:
        predictive: The check.
        labels: Names and axis of x, as a simulator carries them.
        width: Of the figure, in inches; narrow ones have fewer columns.

    Raises:
        ValueError: If the labels do not fit x.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> check = lfi.predictive_check(torch.randn(100, 1), simulator, [0.1, 0.9, 0.5], n=50)
        >>> predictive_plot(check).axes[-1].get_xlabel()
        'index of x'
    """
    check_width(width)
    event = tuple(predictive.x.shape[1:])
    series = (labels or DataLabels()).series(event)
    shown = [of_series(one, event) for one in series[:MAX_SERIES]]
    x, x_obs = _flat(predictive.x), predictive.x_obs.double().numpy().reshape(-1)
    widest = 1 if len(shown) == 1 else 2 if len(shown) <= 4 else 3
    columns = min(widest, columns_of(width, 1.7))
    rows = math.ceil(len(shown) / columns)
    residuals = any(len(one.entries) > 1 for one in shown)
    height = (3.3 if columns == 1 else 2.5) + 1.2 * residuals
    with new_figure(width, 0.4 + height * rows) as figure:
        figure.set_layout_engine("constrained", h_pad=0.05)
        grid = figure.add_gridspec(rows, columns)
        letters = math.inf if len(shown) == 1 else (width / columns - 0.4) / LETTER
        for i, one in enumerate(shown):
            cell, last = grid[i // columns, i % columns], i + columns >= len(shown)
            _prediction(figure, cell, one, x, x_obs, letters=letters, last=last)
        legend_above(figure)
    return figure


def _prediction(
    figure: Figure,
    cell: SubplotSpec,
    layout: Layout,
    x: ndarray,
    x_obs: ndarray,
    *,
    letters: float,
    last: bool,
) -> None:
    """Draw one series: replicated data, the data, and residuals where there are several numbers.

    `letters` is the room for its title, infinite where it is the only one and needs none; the
    `last` of a column has the axis's name.
    """
    alone, name = math.isinf(letters), plain(fitted(layout.name, layout.unit, letters))
    rows, seen = x[:, layout.entries], x_obs[layout.entries]
    if len(layout.entries) == 1:
        axes = figure.add_subplot(cell)
        _histogram(axes, rows[:, 0], FILLS[1], "replicated data")
        axes.axvline(seen[0], color=DATA, label="data")
        axes.set(xlabel=name, yticks=[])
        axes.spines["left"].set_visible(False)
        return
    inner = cell.subgridspec(2, 1, height_ratios=[2.6, 1.0])
    axes = figure.add_subplot(inner[0])
    below = figure.add_subplot(inner[1], sharex=axes)
    bands = np.quantile(rows, LEVELS, axis=0)
    low, lower, middle, upper, high = bands
    at = layout.positions
    _between(axes, layout, low, high, FILLS[0], "90% of replicated data")
    _between(axes, layout, lower, upper, FILLS[1], "50%")
    look = {"linestyle": "none", "marker": "_", "markersize": 14} if layout.few else {}
    axes.plot(at, middle, color=POSTERIOR, label="median", **look)
    long = len(at) > LONG_SERIES
    residual = residuals_of(seen, bands)
    inside = np.abs(residual) <= 1
    for panel, values in ((axes, seen), (below, residual)):
        points = partial(panel.plot, linestyle="none", marker="o", color=DATA, zorder=3)
        size, face = (1.5, None) if long else (4.5, "white")
        points(at[inside], values[inside], markersize=size, markerfacecolor=face, label="data")
        if not inside.all():
            size = 2.0 if long else 4.5
            points(at[~inside], values[~inside], markersize=size, label="data outside 90%")
    axes.set_ylabel(name if alone else "")
    axes.set_title("" if alone else name, fontsize=9.0)
    axes.tick_params(labelbottom=False)
    layout.dress(axes)
    layout.dress(below)
    _residual_axis(below, residual)
    below.set_ylabel("residual" if alone else "")
    if last:
        below.set_xlabel(plain(layout.label))


def residuals_of(x_obs: Float[ndarray, " k"], bands: Float[ndarray, "5 k"]) -> Float[ndarray, " k"]:
    """Return the data less the median, over its distance from the band's end on that side."""
    low, _, middle, _, high = bands
    away = x_obs - middle
    half = np.where(away > 0, high - middle, middle - low)
    tiny = np.where(away == 0, 0.0, np.copysign(np.inf, away))  # outside a band without width
    return np.divide(away, half, out=tiny, where=half > 0)


def _residual_axis(axes: Axes, residual: ndarray) -> None:
    """Draw where the band ends, and give the axis the range of what is finite."""
    finite = residual[np.isfinite(residual)]
    largest = max(1.6, 1.15 * float(np.abs(finite).max(initial=0.0)))
    axes.axhspan(-1, 1, color=FILLS[0], linewidth=0, zorder=0)
    axes.axhline(0, color=POSTERIOR, linewidth=0.8)
    if largest > FAR:
        axes.set_yscale("symlog", linthresh=2)
    else:
        axes.set_yticks([-1, 0, 1])
    axes.set_ylim(-largest, largest)


@checked
def surrogate_plot(
    fidelity: Fidelity, *, labels: DataLabels | None = None, width: float = PAGE
) -> Figure:
    """Draw, per parameter vector, mean and central 90% of the simulator's and the surrogate's x.

    Of more than twelve parameter vectors the first are shown. Several series of x stand beside each
    other.

    Args:
        fidelity: The comparison.
        labels: Names and axis of x, as a simulator carries them.
        width: Of the figure, in inches; narrow ones have fewer columns.

    Raises:
        ValueError: If the labels do not fit x.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> fidelity = lfi.fidelity(simulator, simulator, thetas=2, n=50, seed=1)
        >>> len(surrogate_plot(fidelity).axes)
        2
    """
    check_width(width)
    shown = min(len(fidelity.theta), MAX_THETAS)
    widest = min(shown, 2 if shown <= 4 else 3 if shown <= 6 else 4)
    columns = min(widest, columns_of(width, 1.7))
    rows = math.ceil(shown / columns)
    layout = side_by_side(labels, tuple(fidelity.x_simulator.shape[2:]))
    alone = len(layout.entries) == 1
    with new_figure(width, 0.9 + 1.9 * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=not alone)
        for i, axes in enumerate(panels.flat):
            if i >= shown:
                axes.set_visible(False)
                continue
            real, imitated = _flat(fidelity.x_simulator[i]), _flat(fidelity.x_surrogate[i])
            _compare(axes, layout, real[:, layout.entries], imitated[:, layout.entries])
            axes.tick_params(labelsize=7.5, length=2.5, labelbottom=alone or i + columns >= shown)
            axes.set_title(f"C2ST {float(fidelity.statistic[i]):.2f}", pad=13)
            values = ", ".join(f"{value:.3g}" for value in fidelity.theta[i].tolist()[:MAX_NAMES])
            place = {"ha": "center", "transform": axes.transAxes, "fontsize": 7.5, "color": PRIOR}
            axes.text(0.5, 1.025, values, **place)
        legend_above(figure)
        label = layout.quantity if alone else layout.label
        above = f"(above each panel: {_joined(fidelity.names)})"
        figure.supxlabel(plain(f"{label}\n{above}" if label else above), fontsize=9)
        figure.supylabel("density" if alone else plain(layout.quantity), fontsize=9)
    return figure


def _joined(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMES])


def _compare(axes: Axes, layout: Layout, real: ndarray, imitated: ndarray) -> None:
    """Draw two samples of x, both (n, entries), over each other."""
    if len(layout.entries) == 1:
        _histogram(axes, real[:, 0], RULE, "simulator")
        _histogram(axes, imitated[:, 0], POSTERIOR, "surrogate", "step")
        axes.set_yticks([])
        return
    (low, high), (below, above) = (np.quantile(x, [0.05, 0.95], axis=0) for x in (real, imitated))
    at, aside = layout.positions, 0.12 * layout.step
    if layout.few:
        middle = (low + high) / 2, (below + above) / 2
        half = (high - low) / 2, (above - below) / 2
        look = {"linestyle": "none", "capsize": 2, "elinewidth": 1.2, "markersize": 0}
        axes.errorbar(at - aside, middle[0], half[0], color=PRIOR, label="simulator", **look)
        axes.errorbar(at + aside, middle[1], half[1], color=POSTERIOR, label="surrogate", **look)
        axes.plot(at - aside, real.mean(0), "o", color=INK, markersize=3)
        axes.plot(at + aside, imitated.mean(0), "o", color=POSTERIOR, markersize=3)
    else:
        axes.fill_between(at, low, high, color=RULE, linewidth=0, label="simulator, 90%")
        axes.plot(at, real.mean(0), color=INK, linewidth=1.1, label="simulator, mean")
        style = "-" if len(at) > LONG_SERIES else (0, (3, 1.5))
        dashes = {"color": POSTERIOR, "linestyle": style, "linewidth": 0.9}
        axes.plot(at, below, **dashes, label="surrogate, 90%")
        axes.plot(at, above, **dashes)
        mean = imitated.mean(0)
        axes.plot(at, mean, color=POSTERIOR, linewidth=1.1, label="surrogate, mean")
    layout.dress(axes)


def _flat(x: Tensor) -> Float[ndarray, "n k"]:
    """Return the finite rows of x as (n, entries)."""
    flat = x.double().numpy(force=True).reshape(len(x), -1)
    return flat[np.isfinite(flat).all(axis=1)]


def _between(
    axes: Axes, layout: Layout, low: ndarray, high: ndarray, colour: str, label: str
) -> None:
    """Fill between two curves along the axis, or draw bars where the entries are few."""
    if layout.few:
        wide = 0.5 * layout.step
        axes.bar(layout.positions, high - low, wide, bottom=low, color=colour, label=label)
    else:
        axes.fill_between(layout.positions, low, high, color=colour, linewidth=0, label=label)


def _histogram(
    axes: Axes,
    values: ndarray,
    colour: str,
    label: str,
    kind: Literal["step", "stepfilled"] = "stepfilled",
) -> None:
    """Draw the density of one number's draws as steps."""
    bins = min(60, max(10, len(values) // 25))
    axes.hist(values, bins, density=True, histtype=kind, color=colour, label=label)
