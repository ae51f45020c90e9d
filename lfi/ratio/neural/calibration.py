"""Calibration of critics: maps of their values to log ratios, fitted to held-out samples.

A classifier that ranks well may still be too sure of itself. The log ratio of the densities of its
value h under p and q is the one it should have given: a map of one number to one number,

    Affine      h' = a h + c                                            Platt
    Beta        h' = a log s(h) - b log s(-h) + c,   s the sigmoid      slopes b above and a below
    Isotonic    any non-decreasing h'

All are fitted to the log-loss with both samples weighing the same, so h' is a log ratio whatever
the sizes of the samples. They cannot separate what the critic gives the same value.

References:
    Platt, Probabilistic outputs for support vector machines, 1999.
    Zadrozny & Elkan, Transforming classifier scores into accurate probability estimates, 2002.
    Cranmer, Pavez & Louppe, Approximating likelihood ratios with calibrated discriminative
        classifiers, 2015. arXiv:1506.02169
    Kull, Silva Filho & Flach, Beta calibration, 2017.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lfi.training import minimise_in_bounds


@runtime_checkable
class Calibrated(Protocol):
    """A fitted map of critic values to log ratios."""

    def __call__(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log ratio that a value of h means."""
        ...

    def _spec(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        ...


@runtime_checkable
class Calibration(Protocol):
    """A way to calibrate."""

    def fit(self, h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]) -> Calibrated:
        """Return the map, from a critic's values at samples of p and of q it was not fitted to."""
        ...


@dataclass(frozen=True)
class SigmoidCurve:
    """h' = a log s(h) - b log s(-h) + c: a line where a = b, else curved around zero."""

    a: float  # the slope far below zero
    b: float  # the slope far above zero
    c: float

    def __call__(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log ratio that a value of h means."""
        return self.a * F.logsigmoid(h) - self.b * F.logsigmoid(-h) + self.c

    def _spec(self) -> dict[str, Any]:
        return {"curve": [self.a, self.b, self.c]}


@dataclass(frozen=True)
class PiecewiseLinear:
    """Straight lines between points that rise, and of slope 1 beyond them."""

    h: tuple[float, ...]  # increasing
    value: tuple[float, ...]  # non-decreasing

    def __call__(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the log ratio that a value of h means."""
        knots, values = h.new_tensor(self.h), h.new_tensor(self.value)
        inside = h.clamp(self.h[0], self.h[-1])
        beyond = h - inside
        if len(knots) == 1:
            return values[0] + beyond
        right = torch.searchsorted(knots, inside).clamp(1, len(knots) - 1)
        share = (inside - knots[right - 1]) / (knots[right] - knots[right - 1])
        return torch.lerp(values[right - 1], values[right], share) + beyond

    def _spec(self) -> dict[str, Any]:
        return {"stairs": [list(self.h), list(self.value)]}


def restore_calibrated(spec: Mapping[str, Any]) -> Calibrated:
    """Return the map that `_spec` has described."""
    if "curve" in spec:
        return SigmoidCurve(*spec["curve"])
    h, value = spec["stairs"]
    return PiecewiseLinear(tuple(h), tuple(value))


@dataclass(frozen=True)
class Affine:
    """h' = a h + c, a >= 0: Platt's scaling, right where confidence is off by a factor.

    Example:
        >>> h = torch.linspace(-3, 3, 1001)
        >>> p, q = (torch.sigmoid(sign * h) for sign in (1, -1))  # h is log p/q
        >>> h_p, h_q = (h[torch.multinomial(w, 10_000, replacement=True)] for w in (p, q))
        >>> curve = Affine().fit(2 * h_p, 2 * h_q)  # twice too sure
        >>> abs(curve.a - 0.5) < 0.05
        True
    """

    def fit(self, h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]) -> SigmoidCurve:
        """Return the map."""
        a, c = _logistic([lambda h: h], h_p, h_q)
        return SigmoidCurve(a, a, c)


@dataclass(frozen=True)
class Beta:
    """h' = a log s(h) - b log s(-h) + c, a, b >= 0: confidence may be off by two factors."""

    def fit(self, h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]) -> SigmoidCurve:
        """Return the map."""
        return SigmoidCurve(*_logistic([F.logsigmoid, lambda h: -F.logsigmoid(-h)], h_p, h_q))


@dataclass(frozen=True)
class Isotonic:
    """Any non-decreasing h', by pooling adjacent violators.

    Between the pools' places, the means of h in them, their log ratios are interpolated. A pool at
    an end that holds one sample only would have an infinite one, and is joined with its neighbour.
    """

    def fit(self, h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]) -> PiecewiseLinear:
        """Return the map."""
        from sklearn.isotonic import isotonic_regression

        h = torch.cat([h_p, h_q]).double().numpy()
        is_p = np.arange(len(h)) < len(h_p)
        places, row = np.unique(h, return_inverse=True)  # equal values stay together
        p, q = np.bincount(row, is_p / len(h_p)), np.bincount(row, ~is_p / len(h_q))
        share = isotonic_regression(p / (p + q), sample_weight=p + q)
        pool = np.concatenate([[0], np.cumsum(np.diff(share) > 0)])
        p_of, q_of = np.bincount(pool, p), np.bincount(pool, q)
        first, last = (int(np.flatnonzero(side)[i]) for side, i in ((p_of, 0), (q_of, -1)))
        pool = pool.clip(first, last) - first if first < last else np.zeros_like(pool)
        p_of, q_of = np.bincount(pool, p), np.bincount(pool, q)
        centre = np.bincount(pool, (p + q) * places) / (p_of + q_of)
        return PiecewiseLinear(tuple(centre.tolist()), tuple(np.log(p_of / q_of).tolist()))


def _logistic(
    terms: Sequence[Callable[[Tensor], Tensor]], h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]
) -> tuple[float, ...]:
    """Return non-negative factors of the terms, and an offset, of the lowest balanced log-loss.

    Platt's targets, (n + 1)/(n + 2) and 1/(m + 2), keep the optimum finite for separable samples.
    """
    sides = [
        torch.stack([*(term(h.double()) for term in terms), torch.ones_like(h.double())])
        for h in (h_p, h_q)
    ]
    of_p, of_q = (1 / (len(h) + 2) for h in (h_p, h_q))

    def risk(w: Float[Tensor, " k"]) -> Float[Tensor, ""]:
        g_p, g_q = (w @ side for side in sides)
        return (F.softplus(-g_p) + of_p * g_p).mean() + (F.softplus(g_q) - of_q * g_q).mean()

    k = len(terms)
    found = minimise_in_bounds(risk, [1.0] * k + [0.0], [(0.0, None)] * k + [(None, None)])
    return tuple(found.tolist())
