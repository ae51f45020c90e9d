"""Generators: networks that turn noise, and what is given, into samples.

The reparametrisation trick is their face: x = G(z, given) with z drawn apart, so that a loss of x
has a gradient in the network and in what is given.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk


class VectorGenerator(nn.Module):
    """y = net(z, given) + exp(s(given)) z: a conditional Gaussian that a network bends.

    The noise is as wide as y and enters it directly, so that training starts from samples that
    already spread in every direction, and no direction can be lost.

    Attributes:
        spec: The arguments, to build the same network again.

    Example:
        >>> generator = VectorGenerator(5, 2, width=16)
        >>> z = generator.noise(3, torch.Generator().manual_seed(0))
        >>> generator(z, torch.zeros(3, 2).float()).shape
        torch.Size([3, 5])
    """

    def __init__(
        self, size: int, given: int = 0, *, width: int = 96, depth: int = 3, spread: float = -1.0
    ) -> None:
        super().__init__()
        self.spec = {
            "size": size,
            "given": given,
            "width": width,
            "depth": depth,
            "spread": spread,
        }
        self.size = size
        self.first, self.rest = linear(size + given, width), trunk(width, depth, size)
        if given:
            self.log_scale = nn.Sequential(linear(given, width), nn.SiLU(), linear(width, size))
        else:
            self.log_scale = nn.Parameter(torch.full((size,), spread, dtype=torch.float32))
        with torch.no_grad():  # start close to the Gaussian, by default of a third of the spread
            self.rest[-1].weight.mul_(0.1)
            if given:
                self.log_scale[-1].weight.zero_()
                self.log_scale[-1].bias.fill_(spread)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32)

    def forward(
        self, z: Float[Tensor, "n size"], given: Float[Tensor, "n given"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z, given)."""
        if given is None:
            return self.rest(self.first(z)) + z * self.log_scale.exp()
        bent = self.rest(self.first(torch.cat([z, given], dim=1)))
        return bent + z * self.log_scale(given).exp()
