"""The pair plot: marginal densities beside the prior's, and 50, 80 and 95% regions of pairs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy import ndarray
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import as_sample
from lfi.report.plots.densities import density, joint_density, region_levels, window
from lfi.report.plots.style import (
    DATA,
    FILLS,
    INK,
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    WIDE,
    check_width,
    columns_of,
    fitted,
    legend_above,
    new_figure,
    number,
    plain,
    power_of_ten,
    scaled_ticks,
    shown_unit,
    with_unit,
)
from lfi.runtime import fresh, numpy_rng
from lfi.simulation import Prior

PRIOR_DRAWS = 50_000  # for the prior's curves: their error is below a line's width
MAX_PARAMETERS = 10  # of more, the first are shown: smaller panels cannot be read
MAX_NARROW = 3  # parameters whose pairs can be read on a telephone; of more, marginals alone
PANEL, WIDEST = 0.95, 9.5  # inches: of a panel of many, and of the page's column
LETTER = 0.075  # inches of an average letter of an axis's label
MIN_FOR_REGIONS = 200  # fewer distinct draws than this are shown as points
Line = Literal["-"] | tuple[int, tuple[float, float]]
DASHED: Line = (0, (4, 2))  # lines of a reference
DOTTED: Line = (0, (1, 1.5))  # of a truncated prior


@dataclass(frozen=True, eq=False)
class _Before:
    """Draws of a prior, its bounds, and the line and the name that it has in figures."""

    draws: ndarray
    bounds: list[tuple[float, float]]
    line: Line
    name: str


@dataclass(frozen=True, eq=False)
class _Shown:
    """What the panels show of all parameters."""

    draws: ndarray
    before: list[_Before]
    other: ndarray | None
    true: ndarray | None
    bounds: list[tuple[float, float]]
    windows: list[tuple[float, float]]
    exponents: list[int]


@checked
def pair_plot(
    theta: Float[Tensor, "n D"],
    names: Sequence[str],
    *,
    prior: Prior | None = None,
    truncated: Prior | None = None,
    units: Mapping[str, str] | None = None,
    reference: Float[Tensor, "m D"] | None = None,
    truth: Float[Tensor, " D"] | None = None,
    seed: int | None = None,
    width: float = PAGE,
) -> Figure:
    """Draw every marginal and every pair of parameters, the lower triangle of a D by D grid.

    Of more than ten parameters the first ten are shown. A narrow figure of more than three has the
    marginals alone.

    Args:
        theta: Draws of the posterior.
        names: The parameters' names, in the order of the columns.
        prior: The prior: drawn as a grey curve beside each marginal.
        truncated: The prior as rounds have truncated it: a dotted grey curve.
        units: The parameters' units by name; a parameter without one, or in "1", shows none.
        reference: Draws of another posterior to compare with, drawn as dashed lines.
        truth: The parameters that made the data, where they are known.
        seed: For the draws of the prior that its curve is made of.
        width: Of the figure, in inches; it is wider where many parameters need it.

    Raises:
        ValueError: If the number of names is not that of the columns, or there are no draws.

    Example:
        >>> theta = torch.randn(500, 2)
        >>> figure = pair_plot(theta, ["rate", "size"], units={"rate": "1/day"})
        >>> [axes.get_xlabel() for axes in figure.axes]
        ['', 'rate (1/day)', 'size']
    """
    check_width(width)
    if len(names) != theta.shape[1] or len(theta) == 0:
        raise ValueError(
            f"names must name the columns of theta, and there must be draws: got "
            f"{len(names)} names and theta of shape {tuple(theta.shape)}"
        )
    draws = as_sample("theta", theta).double().numpy()
    dim = min(len(names), MAX_PARAMETERS)
    bounds = [(-np.inf, np.inf)] * dim
    seed, before = fresh(seed), []
    looks: list[tuple[Prior | None, Line, str]]
    looks = [(prior, "-", "prior"), (truncated, DOTTED, "truncated prior")]
    for i, (given, line, name) in enumerate(looks):
        if given is not None:
            bounds = list(zip(given.lower.tolist(), given.upper.tolist(), strict=True))
            sample = given.sample(PRIOR_DRAWS, seed=numpy_rng(seed, i)).double().numpy()
            before.append(_Before(sample, bounds, line, name))
    other = None if reference is None else reference.double().numpy()
    true = None if truth is None else truth.double().numpy()
    samples = [draws] if other is None else [draws, other]
    windows = [_range(samples, true, i, bounds[i]) for i in range(dim)]
    exponents = [power_of_ten(*ends) for ends in windows]

    if width < WIDE and dim > MAX_NARROW:
        shown = _Shown(draws, before, other, true, bounds, windows, exponents)
        return _marginals(shown, names[:dim], units, width)
    side = width if width < WIDE else min(max(width, PANEL * dim + 0.84), WIDEST)
    side = side if dim > 1 else min(4.6, width)
    height = side if dim > 1 else 3.2
    panel = (side - 0.84) / dim - 0.1  # inches
    with new_figure(side, height, arranged=False) as figure:
        grid = figure.add_gridspec(dim, dim, wspace=0.10, hspace=0.10 if dim > 4 else 0.16)
        figure.subplots_adjust(  # inches for tick labels and names, and for the title
            left=0.72 / side, bottom=0.6 / height, right=1 - 0.12 / side, top=1 - 0.28 / height
        )
        ticks = 5 if panel > 1.8 else 4 if panel > 1.2 else 3
        small = 8.0 if panel > 1.0 else 7.0
        for row in range(dim):
            for column in range(row + 1):
                axes = figure.add_subplot(grid[row, column])
                axes.set_xlim(windows[column])
                if row == column:
                    _marginal(axes, draws, before, other, row, bounds[row])
                    _title(axes, draws[:, row], exponents[row], 9.0 if panel > 1.2 else 7.0)
                else:
                    axes.set_ylim(windows[row])
                    _pair(axes, draws[:, column], draws[:, row], windows[column], windows[row])
                    if other is not None:
                        _outline(axes, other[:, column], other[:, row])
                if true is not None:
                    axes.axvline(true[column], color=DATA, linewidth=1.1)
                    if row != column:
                        axes.axhline(true[row], color=DATA, linewidth=1.1)
                power = scaled_ticks(axes.xaxis, exponents[column], ticks)
                axes.tick_params(labelsize=small, length=2.5)
                if row == dim - 1:
                    axes.set_xlabel(_label(names[column], units, power, panel))
                    axes.tick_params(axis="x", rotation=40 if panel < 1.3 else 0)
                else:
                    axes.tick_params(axis="x", labelbottom=False)
                if row != column:
                    power = scaled_ticks(axes.yaxis, exponents[row], ticks)
                    if column == 0:
                        axes.set_ylabel(_label(names[row], units, power, panel))
                    else:
                        axes.tick_params(axis="y", labelleft=False)
        figure.align_labels()
        handles = _handles(before, other is not None, true is not None, regions=dim > 1)
        size = 8.5 if width >= WIDE else 7.0
        if dim > 1:
            look = {"loc": "upper right", "bbox_to_anchor": (0.99, 0.985), "fontsize": size}
            figure.legend(handles=handles, **look)
        elif len(handles) > 1:
            figure.axes[0].legend(handles=handles, loc="upper right", fontsize=size)
    return figure


def _marginals(
    shown: _Shown, names: Sequence[str], units: Mapping[str, str] | None, width: float
) -> Figure:
    """Draw the marginals alone, in columns that fit the width."""
    columns = columns_of(width, 1.7)
    rows = math.ceil(len(names) / columns)
    with new_figure(width, 0.5 + 1.45 * rows) as figure:
        panels = figure.subplots(rows, columns, squeeze=False)
        for i, axes in enumerate(panels.flat):
            if i >= len(names):
                axes.set_visible(False)
                continue
            axes.set_xlim(shown.windows[i])
            _marginal(axes, shown.draws, shown.before, shown.other, i, shown.bounds[i])
            _title(axes, shown.draws[:, i], shown.exponents[i], 8.0)
            if shown.true is not None:
                axes.axvline(shown.true[i], color=DATA, linewidth=1.1, label="truth")
            power = scaled_ticks(axes.xaxis, shown.exponents[i], 4)
            axes.tick_params(labelsize=7.0, length=2.5)
            axes.set_xlabel(_label(names[i], units, power, width / columns))
        legend_above(figure)
    return figure


def _range(
    samples: Sequence[ndarray], true: ndarray | None, i: int, bounds: tuple[float, float]
) -> tuple[float, float]:
    """Return what parameter i's axis shows: the draws, the reference and the truth."""
    lows, highs = zip(*(window(sample[:, i], *bounds) for sample in samples), strict=True)
    low, high = min(lows), max(highs)
    if true is not None:
        pad = 0.05 * (high - low)
        low, high = min(low, true[i] - pad), max(high, true[i] + pad)
    return float(low), float(high)


def _label(name: str, units: Mapping[str, str] | None, power: str, inches: float) -> str:
    """Return the axis's label: the name, its unit, and the power of ten its numbers are in.

    The unit is left out, and a name cut, where they would run into the next panel's.
    """
    unit, letters = shown_unit((units or {}).get(name)), inches / LETTER
    whole = " ".join(part for part in (power, unit) if part)
    if len(with_unit(name, whole)) > letters:
        whole = power
    return plain(fitted(with_unit(name, whole), None, letters))


def _title(axes: Axes, values: ndarray, exponent: int, size: float) -> None:
    """Write mean and standard deviation above a marginal, in the units of its ticks."""
    mean, sd = values.mean() / 10.0**exponent, values.std() / 10.0**exponent
    text = f"{number(mean, sd)} ± {number(sd, sd)}".replace("-", "\N{MINUS SIGN}")
    axes.set_title(text, fontsize=size, fontweight="normal", pad=3)


def _marginal(
    axes: Axes,
    draws: ndarray,
    before: list[_Before],
    other: ndarray | None,
    i: int,
    bounds: tuple[float, float],
) -> None:
    """Draw parameter i's density over the axes' range, the priors' and the reference's."""
    low, high = axes.get_xlim()
    grid = np.linspace(low, high, 301)
    curves = [(draws, bounds, POSTERIOR, "-", 1.5, "posterior")]
    curves += [(b.draws, b.bounds[i], PRIOR, b.line, 1.4, b.name) for b in before]
    curves += [] if other is None else [(other, bounds, INK, DASHED, 1.1, "reference")]
    for sample, (lower, upper), colour, line, width, name in curves:
        curve = density(sample[:, i], grid, lower=lower, upper=upper)
        axes.plot(grid, curve, color=colour, linestyle=line, linewidth=width, label=name)
        if sample is draws:
            axes.fill_between(grid, curve, color=FILLS[0], linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def _pair(
    axes: Axes, x: ndarray, y: ndarray, x_window: tuple[float, float], y_window: tuple[float, float]
) -> None:
    """Fill the regions that hold 95, 80 and 50% of the draws, or show few draws as points."""
    axes.grid(color=RULE, linewidth=0.5)
    levels = []
    if len(np.unique(x)) >= MIN_FOR_REGIONS:
        across, up, cells = joint_density(x, y, x_window, y_window)
        levels = [*region_levels(cells), 1.01 * float(cells.max())]
    if levels and all(low < high for low, high in zip(levels, levels[1:], strict=False)):
        axes.contourf(across, up, cells, levels=levels, colors=FILLS)
        axes.contour(across, up, cells, levels=levels[:-1], colors=POSTERIOR, linewidths=0.6)
    else:
        shown = slice(None, None, max(1, len(x) // 2000))
        axes.plot(x[shown], y[shown], ".", color=POSTERIOR, markersize=3, alpha=0.5)


def _outline(axes: Axes, x: ndarray, y: ndarray) -> None:
    """Draw the reference's regions as dashed lines."""
    across, up, cells = joint_density(x, y, axes.get_xlim(), axes.get_ylim())
    levels = sorted(set(region_levels(cells)))
    axes.contour(across, up, cells, levels=levels, colors=INK, linewidths=0.9, linestyles="dashed")


def _handles(before: list[_Before], reference: bool, truth: bool, regions: bool) -> list[Artist]:
    """Return what a legend says of each line and fill."""
    handles: list[Artist] = [Line2D([], [], color=POSTERIOR, label="posterior")]
    handles += [Line2D([], [], color=PRIOR, linestyle=b.line, label=b.name) for b in before]
    if reference:
        handles.append(Line2D([], [], color=INK, linestyle=DASHED, label="reference"))
    if truth:
        handles.append(Line2D([], [], color=DATA, label="truth"))
    if regions:
        for fill, share in zip(FILLS[::-1], (50, 80, 95), strict=True):
            handles.append(Patch(facecolor=fill, label=f"{share}% of the draws"))
    return handles
