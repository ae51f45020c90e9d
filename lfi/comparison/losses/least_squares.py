"""Least-squares GAN loss, whose critic is a regression on labels.

    critic      E_p (h - 1)^2 + E_q (h + 1)^2, halved        best h = (p - q) / (p + q)
    generator   E_q (h - 1)^2, halved

Mao et al. code data by 1 and samples by 0: their output is (h + 1) / 2. The best is
tanh(log r / 2), not read as a log-ratio here; `Brier`, a regression of sigmoid(h), gives the ratio.

Reference: Mao et al., Least squares generative adversarial networks, 2017. arXiv:1611.04076
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import RecoveringLoss, Recovers


@dataclass(frozen=True)
class LeastSquares(RecoveringLoss):
    """Both losses of the least-squares GAN.

    Example:
        >>> h = torch.tensor([1.0, -1.0])
        >>> LeastSquares()(h, -h)  # right about one, wrong about the other, of each
        tensor(2.)
    """

    recovers = Recovers.SIGN

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the mean squared errors of both labels, halved."""
        return ((h_p - 1).square().mean() + (h_q + 1).square().mean()) / 2

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the mean squared error of taking samples for data, halved."""
        return (h_q - 1).square().mean() / 2

    def value(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return how much better than a critic that says 0: the triangular divergence, halved."""
        return 1 - self(h_p, h_q)
