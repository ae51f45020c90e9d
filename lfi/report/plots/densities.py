"""Densities and highest-density regions of draws.

A density is a histogram on a fine grid, smoothed by a Gaussian of Silverman's width and reflected
at the ends of the support, so that it does not fall there. The highest-density region of mass m is
the smallest set with a share m of the draws: an interval, or in two dimensions {density >= level}.

References:
    Silverman, Density Estimation for Statistics and Data Analysis, 1986, section 3.4.
    Hyndman, Computing and Graphing Highest Density Regions, American Statistician 1996.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.ndimage import gaussian_filter, gaussian_filter1d


def window(
    values: Float[ndarray, " n"], lower: float = -np.inf, upper: float = np.inf
) -> tuple[float, float]:
    """Return the range that shows all but 0.4% of the draws, within the support's bounds."""
    low, high = np.quantile(values, [0.002, 0.998])
    margin = 0.08 * (high - low)
    if margin <= 1e-12 * max(abs(low), abs(high)):  # all draws equal: any range around them
        margin = 0.5 * max(abs(low), 1e-3)
    return float(max(low - margin, lower)), float(min(high + margin, upper))


def density(
    values: Float[ndarray, " n"],
    grid: Float[ndarray, " m"],
    *,
    lower: float = -np.inf,
    upper: float = np.inf,
) -> Float[ndarray, " m"]:
    """Return the density on a grid: draws outside count too, and it is 0 outside the support."""
    quarter, three = np.quantile(values, [0.25, 0.75])
    scale = min(values.std(), (three - quarter) / 1.349) or values.std()
    width = max(1.06 * scale * len(values) ** -0.2, 1e-3 * (grid[-1] - grid[0]))
    low, high = max(grid[0] - 5 * width, lower), min(grid[-1] + 5 * width, upper)
    bins = int(np.clip(8 * (high - low) / width, 64, 8192))
    counts, edges = np.histogram(values, bins, (low, high))
    step = (high - low) / bins
    smooth = gaussian_filter1d(counts.astype(float), width / step, mode="reflect")
    found = np.interp(grid, (edges[1:] + edges[:-1]) / 2, smooth / (len(values) * step))
    return np.where((grid >= lower) & (grid <= upper), found, 0.0)


def joint_density(
    x: Float[ndarray, " n"],
    y: Float[ndarray, " n"],
    x_window: tuple[float, float],
    y_window: tuple[float, float],
    bins: int = 80,
) -> tuple[Float[ndarray, " m"], Float[ndarray, " m"], Float[ndarray, "m m"]]:
    """Return cells' centres in x and y, and shares [y, x], smoothed by the conditional scales."""
    counts, x_edges, y_edges = np.histogram2d(x, y, bins, (x_window, y_window))
    scales = x.std(), y.std()
    slope = np.corrcoef(x, y)[0, 1] if min(scales) > 0 else 0.0
    conditional = 1.2 * np.sqrt(max(1 - slope**2, 0.0)) * len(x) ** (-1 / 6)
    widths = [
        max(conditional * scale / (edges[1] - edges[0]), 1.0)
        for scale, edges in zip(scales, (x_edges, y_edges), strict=True)
    ]
    smooth = gaussian_filter(counts, widths, mode="reflect").T / len(x)
    return (x_edges[1:] + x_edges[:-1]) / 2, (y_edges[1:] + y_edges[:-1]) / 2, smooth


def region_levels(
    cells: Float[ndarray, "m m"], masses: tuple[float, ...] = (0.95, 0.8, 0.5)
) -> list[float]:
    """Return, for each mass, the level above which the cells hold that share of the whole."""
    ordered = np.sort(cells, axis=None)[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    first = np.searchsorted(held, np.array(masses) - 1e-9)
    return [float(level) for level in ordered[np.minimum(first, ordered.size - 1)]]
