"""Figures of generators and their codes: shares of known modes, and ways between two data."""

from collections.abc import Mapping

from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from lfi.comparison.scores.mode_coverage import mode_scores
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import as_sample
from lfi.report.plots.samples import image_grid
from lfi.report.plots.style import DATA, PAGE, POSTERIOR, PRIOR, legend_above, new_figure

MAX_PANELS = 4  # side by side


@checked
def modes_plot(
    samples: Mapping[str, Float[Tensor, "_ d"]],
    centres: Float[Tensor, "k d"],
    scale: float | Float[Tensor, " k"],
) -> Figure:
    """Draw how many samples each mode of a known mixture has, and how many are of high quality.

    Args:
        samples: Generated points, by what stands above them.
        centres: Of the modes, all as likely.
        scale: Their standard deviation, one for all or one for each.

    Raises:
        ValueError: If there are no samples, or shapes do not fit.

    Example:
        >>> from simulators import ring
        >>> x = ring.sample(500, torch.Generator().manual_seed(1))
        >>> figure = modes_plot({"data": x, "half": x[x[:, 0] > 0]}, ring.centres, ring.scale)
        >>> len(figure.axes)
        2
    """
    if not samples:
        raise ValueError("samples must hold at least one, got none")
    k, columns = len(centres), min(MAX_PANELS, len(samples))
    rows = -(-len(samples) // columns)
    with new_figure(PAGE, 0.5 + 0.75 * rows * PAGE / columns) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
        for axes, (name, points) in zip(panels, samples.items(), strict=False):
            x = as_sample(name, points, min_rows=1)
            found = mode_scores(x, centres, scale)
            share = found.counts.double() / len(x)
            axes.bar(range(k), share.tolist(), color=POSTERIOR, label="of high quality")
            axes.axhline(found.expected / k, color=PRIOR, label="of the mixture")
            axes.set(title=f"{name}: {found.high_quality.item():.0%}", xlabel="mode")
        for axes in figure.axes[len(samples) :]:  # panels of the last row that stay empty
            axes.remove()
        figure.axes[0].set_ylabel("share of samples")
        legend_above(figure)
    return figure


@checked
def interpolation_plot(
    ways: Float[Tensor, "n steps *event"], data: Float[Tensor, "_ 2"] | None = None
) -> Figure:
    """Draw what a decoder makes of ways between codes: lines in the plane, or rows of images.

    Args:
        ways: What `Autoencoder.interpolate` returns: (n, steps, 2), or
            (n, steps, channels, height, width) of values from 0.
        data: Points of the plane to draw below the lines.

    Raises:
        ValueError: If events are neither points of the plane nor images.

    Example:
        >>> figure = interpolation_plot(torch.rand(3, 8, 2), torch.rand(50, 2))
        >>> len(figure.axes[0].lines)
        4
    """
    ways = as_sample("ways", ways, min_rows=1)
    if ways.ndim == 5:
        return image_grid(ways.flatten(0, 1), columns=ways.shape[1])
    if ways.ndim != 3 or ways.shape[2] != 2:
        raise ValueError(
            f"ways must be (n, steps, 2), or (n, steps, channels, height, width); got "
            f"{tuple(ways.shape)}"
        )
    with new_figure(0.6 * PAGE, 0.6 * PAGE) as figure:
        axes = figure.subplots()
        if data is not None:
            points = as_sample("data", data, (2,), min_rows=1).double().numpy(force=True)
            axes.plot(*points.T, ".", color=DATA, markersize=2, label="data")
        for i, way in enumerate(ways.double().numpy(force=True)):
            label = "decoded ways" if i == 0 else None
            axes.plot(*way.T, ".-", color=POSTERIOR, linewidth=0.8, markersize=3, label=label)
        axes.set_aspect("equal")
        legend_above(figure)
    return figure
