"""Divergences of mixtures of both samples, by which a steep loss of a far ratio can be trained.

With p' = (1-b) p + b q and q' = (1-a) q + a p, the ratio between them,

    r' = p'/q' = ((1-b) r + b) / ((1-a) + a r),        b/(1-a) <= r' <= (1-b)/a,

is bounded and grows with r, so that a critic h of r is one of r' too. A divergence between p' and
q' is again an f-divergence between p and q, of g(u) = ((1-a) + a u) f(r'(u)), and its best critic
is the same log r; but its loss, of bounded values, has a bounded variance. Least squares of the
ratio with b = 0 is RuLSIF; with a = 1/2 it is Brier's score.

References:
    Yamada et al., Relative density-ratio estimation for robust distribution comparison, 2013.
        arXiv:1106.4729
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence, exp
from lfi.comparison.types import Recovers
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number

PROBE = 20.0  # |h| at which a loss is asked whether it is steep
STEEP = 10.0  # a slope in h beyond which it is


@checked
@dataclass(frozen=True)
class Relative(Divergence):
    """A divergence between mixtures of p and q, as a loss of log p/q.

    Attributes:
        divergence: What is taken between the mixtures.
        a: The share of p in the denominator, in [0, 1).
        b: The share of q in the numerator, in [0, 1).

    Raises:
        TypeError: If the divergence is something else.
        ValueError: If a share is not in [0, 1), or both sum to 1 or more: then there is no ratio.

    Example:
        >>> from lfi.comparison import LSIF
        >>> h = torch.tensor([0.0, 1_000.0])
        >>> Relative(LSIF())(h, -h).isfinite()
        tensor(True)
    """

    divergence: Divergence
    a: float = 0.1
    b: float = 0.1

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            check_number(name, getattr(self, name), minimum=0)
        if self.a + self.b >= 1:
            raise ValueError(f"a + b must be below 1, got {self.a} + {self.b}")

    @property
    def recovers(self) -> Recovers:
        """What the divergence recovers."""
        return self.divergence.recovers

    def mixed(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return log r' of h = log r."""
        return _log_mixture(h, 1 - self.b, self.b) - _log_mixture(h, self.a, 1 - self.a)

    def _slope(self, h: Tensor) -> Tensor:
        mixed = self.mixed(h)
        return (1 - self.b) * self.divergence.slope(mixed) - self.a * self.divergence.conjugate(
            mixed
        )

    def _conjugate(self, h: Tensor) -> Tensor:
        mixed = self.mixed(h)
        return (1 - self.a) * self.divergence.conjugate(mixed) - self.b * self.divergence.slope(
            mixed
        )

    def f(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return g at r = exp(h)."""
        return ((1 - self.a) + self.a * exp(h)) * self.divergence.f(self.mixed(h))


def steep(divergence: Divergence) -> bool:
    """Return whether a wrong critic of a far ratio can have an exponentially large gradient.

    Example:
        >>> from lfi.comparison import LSIF, Bernoulli
        >>> steep(LSIF()), steep(Bernoulli())
        (True, False)
    """
    h = torch.tensor([-PROBE, PROBE], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        total = divergence.conjugate(h).sum() + divergence.slope(h).sum()
        if not total.requires_grad:
            return False
        (gradient,) = torch.autograd.grad(total, h)  # both functions of a convex f grow
    return bool((gradient > STEEP).any())


def _log_mixture(h: Tensor, of_r: float, of_one: float) -> Tensor:
    """Return log(of_r * r + of_one)."""
    if of_r == 0:
        return torch.full_like(h, math.log(of_one))
    if of_one == 0:  # and the share of r is 1
        return h
    return torch.logaddexp(h + math.log(of_r), torch.full_like(h, math.log(of_one)))
