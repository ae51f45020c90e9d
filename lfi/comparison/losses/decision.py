"""Decision losses: hinge and 0-1 loss, which recover the sign of log p/q.

    name                what h pays at p     what h pays at q     f(u)             best h
    Misclassification   1[h < 0]             1[h > 0]             -min(u, 1)       any of the sign
    Hinge               max(0, 1 - h)        max(0, 1 + h)        -2 min(u, 1)     sign(log r)

The divergence of both is the total variation. Whether r is 1.1 or 1,000 does not change the best
decision, so that only the `SIGN` of the log-ratio can be read from it. A class prior moves the
decision to where pi p = (1-pi) q, exactly, by `WithPrior`, as for every divergence.

References:
    Lim & Ye, Geometric GAN, 2017. arXiv:1705.02894 (the hinge loss of GANs)
    Gutmann et al., Likelihood-free inference via classification, 2018. arXiv:1407.4981
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence, exp, sign
from lfi.comparison.types import Recovers


@dataclass(frozen=True)
class Misclassification(Divergence):
    """The 0-1 loss: the share of errors among samples of p and of q, added; a tie is half of one.

    It is TotalVariation less affine terms of f, `value` is the total variation, and both functions
    are as flat: they are detached, so that training on them fails at once.

    Example:
        >>> h_p, h_q = torch.tensor([2.0, 1.0, -1.0]), torch.tensor([-3.0, -0.1, -2.0])
        >>> Misclassification()(h_p, h_q)  # one in three, and none
        tensor(0.3333)
        >>> Misclassification().accuracy(h_p, h_q)
        tensor(0.8333)
    """

    recovers = Recovers.SIGN

    def _slope(self, h: Tensor) -> Tensor:
        return (sign(h) - 1) / 2

    def _conjugate(self, h: Tensor) -> Tensor:
        return (sign(h) + 1) / 2

    def accuracy(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the share of right decisions where both classes are as likely."""
        return 1 - self(h_p, h_q) / 2


@dataclass(frozen=True)
class Hinge(Divergence):
    """The loss of support vector machines, and of many a GAN.

    Its functions are what a critic pays, and a critic that pays the least says sign(log r), not
    log r: `value` is at most twice the total variation, and equal there.

    Example:
        >>> h_p, h_q = torch.tensor([2.0, 0.5]), torch.tensor([-1.0, -3.0])
        >>> Hinge()(h_p, h_q)  # right and sure costs nothing, right but less sure something
        tensor(0.2500)
    """

    recovers = Recovers.SIGN

    def _slope(self, h: Tensor) -> Tensor:
        return -F.relu(1 - h)

    def _conjugate(self, h: Tensor) -> Tensor:
        return F.relu(1 + h)

    def f(self, h: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return -2 min(r, 1), of which the hinge is a bound."""
        return -2 * exp(h.clamp(max=0.0))

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return -E_q h: the minimax loss up to a constant while |h| <= 1, and never flat."""
        return -h_q.mean()
