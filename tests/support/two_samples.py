"""Pairs of distributions that are hard to tell apart, each in its own way.

Each entry of `PAIRS` draws a sample of p and one of q from a generator and a size: a fine
checkerboard and a narrow bump, which the median distance is far too wide for, and a shift and a
change of scale, for which it is about right.
"""

import numpy as np

SIDE, BUMP, SHIFT, SCALE = 8, 0.01, 0.35, 1.35


def checkerboard(rng, n):
    """The unit square against its black fields, of SIDE x SIDE."""
    column, row = rng.integers(SIDE, size=n), rng.integers(SIDE // 2, size=n)
    corner = np.stack([column, 2 * row + column % 2], axis=1)
    return rng.random((n, 2)), (corner + rng.random((n, 2))) / SIDE


def bump(rng, n):
    """A standard normal against one with a tenth of its mass in a narrow bump at 1/2."""
    inside = rng.random((n, 1)) < 0.1
    q = np.where(inside, rng.normal(0.5, BUMP, (n, 1)), rng.normal(size=(n, 1)))
    return rng.normal(size=(n, 1)), q


def shift(rng, n):
    """Standard normals in five dimensions, one of which has another mean."""
    return rng.normal(size=(n, 5)), rng.normal(size=(n, 5)) + SHIFT * np.eye(5)[0]


def scale(rng, n):
    """Normals in two dimensions of two deviations."""
    return rng.normal(size=(n, 2)), SCALE * rng.normal(size=(n, 2))


PAIRS = {"checkerboard": checkerboard, "bump": bump, "shift": shift, "scale": scale}
