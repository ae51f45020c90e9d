"""Permutation tests of two samples: relabellings, p-values and results.

If p and q have the same distribution, every relabelling of the pooled sample is as likely as the
one observed. With # of B relabelled values of any statistic at least as large as the observed one,

    p = (1 + #) / (1 + B)

is never 0, and P(p <= level) <= level for every level: the test is exact.

It is as exact where whole groups of points are relabelled, of one size and drawn at random from
either sample, and where points that are left over keep their labels: those relabellings are a group
of permutations too. Sums over pairs of groups then serve all of them. Little power is lost: pairs
of one group always stay together, at most one in 64 of the smaller sample's, and of a much larger
sample no more groups are relabelled than there is room for.

References:
    Phipson & Smyth, Permutation P-values Should Never Be Zero, 2010. arXiv:1603.05766
    Domingo-Enrich, Dwivedi & Mackey, Cheap Permutation Testing, 2025. arXiv:2502.07672
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arrays import Samples, as_two_samples
from lfi.numerics.data_frames import frames_as_numbers
from lfi.runtime import Described, fresh

MAX_GROUPS = 512  # that are relabelled
MIN_GROUPS = 64  # of the smaller sample, where it has as many points


@dataclass(frozen=True, repr=False)
class TwoSampleTest(Described):
    """The result of a two-sample test.

    The statistic, in its own units, is larger for samples further apart; `n_p` and `n_q` are their
    sizes. `compared` says in words what was compared; `permutations` is the number of relabellings,
    `seed` the one drawn where none was given.
    """

    statistic: float
    p_value: float
    n_p: int
    n_q: int
    compared: str
    permutations: int
    seed: int

    def describe(self) -> str:
        """Return the p-value, the statistic and what they rest on."""
        return (
            f"p-value {self.p_value:.3g}, statistic {self.statistic:.4g} ({self.compared})\n"
            f"{self.n_p:,} against {self.n_q:,} samples, {self.permutations:,} relabellings, "
            f"seed {self.seed}"
        )


@dataclass(frozen=True, eq=False)
class Pooled:
    """Two samples of n and m points in one, the first sample first, and relabellings of it."""

    rows: Float[Tensor, "k d"]
    n: int
    m: int
    seed: int
    rng: np.random.Generator

    def relabellings(self, permutations: int) -> Float[Tensor, "k b"]:
        """Return 1 for a point of the first sample, else 0; column 0 is the truth."""
        return _relabelled(self.n, self.m, permutations, self.rng)

    def grouped(self, permutations: int) -> "Groups":
        """Return groups of points and relabellings of them; of few points, each is a group."""
        few = min(self.n, self.m)
        size = max(1, min(math.ceil((self.n + self.m) / MAX_GROUPS), few // MIN_GROUPS))
        least = few // size
        counts = [min(k // size, max(MAX_GROUPS - least, least)) for k in (self.n, self.m)]
        left = [k - count * size for k, count in zip((self.n, self.m), counts, strict=True)]
        labels = _relabelled(counts[0], counts[1], permutations, self.rng)
        if size == 1 and not any(left):
            return Groups(self.rows, self.n, ((sum(counts), 1),), labels)
        order = [self.rng.permutation(self.n), self.n + self.rng.permutation(self.m)]
        ones = torch.ones_like(labels[:1])
        own = [labels[: counts[0]], ones, labels[counts[0] :], 0 * ones]
        parts = [(counts[0], size), (1, left[0]), (counts[1], size), (1, left[1])]
        there = [i for i, (_, points) in enumerate(parts) if points]
        return Groups(
            self.rows[np.concatenate(order)],
            self.n,
            tuple(parts[i] for i in there),
            torch.cat([own[i] for i in there]),
        )

    def result(
        self, values: Float[Tensor, " b"], compared: str, tolerance: float = 0.0
    ) -> TwoSampleTest:
        """Return the test of `values`, the observed first; within `tolerance` they are equal."""
        observed, permuted = float(values[0]), values[1:]
        return TwoSampleTest(
            statistic=observed,
            p_value=permutation_p_value(observed - tolerance, permuted),
            n_p=self.n,
            n_q=self.m,
            compared=compared,
            permutations=len(permuted),
            seed=self.seed,
        )


@dataclass(frozen=True, eq=False)
class Groups:
    """Two pooled samples in groups of points that have one label.

    Attributes:
        rows: The points, those of a group beside each other, the first sample's n first.
        n: The size of the first sample.
        parts: How many groups of how many points follow each other.
        labels: 1 for a group of the first sample, else 0; column 0 is the truth.
    """

    rows: Float[Tensor, "k d"]
    n: int
    parts: tuple[tuple[int, int], ...]
    labels: Float[Tensor, "g b"]

    def spans(self, side: int) -> Iterator["Span"]:
        """Cut the points into spans of at most `side`, of whole groups where these are smaller."""
        point = group = 0
        for count, size in self.parts:
            together = max(1, side // size)
            for first in range(0, count, together):
                groups = min(together, count - first)
                for begin in range(0, groups * size, side):
                    points = min(side, groups * size - begin)
                    yield Span(
                        slice(point + begin, point + begin + points),
                        slice(group, group + groups),
                        points // groups,
                    )
                point, group = point + groups * size, group + groups


@dataclass(frozen=True)
class Span:
    """Points that follow each other: groups, each of `size` points, or a part of one group."""

    points: slice
    groups: slice
    size: int

    def added(self, values: Float[Tensor, "..."], dim: int) -> Float[Tensor, "..."]:
        """Return sums over each group's points, which an axis of `values` runs over."""
        if self.size == 1:
            return values
        return values.unflatten(dim, (-1, self.size)).sum(dim + 1)


def _relabelled(
    n: int, m: int, permutations: int, rng: np.random.Generator
) -> Float[Tensor, "k b"]:
    """Return the labels of n of the first and m of the second sample, and permuted ones."""
    labels = np.zeros((1 + permutations, n + m))
    labels[:, :n] = 1
    labels[1:] = rng.permuted(labels[1:], axis=1)
    return torch.from_numpy(labels).T.contiguous()


def permutation_p_value(observed: float, permuted: Float[Tensor, " b"]) -> float:
    """Return (1 + #) / (1 + B), # the relabelled values at least as large as the observed one."""
    return (1 + int((permuted >= observed).sum())) / (1 + len(permuted))


def sizes(rows: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return a power of two of each column's order: divided by it, none overflows when squared.

    It takes no rounding, so that columns of ordinary size are compared as they would be without.
    """
    _, exponent = np.frexp(rows.abs().amax(dim=0).numpy())
    return torch.from_numpy(np.ldexp(1.0, exponent - 1))


def pool(p: Samples, q: Samples, *, standardise: bool, seed: int | None) -> Pooled:
    """Return two samples of any events in one, flattened, centred and, if asked, standardised."""
    p, q = flat_samples(p, q, min_rows=2)
    rows = torch.cat([p, q])
    if standardise:
        rows = rows / sizes(rows)
    rows = rows - rows.mean(dim=0)
    if standardise:
        scale = rows.std(dim=0, correction=0)
        rows = rows / torch.where(scale > 0, scale, 1)
    seed = fresh(seed)
    return Pooled(rows, len(p), len(q), seed, np.random.default_rng(seed))


def flat_samples(
    p: Samples, q: Samples, *, min_rows: int
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]:
    """Return two samples of the same events as flat rows of float64 on the CPU, as checked."""
    names = ("p", "q")
    p, q = as_two_samples(*frames_as_numbers((p, q), names), min_rows=min_rows, names=names)
    if p[0].numel() == 0:
        raise ValueError(f"p and q must have events with entries, got shape {tuple(p.shape)}")
    p, q = (x.detach().cpu().double().reshape(len(x), -1) for x in (p, q))
    return p, q
