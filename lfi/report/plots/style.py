"""Style of the figures: colours, fonts, numbers as labels.

Figures are made with matplotlib's object interface: no figure is registered anywhere, nothing has
to be closed, and no setting of the caller is changed. One inch of a figure is 96 pixels of the
page, so that text of 9 points in a figure stands as high as the page's own small print.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

POSTERIOR = "#1f5f99"  # blue: what was inferred or learned
PRIOR = "#7c8794"  # grey: the prior, or what is expected of a right posterior
DATA = "#d95f02"  # orange: what was measured, or is held to be true; apart from blue to all eyes
INK = "#22303c"
RULE = "#d7dde3"
FILLS = ("#d6e4f0", "#94bbdb", "#3c7fb8")  # the posterior's regions, the widest first

PAGE = 7.6  # inches: the width of a figure that fills the page's column

SETTINGS = {
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
    "axes.edgecolor": "#8d99a6",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": "#55626f",
    "ytick.color": "#55626f",
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


def new_figure(width: float, height: float, *, arranged: bool = True) -> Figure:
    """Return an empty white figure, in inches, whose axes arrange themselves if asked to."""
    return Figure(
        figsize=(width, height), facecolor="white", layout="constrained" if arranged else None
    )


def plain(text: str) -> str:
    r"""Return the text so that matplotlib draws it as it is and reads no formula in it.

    Example:
        >>> print(plain("price ($ per $)"))
        price (\$ per \$)
    """
    return text.replace("$", r"\$")


def with_unit(name: str, unit: str | None) -> str:
    """Return a quantity's name, with its unit in brackets where it has one.

    Example:
        >>> with_unit("beta", "1/day"), with_unit("phi", "1"), with_unit("phi", None)
        ('beta (1/day)', 'phi', 'phi')
    """
    return f"{name} ({unit})" if unit not in (None, "", "1") else name


def number(value: float, scale: float | None = None) -> str:
    """Return a number to two digits of its scale (a standard deviation), else to three digits.

    Example:
        >>> number(1.73312, 0.0512), number(1234.5, 300.0), number(0.00001234)
        ('1.733', '1234', '1.23e-05')
    """
    if scale is None or not 1e-4 < abs(scale) < 1e6:
        return f"{value:.3g}"
    digits = max(0, 1 - math.floor(math.log10(abs(scale))))
    return f"{value:z.{digits}f}"


def power_of_ten(low: float, high: float) -> int:
    """Return the exponent in whose power of ten numbers of a range are best written.

    Example:
        >>> power_of_ten(0.0, 2.0), power_of_ten(-3e-6, 1e-6), power_of_ten(0.0, 4e7)
        (0, -6, 7)
    """
    largest = max(abs(low), abs(high))
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    return 0 if -3 <= exponent <= 4 else exponent


def scaled_ticks(axis: Axis, exponent: int, ticks: int) -> str:
    """Give an axis few tick labels, in units of a power of ten; return that power as text.

    The text ("10⁻⁵", or "" for a power of one) belongs into the axis's label: matplotlib's own
    place for it collides with the next panel's.
    """
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10], prune="both"))
    axis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{v / 10.0**exponent:.8g}".replace("-", "\N{MINUS SIGN}"))
    )
    superscript = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{superscript}" if exponent else ""
