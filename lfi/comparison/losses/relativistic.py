"""Losses invariant to a constant added to the critic: Donsker-Varadhan, relativistic, Wasserstein.

    name                 loss                                  at its least          the best h
    DonskerVaradhan      log E_q exp(h) - E_p h                -KL(p || q)           log r + c
    Relativistic(f)      L_f of pairs, from h(x_p) - h(x_q)    pairs' divergence     log r + c
    RelativisticPaired   the same of rows as they stand        pairs' divergence     log r + c
    Wasserstein          E_q h - E_p h                         -W_1 if |h'| <= 1     a potential

A pair (x_p, x_q) of independent samples has the density P = p(a) q(b); in the wrong order it has
Q = q(a) p(b), and log P/Q = log r(a) - log r(b). So H(a, b) = h(a) - h(b) is a critic of pairs, and
its values at samples of Q are minus those at P: with d = h(x_p) - h(x_q),

    Relativistic(f) = (E (r f' - f)(-d) - E f'(d)) / 2 = L_f(d, -d) / 2,

which for Bernoulli is E softplus(-d). `Relativistic` compares all n m pairs of a batch; the n pairs
in which rows already stand have the same expectation, in O(n).

Wasserstein has no minimum without a bound on the slope of h (`WeightClipping`, `SpectralNorm`,
`GradientPenalty`), and with one it says where to move, not what r is.

Donsker-Varadhan's bound is tighter than KL's own, `lfi.losses.KL`, for any critic. Averaged over
batches of n samples of q, the loss is too small by var(r)/(2n), and gradients are off.

References:
    Donsker & Varadhan, Asymptotic evaluation of certain Markov process expectations, 1983.
    Belghazi et al., MINE: Mutual Information Neural Estimation, 2018. arXiv:1801.04062
    Jolicoeur-Martineau, The relativistic discriminator, 2019. arXiv:1807.00734
    Huang et al., The GAN is dead; long live the GAN!, 2025. arXiv:2501.05441
    Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017. arXiv:1701.07875
"""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence
from lfi.comparison.losses.divergences import Bernoulli
from lfi.comparison.types import RecoveringLoss, Recovers
from lfi.numerics.arguments import checked


@dataclass(frozen=True)
class DonskerVaradhan(RecoveringLoss):
    """The Kullback-Leibler divergence as log E_q exp(h) against E_p h: log r up to a constant.

    Example:
        >>> h = torch.tensor([1.0, 2.0, 3.0])
        >>> DonskerVaradhan().value(h, h - h.exp().mean().log())  # exp(h_q) averages 1
        tensor(2.)
    """

    recovers = Recovers.UP_TO_CONSTANT

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return log E_q exp(h) - E_p h."""
        return _log_mean_exp(h_q) - h_p.mean()

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return -log E_q exp(h), whose pathwise gradient is KL's if the critic is right."""
        return -_log_mean_exp(h_q)

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return E_p h - log E_q exp(h), at most KL(p || q) in the limit of many samples of q."""
        return -self(h_p, h_q)


@checked
@dataclass(frozen=True)
class Relativistic(RecoveringLoss):
    """Which of two samples is from p? A divergence's loss of pairs: log r up to a constant.

    All pairs of a batch are formed, so that time and memory grow as n times m.

    Attributes:
        divergence: The loss of pairs.

    Example:
        >>> h_p, h_q = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0, 5.0])
        >>> loss = Relativistic()
        >>> torch.isclose(loss(h_p, h_q), loss(h_p + 100, h_q + 100))
        tensor(True)
    """

    recovers = Recovers.UP_TO_CONSTANT
    divergence: Divergence = Bernoulli()

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return half the divergence's loss of pairs; E softplus(-d) for Bernoulli."""
        d = self._differences(h_p, h_q)
        return self.divergence(d, -d) / 2

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the critic's loss with p and q exchanged; E softplus(d) for Bernoulli.

        It does not saturate where the critic is sure. Where the critic is right, its pathwise
        gradient for Bernoulli is that of KL(q || p) less half the divergence of pairs.
        """
        d = self._differences(h_p, h_q)
        return self.divergence(-d, d) / 2

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the divergence of pairs (x_p, x_q) from pairs (x_q, x_p), or a lower bound."""
        d = self._differences(h_p, h_q)
        return self.divergence.value(d, -d)

    def _differences(self, h_p: Tensor, h_q: Tensor) -> Tensor:
        return h_p.flatten()[:, None] - h_q.flatten()


@checked
@dataclass(frozen=True)
class RelativisticPaired(Relativistic):
    """The relativistic loss of each row of p with the row of q beside it, in O(n).

    Attributes:
        divergence: The loss of pairs.

    Example:
        >>> h_p, h_q = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
        >>> loss = RelativisticPaired()
        >>> torch.isclose(loss(h_p, h_q), torch.tensor(-1.0).exp().log1p())  # softplus(-1)
        tensor(True)
    """

    def _differences(self, h_p: Tensor, h_q: Tensor) -> Tensor:
        return h_p - h_q


@dataclass(frozen=True)
class Wasserstein(RecoveringLoss):
    """The difference of a critic's means: a distance, if its slope is bounded; no ratio.

    Example:
        >>> h_p, h_q = torch.tensor([3.0, 4.0]), torch.tensor([1.0, 1.0])
        >>> Wasserstein().value(h_p, h_q)
        tensor(2.5000)
    """

    recovers = Recovers.NOTHING

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return E_q h - E_p h."""
        return h_q.mean() - h_p.mean()

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return -E_q h, whose pathwise gradient is the distance's if the critic is right."""
        return -h_q.mean()

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return E_p h - E_q h, at most the Wasserstein-1 distance times the slope of h."""
        return h_p.mean() - h_q.mean()


def _log_mean_exp(h: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
    return h.flatten().logsumexp(0) - math.log(h.numel())
