"""Contrastive losses: which of K pairs is the joint one?

With x in a row and K parameters beside it, column 0 of h_p is the critic's value at the joint pair
(theta, x) and the other columns are at shuffled pairs; all K columns of h_q are shuffled. Let H be
a row of values pooled by log-mean-exp.

    NREB            -log softmax(h_p)_0                              log r up to a function of x
    NREC(gamma)     pooled + gamma/(1+gamma) NREB                    log r

where pooled is the binary loss `WithPrior(Bernoulli(), gamma/(1+gamma))` of H: is there a joint
pair in the row at all? That question fixes the function of x that NREB leaves open.

References:
    Durkan, Murray & Papamakarios, On Contrastive Learning for LFI, 2020. arXiv:2002.03712
    Miller, Weniger & Forré, Contrastive Neural Ratio Estimation, 2022. arXiv:2210.06170
    van den Oord, Li & Vinyals, Contrastive Predictive Coding (InfoNCE), 2018. arXiv:1807.03748
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.divergence import WithPrior
from lfi.comparison.divergences import Bernoulli
from lfi.comparison.types import Recovers


class Contrastive(ABC):
    """A critic's loss of rows of K pairs, as `joint_among` makes them."""

    recovers: ClassVar[Recovers]

    @abstractmethod
    def __call__(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return the risk, with the joint pair in column 0 of `h_p` and nowhere in `h_q`."""


@dataclass(frozen=True)
class NREB(Contrastive):
    """Softmax cross-entropy of column 0, InfoNCE: log r up to a function of x.

    Example:
        >>> undecided = torch.zeros(5, 4)
        >>> NREB()(undecided, undecided)  # log 4
        tensor(1.3863)
    """

    recovers: ClassVar[Recovers] = Recovers.UP_TO_X

    def __call__(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return the cross-entropy; the shuffled `h_q` say nothing more."""
        return (h_p.logsumexp(-1) - h_p[..., 0]).mean()


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

    recovers: ClassVar[Recovers] = Recovers.RATIO
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.gamma < math.inf:
            raise ValueError(f"gamma must be positive and finite, got {self.gamma}")

    def __call__(self, h_p: Float[Tensor, "*n k"], h_q: Float[Tensor, "*m k"]) -> Float[Tensor, ""]:
        """Return the cross-entropy of K + 1 classes, weighed by gamma."""
        pi = self.gamma / (1 + self.gamma)
        pooled_p, pooled_q = (h.logsumexp(-1) - math.log(h.shape[-1]) for h in (h_p, h_q))
        return WithPrior(Bernoulli(), pi)(pooled_p, pooled_q) + pi * NREB()(h_p, h_q)


InfoNCE = NREB
