"""Generator losses: what a sample costs its generator, for different choices of f.

A generator that starts far from the data draws samples at which r = p/q is small. Whether it can
learn then depends on its loss alone. A sample at h = log r costs E(h) = -(r f'(r) - f(r)), and
moves by -dE/dh = r^2 f''(r), which at r << 1 is as large as r^2 (Pearson), r (KL, minimax GAN), the
root of r (Hellinger), 1 (reverse KL, non-saturating GAN) or 1/r (Neyman): at r = 10^-4 these lie 12
orders of magnitude apart. All of them have the same optimum.

References:
    Nowozin, Cseke & Tomioka, f-GAN, 2016. arXiv:1606.00709
    Mohamed & Lakshminarayanan, Learning in Implicit Generative Models, 2016. arXiv:1610.03483
    Poole et al., Improved generator objectives for GANs, 2016. arXiv:1612.02780
"""

import math
from collections.abc import Mapping
from itertools import cycle

import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy import ndarray
from torch import Tensor

from lfi.comparison import (
    KL,
    Bernoulli,
    GeneratorLoss,
    Jeffreys,
    NeymanChiSquared,
    NonSaturating,
    PearsonChiSquared,
    ReverseKL,
    SquaredHellinger,
)
from lfi.numerics.arguments import checked
from lfi.report.plots.style import (
    DATA,
    INK,
    PAGE,
    POSTERIOR,
    PRIOR,
    RULE,
    new_figure,
    plain,
)

DEFAULT: Mapping[str, GeneratorLoss] = {
    "Jeffreys": Jeffreys(),
    "reverse KL": ReverseKL(),
    "non-saturating GAN": NonSaturating(),
    "Pearson χ²": PearsonChiSquared(),
    "Hellinger²": SquaredHellinger(),
    "KL": KL(),
    "minimax GAN": Bernoulli(),
    "Neyman χ²": NeymanChiSquared(),
}
SMALLEST, LARGEST = 1e-4, 10.0  # r, from left to right
POINTS = 601
BELOW = -3.0  # the lowest E shown
HEIGHT, LINE = 3.5, 0.17  # inches: of the figure, at least, and of a label
LONGEST = 24  # letters of a name

COLOURS = (POSTERIOR, DATA, "#2a9d74", "#8e5ea2", "#b8860b", "#c2185b", INK, PRIOR)
ARROW = {"arrowstyle": "-", "color": INK, "linewidth": 0.4, "relpos": (1, 0.5)}
ARROW |= {"shrinkA": 1, "shrinkB": 0}
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))  # lines that coincide show through one another

Curve = tuple[Tensor, str, str]  # values, name, colour


@checked
def losses_plot(losses: Mapping[str, GeneratorLoss] | None = None) -> Figure:
    """Draw what a sample at r costs its generator, and how strongly it is moved.

    Left, the objective E, less its value at r = 1; right, the size of its gradient in log r, with
    the power of r that it is at the smallest r.

    Args:
        losses: What to draw, by name, each a loss of generators such as `lfi.losses.KL()`; by
            default the divergences of the source and the usual GAN. Losses that compare samples of
            q with ones of p (`lfi.losses.Relativistic`) are shown one of h = 0.

    Raises:
        ValueError: If there is no loss, or one is flat.

    Example:
        >>> losses = {"GAN": lfi.losses.Bernoulli(), "usual GAN": lfi.losses.NonSaturating()}
        >>> figure = losses_plot(losses)
        >>> [axes.get_title() for axes in figure.axes]
        ['objective of a sample', 'size of its gradient in log r']
    """
    losses = DEFAULT if losses is None else losses
    if not losses:
        raise ValueError("losses: there is none to draw")
    h = torch.linspace(math.log(SMALLEST), math.log(LARGEST), POINTS, dtype=torch.float64)
    r = h.exp().numpy()
    height = max(HEIGHT, 0.8 + 1.4 * LINE * len(losses))
    with new_figure(PAGE, height) as figure:
        left, right = figure.subplots(1, 2, sharex=True)
        curves: dict[Axes, list[Curve]] = {left: [], right: []}
        looks = zip(cycle(COLOURS), cycle(DASHES), strict=False)
        for (name, loss), (colour, dash) in zip(losses.items(), looks, strict=False):
            values, gradient = _of_sample(name, loss, h)
            power = (gradient[1] / gradient[0]).log() / (h[1] - h[0])
            shown = plain(name if len(name) <= LONGEST else name[: LONGEST - 1] + "…")
            both = ((values, shown), (gradient, f"{shown} {_power(float(power))}"))
            for axes, (curve, label) in zip(curves, both, strict=True):
                axes.plot(r, curve, color=colour, linestyle=dash, label=plain(name))
                curves[axes].append((curve, label, colour))
        left.set_ylim(BELOW, 2 - math.log(SMALLEST))
        left.set_title("objective of a sample")
        text = "r \N{MUCH LESS-THAN} 1: the critic knows\nthat the sample is generated"
        left.text(0.04, 0.03, text, transform=left.transAxes, color=PRIOR, fontsize=8)
        right.set_yscale("log")
        right.set_title("size of its gradient in log r")
        for axes in curves:
            _dress(axes)
            _label(axes, r, curves[axes], LINE / (height - 0.8))
    return figure


def _of_sample(
    name: str, loss: GeneratorLoss, h: Float[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Return a sample's loss at h, less that at 0, and the size of its derivative."""
    against = h.new_zeros(1)
    of_one = torch.vmap(lambda x: loss.generator(against, x[None]))
    h = h.detach().requires_grad_()
    values = of_one(h)
    if values.requires_grad:
        (gradient,) = torch.autograd.grad(values.sum(), h)
        if (gradient != 0).all():
            return (values - of_one(h.new_zeros(1))).detach(), gradient.abs()
    raise ValueError(f"losses: {name!r} is flat, a generator learns nothing from it")


def _power(exponent: float) -> str:
    """Return a power of r as mathematics."""
    rounded = round(exponent, 1) + 0.0
    power = {0.0: "1", 1.0: "r"}.get(rounded, f"r^{{{rounded:g}}}")
    return rf"$\propto {power}$"


def _dress(axes: Axes) -> None:
    """Give a panel its axis of r, its scale on the right, and room for names on the left."""
    axes.set_xscale("log")
    axes.set_xlim(SMALLEST, LARGEST)
    axes.set_xlabel("density ratio at the sample, r = p/q")
    axes.yaxis.tick_right()
    axes.spines["right"].set_visible(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(which="minor", length=0)
    axes.axvline(1.0, color=RULE, linewidth=0.8, zorder=0)
    axes.grid(axis="y", color=RULE, linewidth=0.5)


def _label(axes: Axes, r: ndarray, curves: list[Curve], spacing: float) -> None:
    """Write curves' names at their left ends or panel exits, `spacing` panel heights apart."""
    _, high = axes.get_ylim()
    to_panel = axes.transScale + axes.transLimits
    inside, leaving = [], []
    for y, name, colour in curves:
        if y[0] <= high:
            inside.append((to_panel.transform((r[0], y[0].item()))[1], name, colour))
        else:
            leaving.append((r[int((y <= high).nonzero()[0])], name, colour))
    for line, (_, name, colour) in enumerate(sorted(leaving)):
        right_of_all = to_panel.transform((1.25 * max(leaving)[0], high))[0]
        place = (right_of_all, 1 - spacing * line)
        axes.text(*place, name, color=colour, fontsize=8, va="top", transform=axes.transAxes)
    inside.sort()
    placed = _apart([y for y, _, _ in inside], spacing)
    for (y, name, colour), at in zip(inside, placed, strict=True):
        axes.annotate(
            name,
            xy=(0.0, y),
            xytext=(-0.06, at),
            xycoords="axes fraction",
            textcoords="axes fraction",
            color=colour,
            fontsize=8,
            ha="right",
            va="center",
            arrowprops=ARROW,
        )


def _apart(wanted: list[float], gap: float) -> list[float]:
    """Return the heights nearest to those wanted, in order, at least a gap apart."""
    blocks: list[list[float]] = []  # of lowest height, number of labels
    for height in wanted:
        blocks.append([height, 1])
        while len(blocks) > 1 and blocks[-2][0] + gap * blocks[-2][1] > blocks[-1][0]:
            (low, n), (high, m) = blocks[-2:]
            blocks[-2:] = [[(low * n + (high - gap * n) * m) / (n + m), n + m]]
    return [low + gap * i for low, n in blocks for i in range(int(n))]
