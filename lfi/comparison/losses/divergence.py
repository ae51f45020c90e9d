"""f-divergences as losses: density ratios, f-GANs and class-probability estimation.

Let r = p/q and let a critic return h = log r. For a convex f on (0, inf),

    L_f(h) = E_q[ r f'(r) - f(r) ] - E_p[ f'(r) ]           minimised by the critic
    G_f(h) = -E_q[ r f'(r) - f(r) ]                         minimised by whoever draws q

L_f is the f-GAN bound, Bregman matching of density ratios, and a proper scoring rule for
D = sigmoid(h). Its minimiser is h = log r, where -L_f is E_q[f(r)]; `value` subtracts f(1), so that
it vanishes at p = q. A row of `divergences` is two functions of h, `slope` f'(r) and `conjugate`
r f'(r) - f(r); f = r slope - conjugate.

Numerics: nothing is a logarithm of a sigmoid. A growing exponential exp(rate h) continues linearly
from |h| = LIMIT = 30, so that values and gradients stay finite to |h| = 10^4 in float32 too. Where
the steepest rate exceeds 2, both functions of the row continue from |h| = 60/rate instead: from the
*same* |h|, since a slope that outgrew its conjugate would leave L_f unbounded below.

References:
    Nowozin, Cseke & Tomioka, f-GAN, 2016. arXiv:1606.00709
    Sugiyama, Suzuki & Kanamori, Density-ratio matching under the Bregman divergence, 2012.
    Reid & Williamson, Information, Divergence and Risk for Binary Experiments, JMLR 2011.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import RecoveringLoss, Recovers
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_share

LIMIT = 30.0


def limit(*rates: float) -> float:
    """Return the |h| from which exponentials of these rates continue linearly."""
    return min(LIMIT, 2 * LIMIT / max(map(abs, rates)))


def _inside(h: Tensor, rate: float, start: float) -> Tensor:
    """Return h, held at start on the side where exp(rate h) grows."""
    return h.clamp(max=start) if rate > 0 else h.clamp(min=-start)


def exp(h: Float[Tensor, "*n"], rate: float = 1.0, start: float = LIMIT) -> Float[Tensor, "*n"]:
    """Return the exponential of rate * h, continued linearly beyond |h| = start."""
    inside = _inside(h, rate, start)
    return torch.exp(rate * inside) * (1 + rate * (h - inside))


def expm1(h: Float[Tensor, "*n"], rate: float = 1.0, start: float = LIMIT) -> Float[Tensor, "*n"]:
    """Return the exponential of rate * h, less 1, continued linearly beyond |h| = start."""
    inside = _inside(h, rate, start)
    return torch.expm1(rate * inside) + torch.exp(rate * inside) * rate * (h - inside)


def sign(h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return the sign of h, detached, and NaN where h is."""
    h = h.detach()
    return torch.where(h.isnan(), h, torch.sign(h))


@dataclass(frozen=True)
class Divergence(RecoveringLoss, ABC):
    """A convex f, as functions of h = log r: a loss for critics and for generators.

    A row defines `_slope` and `_conjugate`, two lines; `FDivergence` derives them from f.

    Attributes:
        recovers: What the minimiser of the critic's loss recovers of log p/q.

    Example:
        A divergence of one's own, f(u) = u^2/2:

        >>> class HalfSquare(Divergence):
        ...     def _slope(self, h): return exp(h)
        ...     def _conjugate(self, h): return exp(h, 2.0) / 2
        >>> HalfSquare().value(torch.zeros(4), torch.zeros(4))
        tensor(0.)

        >>> from lfi.comparison import Bernoulli
        >>> undecided = torch.zeros(4)
        >>> Bernoulli()(undecided, undecided)  # an undecided critic pays log 2 on either side
        tensor(1.3863)
        >>> Bernoulli().value(undecided, undecided)
        tensor(0.)
    """

    recovers = Recovers.RATIO

    @abstractmethod
    def _slope(self, h: Tensor) -> Tensor: ...

    @abstractmethod
    def _conjugate(self, h: Tensor) -> Tensor: ...

    def slope(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return f'(r), which a critic wants large at samples of p."""
        return self._slope(h)

    def conjugate(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return r f'(r) - f(r), which a critic wants small at samples of q."""
        return self._conjugate(h)

    def f(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return f at r = exp(h), for |h| within the limit."""
        return exp(h) * self._slope(h) - self._conjugate(h)

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return L_f, the critic's loss."""
        return self._conjugate(h_q).mean() - self._slope(h_p).mean()

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return G_f, whose pathwise gradient is that of the divergence if the critic is right."""
        return -self._conjugate(h_q).mean()

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return E_q[f(r)] - f(1), on average a lower bound unless h = log r."""
        return -self(h_p, h_q) - self.f(h_p.new_zeros(()))


@checked
@dataclass(frozen=True)
class WithPrior(Divergence):
    """A divergence where a sample comes from p with probability pi.

    f_pi(u) = (1-pi) f(pi u/(1-pi)): h is shifted by logit(pi), the p and q terms are weighed by pi
    and 1-pi, and the optimum stays h = log r. A classifier trained on unequal classes, its
    log-odds less logit(pi), is `WithPrior(Bernoulli(), pi)`.

    Attributes:
        divergence: What is reweighed.
        pi: The probability of p, in (0, 1).

    Raises:
        ValueError: If pi is not strictly between 0 and 1.

    Example:
        >>> from lfi.comparison import Bernoulli
        >>> h = torch.zeros(4)
        >>> WithPrior(Bernoulli(), 0.5)(h, h)
        tensor(0.6931)
    """

    divergence: Divergence
    pi: float

    def __post_init__(self) -> None:
        check_share("pi", self.pi)

    @property
    def recovers(self) -> Recovers:
        """What the reweighed divergence recovers."""
        return self.divergence.recovers

    @property
    def shift(self) -> float:
        """The prior log-odds, log pi/(1 - pi)."""
        return math.log(self.pi / (1 - self.pi))

    def _slope(self, h: Tensor) -> Tensor:
        return self.pi * self.divergence.slope(h + self.shift)

    def _conjugate(self, h: Tensor) -> Tensor:
        return (1 - self.pi) * self.divergence.conjugate(h + self.shift)

    def f(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return f_pi at r = exp(h)."""
        return (1 - self.pi) * self.divergence.f(h + self.shift)

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the divergence's own loss of the generator, reweighed."""
        return (1 - self.pi) * self.divergence.generator(h_p + self.shift, h_q + self.shift)
