"""Style of the figures: colours, fonts, numbers as labels.

Matplotlib's object interface is used: no figure is registered or needs closing, no setting changes.
An inch of a figure is 96 pixels of the page, so text of 9 points is as high as its small print.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lfi.numerics.checks import check_number

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

POSTERIOR = "#1f5f99"  # blue: what was inferred or learned
PRIOR = "#7c8794"  # grey: the prior, or what is expected of a right posterior
DATA = "#d95f02"  # orange: what was measured, or is held to be true; apart from blue to all eyes
INK = "#22303c"
RULE = "#d7dde3"
EDGE = "#8d99a6"  # of axes
TICK = "#55626f"
FILLS = ("#d6e4f0", "#94bbdb", "#3c7fb8")  # the posterior's regions, the widest first

PAGE = 7.6  # inches: the width of a figure that fills the page's column
PHONE = 3.7  # of one that fills a telephone's
NARROWEST, WIDEST = 1.0, 100.0  # of a figure
WIDE = 5.0  # from which a figure has room for a page's columns

SETTINGS: "dict[RcKeyType, object]" = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # it comes with matplotlib: the same on every machine
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 9.0,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": TICK,
    "ytick.color": TICK,
    "lines.linewidth": 1.5,
    "axes.unicode_minus": True,
    "axes.axisbelow": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the library's style inside, whatever the caller's settings, and restore those."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        yield


@contextmanager
def new_figure(width: float, height: float, *, arranged: bool = True) -> Iterator[Figure]:
    """Give an empty white figure, in inches, in the library's style; its axes may be `arranged`."""
    layout = "constrained" if arranged else None
    with styled():
        yield Figure(figsize=(width, height), facecolor="white", layout=layout)


def legend_above(figure: Figure, markerscale: float | None = None) -> None:
    """Write the panels' legend in a row above all panels, or in two columns of a narrow figure."""
    each = [axes.get_legend_handles_labels() for axes in figure.axes]
    found = {label: h for handles, labels in each for h, label in zip(handles, labels, strict=True)}
    place, narrow = "outside upper center", figure.get_figwidth() < WIDE
    columns = min(2, len(found)) if narrow else len(found)
    handles, labels = list(found.values()), list(found)
    figure.legend(handles, labels, loc=place, ncols=columns, markerscale=markerscale)


def check_width(width: float) -> None:
    """Check that a figure's width, in inches, is one that its text has room in."""
    check_number("width", width, minimum=NARROWEST, maximum=WIDEST)


def columns_of(width: float, panel: float) -> int:
    """Return how many panels of a least width stand beside each other in a figure."""
    return max(1, int(width / panel))


def plain(text: str) -> str:
    """Return the text so that matplotlib draws it as it is and reads no formula in it."""
    return text.replace("$", r"\$")


def shown_unit(unit: str | None) -> str:
    """Return a unit as text, nothing where it is one."""
    return "" if unit in (None, "1") else unit


def with_unit(name: str, unit: str | None) -> str:
    """Return a quantity's name, with its unit in brackets where it has one."""
    return f"{name} ({shown_unit(unit)})" if shown_unit(unit) else name


def fitted(name: str, unit: str | None, letters: float) -> str:
    """Return a name with its unit; without it, or cut, where there is room for fewer letters.

    Example:
        >>> [fitted("concentration", "mg/l", letters) for letters in (20, 15, 8)]
        ['concentration (mg/l)', 'concentration', 'concen…']
    """
    label = with_unit(name, unit)
    label = name if len(label) > letters else label
    return label if len(label) <= letters else f"{label[: max(3, int(letters) - 2)]}…"


def number(value: float, scale: float | None = None) -> str:
    """Return a number to two digits of its scale (a standard deviation), else to three digits."""
    if scale is None or not 1e-4 < abs(scale) < 1e6:
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(abs(scale))))
    return f"{value:z.{digits}f}"


def power_of_ten(low: float, high: float) -> int:
    """Return the exponent in whose power of ten numbers of a range are best written."""
    largest = max(abs(low), abs(high))
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    return 0 if -3 <= exponent <= 4 else exponent


def whole_ticks(axis: Axis) -> None:
    """Give an axis ticks at whole numbers alone."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))


def scaled_ticks(axis: Axis, exponent: int, ticks: int) -> str:
    """Give an axis few tick labels, in units of a power of ten; return that power as text.

    It ("" for one) goes into the axis's label, as matplotlib's place for it hits the next panel's.
    """
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10], prune="both"))
    axis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{v / 10.0**exponent:.8g}".replace("-", "\N{MINUS SIGN}"))
    )
    superscript = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{superscript}" if exponent else ""
