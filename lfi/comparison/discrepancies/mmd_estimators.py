"""Estimators of a kernel's discrepancy from two samples.

    MMD^2 = E k(x, x') - 2 E k(x, y) + E k(y, y'),        x, x' ~ p and y, y' ~ q independent,

and k(x, y) = -|x - y| gives the energy distance. From samples x_i, y_j with weights that sum to 1:

    Biased      sum_ij w_i w_j k(x_i, x_j) - ...    V-statistic: never negative, zero if x = y;
                                                    in excess by about (k(x, x) - E k)(1/n + 1/m)
    Unbiased    sums over i != j, divided by        U-statistic: unbiased, and so is its gradient;
                1 - sum_i w_i^2                     negative about half of the time where p = q
    Block       the U-statistic in blocks of both   unbiased, O(n^1.5), noisier

The first two cost O((n + m)^2) kernel values, taken in tiles that a gradient computes a second
time, so that memory grows as n + m.

Reference: Zaremba, Gretton & Blaschko, B-tests, 2013. arXiv:1307.1954
"""

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.chunked_sums import summed
from lfi.comparison.kernels.stationary import Kernel, Weight
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_whole
from lfi.numerics.weighted_samples import as_batches, probabilities

MAX_ENTRIES = 2**20  # 8 MB in float64, of which a few copies are made
Rows = list[tuple[Tensor, Tensor]]  # points, and their weights


@runtime_checkable
class Estimator(Protocol):
    """How the three expectations are estimated."""

    def __call__(
        self,
        kernel: Kernel,
        x: Float[Tensor, "*b n d"],
        y: Float[Tensor, "*c m d"],
        weight_p: Float[Tensor, "*b n"] | None,
        weight_q: Float[Tensor, "*c m"] | None,
    ) -> Float[Tensor, "*bc"]:
        """Return the estimate; weights need not sum to 1."""
        ...


@dataclass(frozen=True)
class AllPairs(ABC):
    """An estimator from every pair of points; `max_entries` kernel values are held at once."""

    max_entries: int = field(default=MAX_ENTRIES, repr=False, kw_only=True)

    signed: ClassVar[bool] = False  # whether weights may be negative

    def __post_init__(self) -> None:
        check_whole("max_entries", self.max_entries)

    @abstractmethod
    def within(self, name: str, total: Tensor, diagonal: Tensor | float, squares: Tensor) -> Tensor:
        """Return the estimate of E k(x, x').

        With weights that sum to 1, from the `total` sum_ij w_i w_j k(x_i, x_j), the `diagonal`
        sum_i w_i^2 k(x_i, x_i), and the `squares` sum_i w_i^2; `name` is the sample's.
        """

    def __call__(
        self, kernel: Kernel, x: Tensor, y: Tensor, weight_p: Weight = None, weight_q: Weight = None
    ) -> Float[Tensor, "*bc"]:
        """Return the estimate from every pair, in memory that grows as n + m."""
        return self._estimate(kernel, x, y, weight_p, weight_q, with_p=True)

    def of_q(
        self, kernel: Kernel, x: Tensor, y: Tensor, weight_p: Weight = None, weight_q: Weight = None
    ) -> Float[Tensor, "*bc"]:
        """Return the estimate less its term of x alone, which no change of y moves."""
        return self._estimate(kernel, x, y, weight_p, weight_q, with_p=False)

    def _estimate(
        self, kernel: Kernel, x: Tensor, y: Tensor, weight_p: Weight, weight_q: Weight, with_p: bool
    ) -> Float[Tensor, "*bc"]:
        w = probabilities("weight_p", x, weight_p, signed=self.signed)
        v = probabilities("weight_q", y, weight_q, signed=self.signed)
        lead, closed = _probe(kernel, x, y)
        rows, columns = self._cut(x, w, lead), self._cut(y, v, lead)
        own = w.new_zeros((), dtype=torch.float64)
        if with_p:
            total_x, diagonal_x = _total(kernel, rows, closed)
            own = self.within("p", total_x, diagonal_x, w.double().square().sum(dim=-1))
        total_y, diagonal_y = _total(kernel, columns, closed)
        across = _across(kernel, rows, columns, closed)
        within_y = self.within("q", total_y, diagonal_y, v.double().square().sum(dim=-1))
        return (own - 2 * across + within_y).to(x.dtype)

    def _cut(self, sample: Tensor, weight: Tensor, lead: torch.Size) -> Rows:
        """Return rows and their weights, so many that two such make a tile."""
        side = max(16, math.isqrt(self.max_entries // max(1, math.prod(lead))))
        return list(zip(sample.split(side, dim=-2), weight.split(side, dim=-1), strict=True))


@checked
@dataclass(frozen=True)
class Biased(AllPairs):
    """The V-statistic: all pairs, a point with itself too. Never negative.

    Weights may be: of a signed measure, as quadrature has them (`OptimalWeights`).
    """

    signed: ClassVar[bool] = True

    def within(self, name: str, total: Tensor, diagonal: Tensor | float, squares: Tensor) -> Tensor:
        """Return the sum over all pairs."""
        return total


@checked
@dataclass(frozen=True)
class Unbiased(AllPairs):
    """The U-statistic: all pairs of different points. On average right, and negative at times.

    Weights are importance weights, whose self-normalised estimate this is, rather than counts: a
    row that was repeated meets itself, one of weight 2 does not.
    """

    def within(self, name: str, total: Tensor, diagonal: Tensor | float, squares: Tensor) -> Tensor:
        """Return the mean over pairs of different points."""
        if (squares > 1 - 1e-12).any():
            raise ValueError(f"{name} must have two points of positive weight, got one")
        return (total - diagonal) / (1 - squares)


@checked
@dataclass(frozen=True)
class Block:
    """The mean of the U-statistics of disjoint blocks.

    Neighbours make the blocks, so the samples must stand in random order. Both are cut into equally
    many blocks of equal lengths, as many as have `size` rows of the shorter sample; fewer rows of
    either than there are blocks are left over and not used. Takes no weights.

    Attributes:
        size: The fewest rows of a block; the square root of the shorter sample's by default.
        max_entries: Kernel values held at once.
    """

    size: int | None = None
    max_entries: int = field(default=MAX_ENTRIES, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_whole("size", self.size, minimum=2, optional=True)
        check_whole("max_entries", self.max_entries)

    def __call__(
        self, kernel: Kernel, x: Tensor, y: Tensor, weight_p: Weight = None, weight_q: Weight = None
    ) -> Float[Tensor, "*bc"]:
        """Return the estimate, in memory that grows as n + m."""
        if weight_p is not None or weight_q is not None:
            raise ValueError("Block takes no weights; use Unbiased or Biased, or resample")
        n, m = x.shape[-2], y.shape[-2]
        size = max(2, math.isqrt(min(n, m))) if self.size is None else self.size
        count = min(n, m) // size
        if count == 0:
            raise ValueError(
                f"p and q are too short, got {n} and {m} points; a block has {size} of each"
            )
        lead, closed = _probe(kernel, x, y)
        blocks = _blocks(x, count, n // count, lead), _blocks(y, count, m // count, lead)
        at_once = max(1, self.max_entries // (math.prod(lead) * (n // count) * (m // count)))
        first, second = (side.split(at_once) for side in blocks)
        parts = [(i, len(first) + i) for i in range(len(first))]
        block_sum = partial(_block_sum, kernel)
        return summed(block_sum, (*first, *second), parts, closed=closed) / count


def mean_difference(
    kernel: Kernel,
    at: Float[Tensor, "*a k d"],
    x: Float[Tensor, "*b n d"],
    y: Float[Tensor, "*c m d"],
) -> Float[Tensor, "*abc k"]:
    """Return the mean of k(at, x_i) less that of k(at, y_j), at each point."""
    as_batches(x, y)
    as_batches(at, y)
    return kernel(at, x).mean(dim=-1) - kernel(at, y).mean(dim=-1)


def _block_sum(kernel: Kernel, x: Float[Tensor, "k ..."], y: Float[Tensor, "k ..."]) -> Tensor:
    """Return the sum of the U-statistics of k blocks, (k, *bc, n, d) and (k, *bc, m, d)."""
    value = -2 * kernel(x, y).mean(dim=(-2, -1))
    for side in (x, y):
        matrix = kernel(side, side)
        n = side.shape[-2]
        off = matrix.sum(dim=(-2, -1)) - matrix.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
        value = value + off / (n * (n - 1))
    return value.sum(dim=0)


def _blocks(
    sample: Float[Tensor, "*b n d"], count: int, size: int, lead: torch.Size
) -> Float[Tensor, "count ... size d"]:
    """Return disjoint blocks of neighbouring rows, in front of the leading dimensions."""
    rows = sample[..., : count * size, :].unflatten(-2, (count, size))
    return rows.expand(*lead, *rows.shape[-3:]).movedim(-3, 0)


def _probe(kernel: Kernel, x: Tensor, y: Tensor) -> tuple[torch.Size, bool]:
    """Return the leading dimensions of the result, and whether only points take gradients."""
    value = kernel(x[..., :1, :].detach(), y[..., :1, :].detach())
    return value.shape[:-2], not value.requires_grad


def _across(kernel: Kernel, rows: Rows, columns: Rows, closed: bool) -> Float[Tensor, "..."]:
    """Return sum_ij w_i v_j k(x_i, y_j) in float64."""
    tensors = list(itertools.chain(*rows, *columns))
    places = range(0, 2 * len(rows), 2), range(2 * len(rows), len(tensors), 2)
    parts = [(i, i + 1, j, j + 1) for i, j in itertools.product(*places)]
    return summed(partial(_tile, kernel), tensors, parts, closed=closed)


def _total(kernel: Kernel, rows: Rows, closed: bool) -> tuple[Tensor, Tensor]:
    """Return sum_ij w_i w_j k(x_i, x_j) and sum_i w_i^2 k(x_i, x_i) in float64."""
    tensors = list(itertools.chain(*rows))
    places = range(0, len(tensors), 2)
    own = [(i, i + 1) for i in places]
    total, diagonal = summed(partial(_own_tile, kernel), tensors, own, closed=closed)
    if len(rows) == 1:
        return total, diagonal
    pairs = [(i, i + 1, j, j + 1) for i, j in itertools.combinations(places, 2)]
    return total + 2 * summed(partial(_tile, kernel), tensors, pairs, closed=closed), diagonal


def _tile(kernel: Kernel, x: Tensor, w: Tensor, y: Tensor, v: Tensor) -> Tensor:
    return _weighted(kernel(x, y), w, v)


def _own_tile(kernel: Kernel, x: Tensor, w: Tensor) -> Tensor:
    matrix = kernel(x, x)
    diagonal = matrix.diagonal(dim1=-2, dim2=-1) * w.square()
    return torch.stack([_weighted(matrix, w, w), diagonal.sum(dim=-1).double()])


def _weighted(matrix: Tensor, w: Tensor, v: Tensor) -> Tensor:
    return ((matrix @ v[..., None])[..., 0] * w).sum(dim=-1).double()
