"""Intervals that hold a share of draws.

References:
    Hyndman, Computing and Graphing Highest Density Regions, American Statistician 1996.
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def highest_density_interval(
    theta: Float[ndarray, "n D"], mass: float = 0.94
) -> Float[ndarray, "D 2"]:
    """Return the shortest interval that holds a share `mass` of each column's draws."""
    if not 0 < mass < 1:
        raise ValueError(f"mass must lie between 0 and 1, got {mass}")
    ordered = np.sort(theta, axis=0)
    held = min(max(round(mass * len(theta)), 1), len(theta))  # draws inside the interval
    lower, upper = ordered[: len(theta) - held + 1], ordered[held - 1 :]
    shortest = (upper - lower).argmin(axis=0)
    column = np.arange(theta.shape[1])
    return np.stack([lower[shortest, column], upper[shortest, column]], axis=1)
