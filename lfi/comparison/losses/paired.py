"""Relativistic losses of pairs: each row of data against one sample.

`lfi.losses.Relativistic` compares all n m pairs of a batch. Rows of data and of samples are drawn
independently, so the n pairs in which they already stand have the same expectation, in O(n).

    critic      E softplus(-(h_p - h_q))         generator   E softplus(h_p - h_q)

References:
    Jolicoeur-Martineau, The relativistic discriminator: a key element missing from standard GAN,
        2019. arXiv:1807.00734
    Huang, Gokaslan, Kuleshov & Tompkin, The GAN is dead; long live the GAN! A modern baseline GAN,
        2025. arXiv:2501.05441
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence
from lfi.comparison.losses.divergences import Bernoulli
from lfi.comparison.types import Recovers


@dataclass(frozen=True)
class Paired:
    """Which of two samples is from p? Of the pairs in which rows stand: log r up to a constant.

    Attributes:
        divergence: The loss of pairs.

    Example:
        >>> h_p, h_q = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0])
        >>> loss = Paired()
        >>> torch.isclose(loss(h_p, h_q), torch.tensor(-1.0).exp().log1p())  # softplus(-1)
        tensor(True)
    """

    recovers: ClassVar[Recovers] = Recovers.UP_TO_CONSTANT
    divergence: Divergence = Bernoulli()

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
        """Return half the divergence's loss of pairs; E softplus(-d) for Bernoulli."""
        d = h_p - h_q
        return self.divergence(d, -d) / 2

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
        """Return the critic's loss with p and q exchanged; E softplus(d) for Bernoulli."""
        return self(h_q, h_p)

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*n"]) -> Float[Tensor, ""]:
        """Return the divergence of pairs (x_p, x_q) from pairs (x_q, x_p), or a lower bound."""
        d = h_p - h_q
        return self.divergence.value(d, -d)
