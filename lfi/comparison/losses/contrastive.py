"""Contrastive losses: classification of the joint pair among K.

With x in a row and K parameters beside it, column 0 of h_p is the critic's value at the joint pair
(theta, x) and the other columns are at shuffled pairs; all K columns of h_q are shuffled. Let H be
a row of values pooled by log-mean-exp, and pooled the binary loss
`WithPrior(Bernoulli(), gamma/(1+gamma))` of H: is there a joint pair in the row at all?

    NREB            -log softmax(h_p)_0                              log r up to a function of x
    NREC(gamma)     pooled + gamma/(1+gamma) NREB                    log r

Both bound the mutual information I of theta and x from below, for any critic:

    NREB            log K - loss <= min(I, log K)
    NREC(gamma)     (H(pi) + pi log K - loss)/pi <= I,              pi = gamma/(1+gamma)

The second is what the row tells about where the joint pair is, over pi. It is at most
log K + H(pi)/pi, H the entropy of a coin in nats, which grows without bound as gamma falls.

References:
    Durkan, Murray & Papamakarios, On Contrastive Learning for LFI, 2020. arXiv:2002.03712
    Miller, Weniger & Forré, Contrastive Neural Ratio Estimation, 2022. arXiv:2210.06170
    van den Oord, Li & Vinyals, Contrastive Predictive Coding (InfoNCE), 2018. arXiv:1807.03748
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import WithPrior
from lfi.comparison.losses.divergences import Bernoulli
from lfi.comparison.types import RecoveringLoss, Recovers
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive


class Contrastive(RecoveringLoss, ABC):
    """A loss of rows of K pairs, as `joint_among` makes them."""

    @abstractmethod
    def __call__(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return the risk, with the joint pair in column 0 of `h_p` and nowhere in `h_q`."""

    @abstractmethod
    def value(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return a lower bound, on average, of the mutual information of what is paired."""

    def generator(
        self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]
    ) -> Float[Tensor, ""]:
        """Return the minimax loss, minus the critic's, of whoever draws the shuffled pairs."""
        return -self(h_p, h_q)


@dataclass(frozen=True)
class NREB(Contrastive):
    """Softmax cross-entropy of column 0, InfoNCE: log r up to a function of x.

    Example:
        >>> undecided = torch.zeros(5, 4)
        >>> NREB()(undecided, undecided)  # log 4
        tensor(1.3863)
    """

    recovers = Recovers.UP_TO_X

    def __call__(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return the cross-entropy; the shuffled `h_q` say nothing more."""
        return (h_p.logsumexp(-1) - h_p[..., 0]).mean()

    def value(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return log K less the loss: at most the mutual information, and at most log K."""
        return math.log(h_p.shape[-1]) - self(h_p, h_q)


@checked
@dataclass(frozen=True)
class NREC(Contrastive):
    """Which of K pairs is the joint one, or is none: log r itself.

    Attributes:
        gamma: Odds that a row holds a joint pair. Large ones approach NREB, small ones with one
            column the binary loss.

    Raises:
        ValueError: If gamma is not positive and finite.

    Example:
        >>> undecided = torch.zeros(5, 4)
        >>> NREC()(undecided, undecided)  # log 2 for "is there one?", log 4 in half of the rows
        tensor(1.3863)
    """

    recovers = Recovers.RATIO
    gamma: float = 1.0

    def __post_init__(self) -> None:
        check_positive("gamma", self.gamma)

    def __call__(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return the cross-entropy of K + 1 classes, weighed by gamma."""
        present = self._present(_pooled(h_p), _pooled(h_q))
        return present + self._pi * NREB()(h_p, h_q)

    def value(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return what the row tells of the joint pair's place, over pi: at most the information."""
        present = self._present.value(_pooled(h_p), _pooled(h_q))
        return present / self._pi + NREB().value(h_p, h_q)

    @property
    def _pi(self) -> float:
        return self.gamma / (1 + self.gamma)

    @property
    def _present(self) -> WithPrior:
        return WithPrior(Bernoulli(), self._pi)


def _pooled(h: Float[Tensor, "*n k"]) -> Float[Tensor, "*n"]:
    return h.logsumexp(-1) - math.log(h.shape[-1])


InfoNCE = NREB
