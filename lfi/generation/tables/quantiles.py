"""Columns of numbers as standard normal ones, and back, by their quantiles.

A value of rank i of n becomes the normal quantile of (i - 1/2) / n, and between data the map is
linear, in the logarithm where all data are positive:

    z = Phi^-1(F(x)),        x = F^-1(Phi(z)).

So every column has one scale and no outliers, whatever its law, and a generator is left with how
columns depend on each other. Where values repeat:

    rounded data    are spread evenly over the width of their last decimal, and rounded after it
    other values    such as a share of zeros, own an interval of z, in which they are drawn at
                    random: they come back exactly, and as often

Beyond the data the map goes on with the slope of the outer tenth, or ends where one row in a
hundred, and at least three, has the extreme value, as at a bound of a scale.

References:
    Bogner, Pappenberger & Cloke, The normal quantile transformation, 2012.
    Ruschendorf, On the distributional transform, 2009 (values that repeat).
    Kotelnikov, Baranchuk, Rubachev & Babenko, TabDDPM: modelling tabular data with diffusion
        models, 2023. arXiv:2209.15421 (quantile transforms of columns for neural generators)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.special import ndtr, ndtri
from torch import Tensor

MAX_DECIMALS = 6
COARSE = 0.01  # of a last decimal, the rounding of the dtype that hides it
MAX_KNOTS = 1_000
REACH = 6.0  # standard deviations, at which the map ends
TAIL = 0.1  # of the data, whose slope goes on beyond them
AT_BOUND, LEAST_AT_BOUND = 0.01, 3  # share and number of rows that make an extreme value a bound


def decimals_of(values: np.ndarray) -> int | None:
    """Return how many decimals values have, None if more than six, or than the dtype holds.

    Example:
        >>> decimals_of(np.array([1.0, 30.0])), decimals_of(np.array([0.25, 3.0]))
        (0, 2)
        >>> decimals_of(np.array([1 / 3])), decimals_of(np.array([0.1, 2.0], dtype=np.float32))
        (None, 1)
    """
    if values.dtype.kind != "f":
        return 0
    wide = values.astype(np.float64)
    rounding = 2 * float(np.finfo(values.dtype).eps) * float(np.abs(wide).max(initial=0.0))
    for decimals in range(MAX_DECIMALS + 1):
        if rounding > COARSE * 10.0**-decimals:
            return None
        if (np.abs(wide - wide.round(decimals)) <= rounding).all():
            return decimals
    return None


@dataclass(frozen=True, eq=False)
class QuantileColumn:
    """A map of one column to numbers that are standard normal in the data, and back.

    Attributes:
        normal: The knots in the normal variable, increasing.
        values: The knots in the column's unit, or its logarithm, not decreasing.
        logarithmic: Whether it is the logarithm.
        decimals: Of values, which are rounded; None for all that the dtype has.
        least: The smallest value that is generated.

    Example:
        >>> column = QuantileColumn.of(np.array([1.0, 2.0, 4.0, 8.0]), decimals=0, positive=True)
        >>> z = column.encode(np.array([1.0, 8.0]), np.random.default_rng(0))
        >>> column.decode(z)
        array([1., 8.])
    """

    normal: np.ndarray
    values: np.ndarray
    logarithmic: bool
    decimals: int | None
    least: float

    width: ClassVar[int] = 1

    @classmethod
    def of(
        cls, data: np.ndarray, *, decimals: int | None, positive: bool = False
    ) -> "QuantileColumn":
        """Return the map of a column's data, which never ends below zero if it is `positive`."""
        data = data.astype(np.float64)
        step = 0.0 if decimals is None else 10.0**-decimals
        levels, counts = np.unique(data, return_counts=True)
        logarithmic = positive and levels[0] > 0
        share, points = _spread(levels, counts, step)
        if logarithmic:
            points = np.log(np.maximum(points, levels[0] / 2))
        if len(levels) == 1:
            share, points = np.array([0.5]), points.mean(keepdims=True)
        many = max(LEAST_AT_BOUND, AT_BOUND * len(data))
        bounds = [bool(count >= many) or len(levels) == 1 for count in counts[[0, -1]]]
        normal, values = _with_tails(ndtri(share), points, bounds)
        least = (step if logarithmic else 0.0) if positive else -np.inf
        return cls(normal, values, bool(logarithmic), decimals, float(least))

    def encode(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return normal numbers, (n, 1), of values, (n,)."""
        y = x.astype(np.float64)
        if self.decimals is not None:
            y = y + 10.0**-self.decimals * (rng.random(len(y)) - 0.5)
        if self.logarithmic:
            y = np.log(np.maximum(y, 0.5 * np.exp(self.values[0])))
        y = y.clip(self.values[0], self.values[-1])
        first = np.searchsorted(self.values, y, "left")
        last = np.searchsorted(self.values, y, "right") - 1
        repeated = last > first
        z = np.interp(y, self.values, self.normal)
        low, high = (ndtr(self.normal[np.minimum(i, len(self.normal) - 1)]) for i in (first, last))
        drawn = ndtri(low + (high - low) * rng.random(len(y)))
        return np.where(repeated, drawn, z).clip(-REACH, REACH)[:, None]

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return values, (n,), of normal numbers, (n, 1)."""
        x = np.interp(z[:, 0], self.normal, self.values)
        x = np.exp(x) if self.logarithmic else x
        x = x if self.decimals is None else x.round(self.decimals) + 0.0  # no -0.0
        return np.maximum(x, self.least)

    def describe(self) -> str:
        """Return its kind and range in the data, in words."""
        low, high = (np.exp(v) if self.logarithmic else v for v in self.values[[1, -2]])
        sign = "positive" if self.least >= 0 else "numeric"
        kind = "whole" if self.decimals == 0 else sign
        return f"{kind}, about {low:.4g} to {high:.4g}"

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec = {
            "logarithmic": self.logarithmic,
            "decimals": self.decimals,
            "positive": self.least >= 0,
        }
        knots = {"normal": torch.from_numpy(self.normal), "values": torch.from_numpy(self.values)}
        return spec, knots | {
            "least": torch.tensor(max(self.least, 0.0), dtype=torch.float64, device="cpu")
        }

    @classmethod
    def _restore(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> "QuantileColumn":
        normal, values, least = (tensors[name] for name in ("normal", "values", "least"))
        if not all(
            t.dtype == torch.float64 and t.isfinite().all() for t in (normal, values, least)
        ):
            raise ValueError("a column's knots are not finite, or of another dtype")
        if normal.ndim != 1 or normal.shape != values.shape or len(normal) < 2 or least.ndim:
            raise ValueError("a column's knots do not fit each other")
        if (normal.diff() <= 0).any() or (values.diff() < 0).any():
            raise ValueError("a column's knots are not in order")
        decimals, signs = spec["decimals"], [spec["logarithmic"], spec["positive"]]
        if not (decimals is None or decimals in range(MAX_DECIMALS + 1)):
            raise ValueError(f"a column has {decimals!r} decimals")
        if not all(isinstance(sign, bool) for sign in signs):
            raise ValueError("a column does not say what it is")
        lower = float(least) if signs[1] else -np.inf
        return cls(normal.numpy(), values.numpy(), signs[0], decimals, lower)


def _spread(levels: np.ndarray, counts: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return shares, each strictly between 0 and 1, and the points that have them."""
    n, total = int(counts.sum()), np.concatenate([[0], np.cumsum(counts)])
    if step:
        within = np.arange(n) - np.repeat(total[:-1], counts)
        cell = (within + 0.5) / np.repeat(counts, counts) - 0.5
        share, points = (np.arange(n) + 0.5) / n, np.repeat(levels, counts) + step * cell
    else:
        single = counts == 1
        edges = np.stack([total[:-1], total[1:]], axis=1) / n
        middle = edges.mean(axis=1)
        pairs = np.where(single[:, None], middle[:, None], edges)
        share = np.concatenate([pairs[i, : 1 if one else 2] for i, one in enumerate(single)])
        points = np.repeat(levels, np.where(single, 1, 2))
        share = share.clip(0.5 / n**2, 1 - 0.5 / n**2)
    if len(share) > MAX_KNOTS:
        spaced = np.linspace(0, len(share) - 1, MAX_KNOTS).round().astype(int)
        flat = np.flatnonzero((np.diff(points) == 0) & (np.diff(share) * MAX_KNOTS >= 1))
        kept = np.union1d(spaced, [flat, flat + 1])
        share, points = share[kept], points[kept]
    return share, points


def _with_tails(
    normal: np.ndarray, values: np.ndarray, bounds: list[bool]
) -> tuple[np.ndarray, np.ndarray]:
    """Return knots with one more at either end, where the map goes on or stays at a bound."""
    inner = np.abs(ndtri(TAIL))
    sides = []
    for sign, end, bound in ((-1, 0, bounds[0]), (1, -1, bounds[1])):
        near = int(np.argmin(np.abs(normal - sign * inner)))
        gap = normal[end] - normal[near]
        slope = 0.0 if bound or gap == 0 else (values[end] - values[near]) / gap
        sides.append(values[end] + slope * (sign * REACH - normal[end]))
    edges = np.array([-REACH]), np.array([REACH])
    return (
        np.concatenate([edges[0], normal, edges[1]]),
        np.concatenate([[sides[0]], values, [sides[1]]]),
    )
