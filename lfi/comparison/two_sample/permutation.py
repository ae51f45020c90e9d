"""Two-sample tests: what they are given, what they return, and the p-value of a permutation.

Under the null hypothesis that a and b have the same distribution, every relabelling of the pooled
sample is as likely as the one observed, so the observed statistic is one of B + 1 equally likely
values. With # relabelled values at least as large as it,

    p = (1 + #) / (1 + B)

is never 0, and P(p <= level) <= level for every level: the test is exact, for any statistic.

References:
    Phipson & Smyth, Permutation P-values Should Never Be Zero, 2010. arXiv:1603.05766
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class TwoSampleTest:
    """The result of a two-sample test.

    Attributes:
        statistic: How far the samples are apart, in the statistic's own units.
        p_value: How often samples of one distribution are at least as far apart.
        n_a: Size of the first sample.
        n_b: Size of the second.
        compared: What was compared, in words.
        permutations: How many relabellings the p-value is made of.
        seed: The seed, the drawn one where none was given.
    """

    statistic: float
    p_value: float
    n_a: int
    n_b: int
    compared: str
    permutations: int
    seed: int


@dataclass(frozen=True, eq=False)
class Pooled:
    """Two samples in one, and who belongs to the first.

    Attributes:
        rows: The points, those of the first sample first, float64, (n + m, d).
        n: Size of the first sample.
        m: Size of the second.
        seed: What the generator started from.
        rng: Where relabellings come from.
    """

    rows: Float[Tensor, "k d"]
    n: int
    m: int
    seed: int
    rng: np.random.Generator

    def relabellings(self, permutations: int) -> Float[Tensor, "k b"]:
        """Return 1 for a point of the first sample, else 0, (n + m, 1 + permutations).

        Column 0 is the truth.
        """
        labels = np.zeros((1 + permutations, self.n + self.m))
        labels[:, : self.n] = 1
        labels[1:] = self.rng.permuted(labels[1:], axis=1)
        return torch.from_numpy(labels).T.contiguous()

    def result(
        self, values: Float[Tensor, " b"], compared: str, slack: float = 0.0
    ) -> TwoSampleTest:
        """Return the test whose statistics are `values`, the observed one first.

        Args:
            values: Of all relabellings.
            compared: What was compared, in words.
            slack: How far apart rounding may bring statistics that are equal.
        """
        observed, permuted = float(values[0]), values[1:]
        return TwoSampleTest(
            statistic=observed,
            p_value=permutation_p_value(observed - slack, permuted),
            n_a=self.n,
            n_b=self.m,
            compared=compared,
            permutations=len(permuted),
            seed=self.seed,
        )


def permutation_p_value(observed: float, permuted: Float[Tensor, " b"]) -> float:
    """Return (1 + #) / (1 + B), # the relabelled values at least as large as the observed one.

    Example:
        >>> permutation_p_value(2.0, torch.tensor([0.5, 1.0, 2.0]))
        0.5
    """
    return (1 + int((permuted >= observed).sum())) / (1 + len(permuted))


def pool(
    a: Tensor | np.ndarray, b: Tensor | np.ndarray, *, standardise: bool, seed: int | None
) -> Pooled:
    """Return two samples of any events in one, flattened and centred.

    Args:
        a: The first sample, (n, *event).
        b: The second sample, (m, *event).
        standardise: Whether to divide every coordinate by its deviation in the pooled sample.
        seed: Of the relabellings; None takes fresh entropy.

    Raises:
        ValueError: If the samples' events differ, are not finite or are fewer than two.

    Example:
        >>> pool(np.zeros((3, 2)), np.ones((2, 2)), standardise=True, seed=1).rows.shape
        torch.Size([5, 2])
    """
    a, b = two_rows(a, b, 2)
    rows = np.concatenate([a, b]).reshape(len(a) + len(b), -1)
    rows = rows - rows.mean(axis=0)
    if standardise:
        scale = rows.std(axis=0)
        rows = rows / np.where(scale > 0, scale, 1)
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    return Pooled(torch.from_numpy(rows), len(a), len(b), seed, np.random.default_rng(seed))


def two_rows(
    a: Tensor | np.ndarray, b: Tensor | np.ndarray, least: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return two samples of the same events as arrays of float64, (n, *event) and (m, *event).

    Raises:
        ValueError: If the events differ, a sample is not finite, has no events, or fewer than
            `least`.
    """
    a, b = as_rows("a", a, least), as_rows("b", b, least)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"a and b must have equal events, got {a.shape[1:]} and {b.shape[1:]}")
    return a, b


def as_rows(name: str, sample: Tensor | np.ndarray, least: int) -> np.ndarray:
    """Return a sample as an array of float64, (n, *event).

    Raises:
        ValueError: If it is not finite, has no events, or fewer than `least`.
    """
    rows = sample.detach().cpu().numpy() if isinstance(sample, Tensor) else np.asarray(sample)
    rows = rows.astype(np.float64)
    if rows.ndim < 2 or rows[:1].size == 0:
        raise ValueError(f"{name} must have shape (n, *event) with n > 0, got {rows.shape}")
    if len(rows) < least:
        raise ValueError(f"{name} must have at least {least} samples, got {len(rows)}")
    if not np.isfinite(rows).all():
        bad = np.count_nonzero(~np.isfinite(rows.reshape(len(rows), -1)).all(axis=1))
        raise ValueError(f"{name} must be finite, got {bad} of {len(rows)} samples that are not")
    return rows
