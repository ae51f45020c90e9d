"""Figures of simulated data: posterior predictions, and a surrogate beside its simulator.

Many x are bands over the index of x, flattened with the last axis running fastest; an x of one
number is shown by histograms, one of a few numbers by bars.
"""

import math
from functools import partial
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray
from torch import Tensor

from lfi.diagnostics import PredictiveCheck
from lfi.generation.surrogates.fidelity import Fidelity
from lfi.numerics.arguments import checked
from lfi.report.plots.style import (
    DATA,
    FILLS,
    INK,
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    legend_above,
    new_figure,
    plain,
    whole_ticks,
)

MIN_FOR_BANDS = 9  # entries of x from which a band over the index makes sense
MAX_ENTRIES = 2_000  # of a longer x, evenly spaced entries are shown: a page has fewer pixels
LONG_SERIES = 100  # entries above which marks and dashes would run into each other
MAX_THETAS = 12
MAX_NAMES = 4  # parameters whose values fit above a panel


@checked
def predictive_plot(predictive: PredictiveCheck) -> Figure:
    """Draw the bands that hold 50 and 90% of the replicated data, and the data as points.

    Points outside the band of 90%, about a tenth of a right model's, are filled; in a long series
    all are.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> check = lfi.predictive_check(torch.randn(100, 1), simulator, [0.1, 0.9, 0.5], n=50)
        >>> predictive_plot(check).axes[0].get_xlabel()
        'index of x'
    """
    x, index = _flat(predictive.x)
    x_obs = predictive.x_obs.double().numpy().reshape(-1)[index]
    with new_figure(PAGE, 3.5) as figure:
        axes = figure.subplots()
        if len(index) == 1:
            _histogram(axes, x[:, 0], FILLS[1], "replicated data")
            axes.axvline(x_obs[0], color=DATA, label="data")
            axes.set(xlabel="x", ylabel="density", yticks=[])
        else:
            low, lower, middle, upper, high = np.quantile(x, [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
            _between(axes, index, low, high, FILLS[0], "90% of replicated data")
            _between(axes, index, lower, upper, FILLS[1], "50%")
            if len(index) < MIN_FOR_BANDS:
                axes.plot(index, middle, "_", color=POSTERIOR, markersize=14, label="median")
            else:
                axes.plot(index, middle, color=POSTERIOR, label="median")
            long = len(index) > LONG_SERIES
            inside = (low <= x_obs) & (x_obs <= high) | long
            points = partial(axes.plot, linestyle="none", marker="o", color=DATA, zorder=3)
            size, face = (1.5, None) if long else (5.0, "white")
            points(
                index[inside], x_obs[inside], markersize=size, markerfacecolor=face, label="data"
            )
            if not inside.all():
                points(index[~inside], x_obs[~inside], markersize=size, label="data outside 90%")
            axes.set(xlabel=_index_label(predictive.x, index), ylabel="x")
            _frame(axes, index)
        legend_above(figure)
    return figure


@checked
def surrogate_plot(fidelity: Fidelity) -> Figure:
    """Draw, per parameter vector, mean and central 90% of the simulator's and the surrogate's x.

    Of more than twelve parameter vectors the first are shown.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> simulator = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> fidelity = lfi.fidelity(simulator, simulator, thetas=2, n=50, seed=1)
        >>> len(surrogate_plot(fidelity).axes)
        2
    """
    shown = min(len(fidelity.theta), MAX_THETAS)
    columns = min(shown, 2 if shown <= 4 else 3 if shown <= 6 else 4)
    rows = math.ceil(shown / columns)
    _, index = _flat(fidelity.x_simulator[0])
    with new_figure(PAGE, 0.7 + 1.9 * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=len(index) > 1)
        for i, axes in enumerate(panels.flat):
            if i >= shown:
                axes.set_visible(False)
                continue
            real, _ = _flat(fidelity.x_simulator[i])
            imitated, _ = _flat(fidelity.x_surrogate[i])
            _compare(axes, index, real, imitated)
            values = ", ".join(f"{value:.3g}" for value in fidelity.theta[i].tolist()[:MAX_NAMES])
            axes.set_title(f"C2ST {float(fidelity.statistic[i]):.2f}", pad=13)
            axes.text(
                0.5, 1.025, values, ha="center", transform=axes.transAxes, fontsize=7, color=PRIOR
            )
            bottom = len(index) == 1 or i + columns >= shown
            axes.tick_params(labelsize=7, length=2.5, labelbottom=bottom)
            if i % columns == 0:
                axes.set_ylabel("x" if len(index) > 1 else "density")
        legend_above(figure)
        label = "x" if len(index) == 1 else _index_label(fidelity.x_simulator[0], index)
        above = ", ".join(fidelity.names[:MAX_NAMES])
        figure.supxlabel(plain(f"{label}   (above each panel: {above})"), fontsize=9)
    return figure


def _compare(axes: Axes, index: ndarray, real: ndarray, imitated: ndarray) -> None:
    """Draw two samples of x, both (n, entries), over each other."""
    if len(index) == 1:
        _histogram(axes, real[:, 0], RULE, "simulator")
        _histogram(axes, imitated[:, 0], POSTERIOR, "surrogate", "step")
        axes.set_yticks([])
        return
    (low, high), (below, above) = (np.quantile(x, [0.05, 0.95], axis=0) for x in (real, imitated))
    if len(index) < MIN_FOR_BANDS:
        middle = (low + high) / 2, (below + above) / 2
        half = (high - low) / 2, (above - below) / 2
        look = {"linestyle": "none", "capsize": 2, "elinewidth": 1.2, "markersize": 0}
        axes.errorbar(index - 0.12, middle[0], half[0], color=PRIOR, label="simulator", **look)
        axes.errorbar(index + 0.12, middle[1], half[1], color=POSTERIOR, label="surrogate", **look)
        axes.plot(index - 0.12, real.mean(0), "o", color=INK, markersize=3)
        axes.plot(index + 0.12, imitated.mean(0), "o", color=POSTERIOR, markersize=3)
    else:
        axes.fill_between(index, low, high, color=RULE, linewidth=0, label="simulator, 90%")
        axes.plot(index, real.mean(0), color=INK, linewidth=1.1, label="simulator, mean")
        style = "-" if len(index) > LONG_SERIES else (0, (3, 1.5))
        dashes = {"color": POSTERIOR, "linestyle": style, "linewidth": 0.9}
        axes.plot(index, below, **dashes, label="surrogate, 90%")
        axes.plot(index, above, **dashes)
        mean = imitated.mean(0)
        axes.plot(index, mean, color=POSTERIOR, linewidth=1.1, label="surrogate, mean")
    _frame(axes, index)


def _flat(x: Tensor) -> tuple[ndarray, ndarray]:
    """Return finite rows of x as (n, entries), with entries' indices, thinned where very long."""
    flat = x.double().numpy(force=True).reshape(len(x), -1)
    flat = flat[np.isfinite(flat).all(axis=1)]
    step = math.ceil(flat.shape[1] / MAX_ENTRIES)
    index = np.arange(0, flat.shape[1], step)
    return flat[:, index], index


def _index_label(x: Tensor, index: ndarray) -> str:
    """Say what the index counts: entries of a vector, or of a flattened array."""
    event = tuple(x.shape[1:])
    label = "index of x"
    if len(event) > 1:
        label += f", flattened from {' × '.join(str(length) for length in event)}"
    if len(index) < math.prod(event):
        label += f" (one in {index[1] - index[0]} shown)"
    return label


def _frame(axes: Axes, index: ndarray) -> None:
    """Give the index axis whole numbers and a little room at both ends."""
    room = 0.5 if len(index) < MIN_FOR_BANDS else 0.015 * (index[-1] - index[0])
    axes.set_xlim(index[0] - room, index[-1] + room)
    whole_ticks(axes.xaxis)
    axes.grid(axis="y", color=RULE, linewidth=0.5)


def _between(
    axes: Axes, index: ndarray, low: ndarray, high: ndarray, colour: str, label: str
) -> None:
    """Fill between two curves over the index, or draw bars where the entries are few."""
    if len(index) < MIN_FOR_BANDS:
        axes.bar(index, high - low, 0.5, bottom=low, color=colour, label=label)
    else:
        axes.fill_between(index, low, high, color=colour, linewidth=0, label=label)


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
