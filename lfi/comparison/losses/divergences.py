"""Named f-divergences: each is one convex f, as two functions of h = log r.

    name                f(u)                           slope                   conjugate
    Bernoulli           u log u - (1+u) log(1+u)       -softplus(-h)           softplus(h)
    Brier               -u/(1+u)                       -sigmoid(-h)^2          sigmoid(h)^2
    Exponential         -2 sqrt(u)                     -exp(-h/2)              exp(h/2)
    Spherical           sqrt(1+u^2)                    exp(-softplus(-2h)/2)   -exp(-softplus(2h)/2)
    KL                  u log u                        1+h                     exp(h)
    ReverseKL           -log u                         -exp(-h)                h-1
    PearsonChiSquared   (u-1)^2                        2 expm1(h)              expm1(2h)
    NeymanChiSquared    (1-u)^2/u                      -expm1(-2h)             -2 expm1(-h)
    SquaredHellinger    (sqrt(u)-1)^2                  -expm1(-h/2)            expm1(h/2)
    JensenShannon       u log u - (1+u) log((1+u)/2)   log 2 - softplus(-h)    softplus(h) - log 2
    Jeffreys            (u-1) log u                    h - expm1(-h)           expm1(h) + h
    Triangular          (u-1)^2/(u+1)                  1 - 4 sigmoid(-h)^2     4 sigmoid(h)^2 - 1
    AlphaDivergence(a)  (u^a - a u + a - 1)/(a(a-1))   expm1((a-1)h)/(a-1)     expm1(a h)/a
    PowerDivergence(b)  (u^(1+b) - (1+b)u + b)/b       (1+b)/b expm1(b h)      expm1((1+b)h)
    NonSaturating       (1+u) log(1+1/u)               softplus(-h) - exp(-h)  -softplus(-h) - 1
    TotalVariation      abs(u-1)/2                     sign(h)/2               sign(h)/2

Affine terms of f change no minimiser: JensenShannon is Bernoulli, SquaredHellinger Exponential and
Triangular four times Brier, less the tangent at u = 1.

References:
    Mohamed & Lakshminarayanan, Learning in Implicit Generative Models, 2016. arXiv:1610.03483
    Basu, Harris, Hjort & Jones, Robust estimation by minimising a density power divergence, 1998.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence, exp, expm1, limit, sign
from lfi.comparison.types import Recovers
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number, check_positive

LOG_2 = math.log(2)


@dataclass(frozen=True)
class Bernoulli(Divergence):
    """Cross-entropy of a classifier: f(u) = u log u - (1+u) log(1+u)."""

    def _slope(self, h: Tensor) -> Tensor:
        return -F.softplus(-h)

    def _conjugate(self, h: Tensor) -> Tensor:
        return F.softplus(h)


@dataclass(frozen=True)
class Brier(Divergence):
    """Squared error of a classifier: f(u) = -u/(1+u)."""

    def _slope(self, h: Tensor) -> Tensor:
        return -torch.exp(-2 * F.softplus(h))  # a sigmoid's own gradient dies at 17 in float32

    def _conjugate(self, h: Tensor) -> Tensor:
        return torch.exp(-2 * F.softplus(-h))


@dataclass(frozen=True)
class Exponential(Divergence):
    """Exponential loss of boosting: f(u) = -2 sqrt(u)."""

    def _slope(self, h: Tensor) -> Tensor:
        return -exp(h, -0.5)

    def _conjugate(self, h: Tensor) -> Tensor:
        return exp(h, 0.5)


@dataclass(frozen=True)
class Spherical(Divergence):
    """Spherical score: f(u) = sqrt(1+u^2)."""

    def _slope(self, h: Tensor) -> Tensor:
        return torch.exp(-F.softplus(-2 * h) / 2)

    def _conjugate(self, h: Tensor) -> Tensor:
        return -torch.exp(-F.softplus(2 * h) / 2)


@dataclass(frozen=True)
class KL(Divergence):
    """Kullback-Leibler divergence of q from p, KL(p || q), unnormalised: f(u) = u log u."""

    def _slope(self, h: Tensor) -> Tensor:
        return 1 + h

    def _conjugate(self, h: Tensor) -> Tensor:
        return exp(h)


@dataclass(frozen=True)
class ReverseKL(Divergence):
    """KL(q || p), as a variational approximation minimises: f(u) = -log u."""

    def _slope(self, h: Tensor) -> Tensor:
        return -exp(h, -1.0)

    def _conjugate(self, h: Tensor) -> Tensor:
        return h - 1


@dataclass(frozen=True)
class PearsonChiSquared(Divergence):
    """Least squares of the ratio under q: f(u) = (u-1)^2."""

    def _slope(self, h: Tensor) -> Tensor:
        return 2 * expm1(h)

    def _conjugate(self, h: Tensor) -> Tensor:
        return expm1(h, 2.0)


@dataclass(frozen=True)
class NeymanChiSquared(Divergence):
    """Least squares of 1/r under p: f(u) = (1-u)^2/u."""

    def _slope(self, h: Tensor) -> Tensor:
        return -expm1(h, -2.0)

    def _conjugate(self, h: Tensor) -> Tensor:
        return -2 * expm1(h, -1.0)


@dataclass(frozen=True)
class SquaredHellinger(Divergence):
    """Exponential, less its tangent at 1: f(u) = (sqrt(u)-1)^2."""

    def _slope(self, h: Tensor) -> Tensor:
        return -expm1(h, -0.5)

    def _conjugate(self, h: Tensor) -> Tensor:
        return expm1(h, 0.5)


@dataclass(frozen=True)
class JensenShannon(Divergence):
    """Bernoulli, less its tangent at 1; twice JS: f(u) = u log u - (1+u) log((1+u)/2)."""

    def _slope(self, h: Tensor) -> Tensor:
        return LOG_2 + Bernoulli().slope(h)

    def _conjugate(self, h: Tensor) -> Tensor:
        return Bernoulli().conjugate(h) - LOG_2


@dataclass(frozen=True)
class Jeffreys(Divergence):
    """KL(p || q) + KL(q || p): f(u) = (u-1) log u."""

    def _slope(self, h: Tensor) -> Tensor:
        return h - expm1(h, -1.0)

    def _conjugate(self, h: Tensor) -> Tensor:
        return expm1(h) + h


@dataclass(frozen=True)
class Triangular(Divergence):
    """Four times Brier, less its tangent at 1: f(u) = (u-1)^2/(u+1)."""

    def _slope(self, h: Tensor) -> Tensor:
        return 1 + 4 * Brier().slope(h)

    def _conjugate(self, h: Tensor) -> Tensor:
        return 4 * Brier().conjugate(h) - 1


@checked
@dataclass(frozen=True)
class AlphaDivergence(Divergence):
    """From reverse KL (a to 0) over Hellinger (1/2) and KL (a to 1) to Pearson (2).

    f(u) = (u^a - a u + a - 1)/(a(a-1)).

    Attributes:
        a: Any number but 0 and 1; larger ones mind more where p is missed by q.

    Raises:
        ValueError: If a is 0, 1 or not finite.
    """

    a: float

    def __post_init__(self) -> None:
        check_number("a", self.a)
        if self.a in (0, 1):
            raise ValueError(f"a must be neither 0 (use ReverseKL) nor 1 (use KL), got {self.a}")

    def _slope(self, h: Tensor) -> Tensor:
        return expm1(h, self.a - 1, limit(self.a, self.a - 1)) / (self.a - 1)

    def _conjugate(self, h: Tensor) -> Tensor:
        return expm1(h, self.a, limit(self.a, self.a - 1)) / self.a


@checked
@dataclass(frozen=True)
class PowerDivergence(Divergence):
    """Basu's robust family, from KL (b to 0) to Pearson (1): f(u) = (u^(1+b) - (1+b)u + b)/b.

    As a loss of ratios it is 1+b times AlphaDivergence(1+b).

    Attributes:
        b: A positive number.

    Raises:
        ValueError: If b is not positive and finite.
    """

    b: float

    def __post_init__(self) -> None:
        check_positive("b", self.b)  # KL is the limit at 0

    def _slope(self, h: Tensor) -> Tensor:
        return (1 + self.b) / self.b * expm1(h, self.b, limit(1 + self.b))

    def _conjugate(self, h: Tensor) -> Tensor:
        return expm1(h, 1 + self.b, limit(1 + self.b))


@dataclass(frozen=True)
class NonSaturating(Divergence):
    """The usual loss of a GAN's generator, softplus(-h) + 1: f(u) = (1+u) log(1+1/u)."""

    def _slope(self, h: Tensor) -> Tensor:
        return F.softplus(-h) - exp(h, -1.0)

    def _conjugate(self, h: Tensor) -> Tensor:
        return -F.softplus(-h) - 1


@dataclass(frozen=True)
class TotalVariation(Divergence):
    """Total variation, a value only: f(u) = abs(u-1)/2.

    Its functions are flat, so they are detached: training on them fails at once.
    """

    recovers = Recovers.SIGN

    def _slope(self, h: Tensor) -> Tensor:
        return sign(h) / 2

    def _conjugate(self, h: Tensor) -> Tensor:
        return sign(h) / 2


LSIF = PearsonChiSquared
KLIEP = KL
