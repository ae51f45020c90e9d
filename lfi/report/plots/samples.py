"""Figures of samples: beside the data, with a critic's values, and images in a grid."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import as_sample
from lfi.numerics.checks import check_counts, check_positive
from lfi.report.plots.style import DATA, PAGE, POSTERIOR, legend_above, new_figure

MAX_POINTS = 5_000  # of a sample: more would be a blot
MAX_COLUMNS = 4  # panels side by side
CELLS = 80  # of the critic's landscape, in each direction
MARGIN = 0.1  # of the data's range around them


@checked
def samples_plot(data: Float[Tensor, "n 2"], samples: Mapping[str, Float[Tensor, "_ 2"]]) -> Figure:
    """Draw samples in the plane, each beside the data: as training goes, or of several generators.

    Args:
        data: The data.
        samples: Generated points, by what stands above them.

    Raises:
        ValueError: If there are no samples, or points are not of two entries.

    Example:
        >>> data = torch.randn(100, 2)
        >>> figure = samples_plot(data, {"step 10": data + 1, "step 100": data})
        >>> len(figure.axes)
        2
    """
    if not samples:
        raise ValueError("samples must hold at least one, got none")
    real = _some("data", data)
    drawn = {name: _some(name, points) for name, points in samples.items()}
    (left, low), (right, high) = _window(real)
    columns = min(MAX_COLUMNS, len(samples))
    rows = -(-len(samples) // columns)
    with new_figure(PAGE, 0.4 + rows * PAGE / columns) as figure:
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
        for axes, (name, points) in zip(panels, drawn.items(), strict=False):
            _scatter(axes, real, points)
            axes.set(title=name, xlim=(left, right), ylim=(low, high))
        for axes in figure.axes[len(samples) :]:  # panels of the last row that stay empty
            axes.remove()
        legend_above(figure, markerscale=4)
    return figure


@checked
def critic_plot(
    critic: Callable[[Tensor], Tensor],
    data: Float[Tensor, "n 2"],
    samples: Float[Tensor, "m 2"] | None = None,
) -> Figure:
    """Draw a critic's values in the plane, with the data and generated points on it.

    Args:
        critic: A function of (k, 2) to (k,), such as a network or a ratio's `log_ratio`; it is
            called without gradients, in float32.
        data: The data, around which the landscape is drawn.
        samples: Generated points, if any.

    Raises:
        ValueError: If points are not of two entries, or the critic does not return one number each.

    Example:
        >>> figure = critic_plot(lambda x: x[:, 0], torch.randn(100, 2))
        >>> len(figure.axes)  # the landscape, and the bar of its colours
        2
    """
    real = _some("data", data)
    generated = None if samples is None else _some("samples", samples)
    (left, low), (right, high) = _window(real)
    x, y = (np.linspace(a, b, CELLS) for a, b in ((left, right), (low, high)))
    places = torch.from_numpy(np.stack(np.meshgrid(x, y), axis=-1)).reshape(-1, 2).float()
    with torch.no_grad():
        value = critic(places)
    if value.shape != (len(places),):
        raise ValueError(
            f"critic: maps {tuple(places.shape)} to {tuple(value.shape)}, expected "
            f"one number for each point, ({len(places)},)"
        )
    height = value.double().numpy(force=True).reshape(CELLS, CELLS)
    top = max(float(np.abs(height).max()), 1e-12)
    with new_figure(0.7 * PAGE, 0.58 * PAGE) as figure:
        axes = figure.subplots()
        shown = axes.pcolormesh(x, y, height, cmap="RdBu", vmin=-top, vmax=top, rasterized=True)
        axes.contour(x, y, height, levels=8, colors="white", linewidths=0.5)
        figure.colorbar(shown, ax=axes, label="critic")
        _scatter(axes, real, generated)
        axes.set(xlim=(left, right), ylim=(low, high))
        legend_above(figure, markerscale=4)
    return figure


@checked
def image_grid(
    images: Float[Tensor, "n channels height width"],
    *,
    columns: int = 10,
    span: float | None = None,
) -> Figure:
    """Draw images in rows, as they come: one channel in grey, three in colour.

    Args:
        images: The images, from 0 to `span`.
        columns: How many stand in a row.
        span: The largest value; by default that of the images.

    Raises:
        ValueError: If images are not of one channel or three, or there is no column.

    Example:
        >>> figure = image_grid(torch.rand(25, 1, 8, 8), columns=5)
        >>> figure.axes[0].images[0].get_array().shape  # one pixel between two images
        (44, 44, 3)
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images must be (n, 1 or 3, height, width), got {tuple(images.shape)}")
    images = as_sample("images", images)
    check_counts(columns=columns)
    check_positive("span", span, optional=True)
    n, _, height, width = images.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    top = float(images.max()) if span is None else span
    pixels = (images.double() / (top or 1.0)).clamp(0, 1).expand(-1, 3, -1, -1)
    sheet = np.ones((rows * (height + 1) - 1, columns * (width + 1) - 1, 3))
    for i, image in enumerate(pixels.permute(0, 2, 3, 1).numpy(force=True)):
        down, across = i // columns * (height + 1), i % columns * (width + 1)
        sheet[down : down + height, across : across + width] = image
    with new_figure(PAGE, max(0.5, PAGE * sheet.shape[0] / sheet.shape[1])) as figure:
        axes = figure.subplots()
        axes.imshow(sheet, interpolation="nearest")
        axes.set_axis_off()
    return figure


def _some(name: str, points: Tensor) -> np.ndarray:
    """Return at most `MAX_POINTS` evenly spaced rows, once they are points of the plane."""
    points = as_sample(name, points, (2,), min_rows=1)
    step = -(-len(points) // MAX_POINTS)
    return points[::step].double().numpy(force=True)


def _scatter(axes: Axes, real: np.ndarray, generated: np.ndarray | None) -> None:
    axes.plot(*real.T, ".", color=DATA, markersize=2, label="data")
    if generated is not None:
        axes.plot(*generated.T, ".", color=POSTERIOR, markersize=2, label="generated")


def _window(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a window around the data."""
    low, high = points.min(axis=0), points.max(axis=0)
    room = MARGIN * np.where(high > low, high - low, 1.0)
    return low - room, high + room
