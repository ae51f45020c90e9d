r"""The critic of measurements: data that scatter about unknown functions of the parameters.

Many simulators end in noise: a mechanism gives m(theta), and what is seen scatters about it. Then

    log p(x | theta) / p(x)  =  sum_j log N(f_j; m_j(theta), s_j(theta)) / N(f_j; 0, 1)  +  b(x)

for features f of x, which is an inner product of natural parameters (m/s^2, 1 - 1/s^2, ...) and of
sufficient statistics (f, f^2, 1). It is the mirror image of the family of `PairCritic`, which is
Gaussian in theta: there the posterior has a simple form, here the likelihood has one. Where the
data tell nearly everything, as twenty measurements with ten per cent of error do of four rates of
a population model, no batch of contrasts comes near the posterior's width; this form carries what
is learnt at a distance down to it, which free networks do not.

References:
    Wood, Statistical inference for noisy nonlinear ecological dynamic systems, Nature 2010 (a
    Gaussian law of statistics whose moments depend on theta)
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.critics.pair import LearnsScales, inner, size_of
from lfi.networks.residual import Tower
from lfi.networks.standardise import Coordinates, Features

MOST = 5.0  # the largest |log s|
NORMALISER = 32  # the width of the network b(x)
START = 0.1  # of the last layer: begin close to log r = 0


@torch.no_grad()
def start_small(*nets: Tower) -> None:
    """Make networks begin close to zero."""
    for net in nets:
        for parameter in (net.rest[-1].weight, net.rest[-1].bias, net.straight.weight):
            parameter *= START


class MeasuredCritic(LearnsScales):
    """log p(theta, x) / p(theta) p(x) where features of x are Gaussian given theta.

    Attributes:
        spec: The arguments, to build the same network again; None with an embedding of your own,
            which a file cannot name.

    Example:
        >>> critic = MeasuredCritic([0.0, 0.0], [1.0, float("inf")], (5,), width=16)
        >>> critic(torch.rand(3, 2).float(), torch.rand(3, 5).float()).shape
        torch.Size([3])
    """

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        x_shape: Sequence[int],
        *,
        width: int = 128,
        layers: int = 3,
        embedding: nn.Module | None = None,
    ) -> None:
        """Build the critic.

        Args:
            lower: The parameters' lower bounds, perhaps -inf.
            upper: Their upper bounds.
            x_shape: The shape of one x.
            width: Of the network of theta.
            layers: Its residual blocks.
            embedding: A network of x, (n, *event) to (n, k), in place of standardised entries.
        """
        super().__init__()
        self.spec: dict[str, Any] | None = None
        if embedding is None:
            self.spec = {
                "measured": True,
                "lower": list(lower),
                "upper": list(upper),
                "x_shape": list(x_shape),
                "width": width,
                "layers": layers,
            }
        self.coordinates = Coordinates(lower, upper)
        self.features = Features(x_shape) if embedding is None else embedding
        self.count = size_of(self.features, x_shape)
        self.moments = Tower(self.coordinates.size, 2 * self.count, width=width, depth=layers)
        self.of_x = Tower(self.count, 1, width=NORMALISER, depth=1)
        start_small(self.moments, self.of_x)

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the natural parameters of (..., theta_dim), (..., size)."""
        mean, log_s = self.moments(self.coordinates(theta)).split(self.count, dim=-1)
        log_s = MOST * torch.tanh(log_s / MOST)
        precision = torch.exp(-2 * log_s)
        constant = -(0.5 * mean.square() * precision + log_s).sum(-1, keepdim=True)
        one = torch.ones_like(constant)
        return torch.cat([mean * precision, 0.5 * (1 - precision), constant, one], dim=-1)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the sufficient statistics of (..., *event), (..., size)."""
        f = self.features(x)
        return torch.cat([f, f.square(), torch.ones_like(f[..., :1]), self.of_x(f)], dim=-1)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        return inner(theta, x)
