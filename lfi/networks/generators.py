"""Generators of vectors: x = G(z, condition), with noise z drawn apart.

By this reparametrisation a loss of x has a gradient in the network and in the condition.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk


class VectorGenerator(nn.Module):
    """y = net(z, condition) + exp(s(condition)) z: a conditional Gaussian plus a network.

    The noise is as wide as y and enters it directly, so that training starts from samples that
    already vary in every direction, and no direction can be lost.

    Attributes:
        spec: The arguments, to build the same network again.

    Example:
        >>> generator = VectorGenerator(5, 2, width=16)
        >>> z = generator.noise(3, torch.Generator().manual_seed(0))
        >>> generator(z, torch.zeros(3, 2).float()).shape
        torch.Size([3, 5])
    """

    def __init__(
        self,
        size: int,
        condition: int = 0,
        *,
        width: int = 96,
        layers: int = 3,
        initial_log_scale: float = -1.0,
    ) -> None:
        super().__init__()
        self.spec = {
            "size": size,
            "condition": condition,
            "width": width,
            "layers": layers,
            "initial_log_scale": initial_log_scale,
        }
        self.size = size
        self.first, self.rest = linear(size + condition, width), trunk(width, layers, size)
        if condition:
            self.log_scale = nn.Sequential(linear(condition, width), nn.SiLU(), linear(width, size))
        else:
            self.log_scale = nn.Parameter(
                torch.full((size,), initial_log_scale, dtype=torch.float32)
            )
        with torch.no_grad():  # start close to the Gaussian, by default of a third of the scale
            self.rest[-1].weight.mul_(0.1)
            if condition:
                self.log_scale[-1].weight.zero_()
                self.log_scale[-1].bias.fill_(initial_log_scale)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32)

    def forward(
        self, z: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z, condition)."""
        if condition is None:
            return self.rest(self.first(z)) + z * self.log_scale.exp()
        shift = self.rest(self.first(torch.cat([z, condition], dim=1)))
        return shift + z * self.log_scale(condition).exp()


class MixtureGenerator(nn.Module):
    """y = net(z, e_k, condition) + m_k + exp(s) z: a mixture of Gaussians plus a network.

    The noise is a normal vector z and one of many codes k, all as likely. A continuous map of one
    Gaussian joins any two modes of its samples by a bridge; here each code goes to a mode of its
    own, with nothing between, and a code is always near a mode that others miss. The codes start
    at random, as far from each other as standardised data are.

    Attributes:
        spec: The arguments, to build the same network again.

    References:
        Gurumurthy, Sarvadevabhatla & Babu, DeLiGAN: generative adversarial networks for diverse and
            limited data, 2017. arXiv:1706.02071

    Example:
        >>> generator = MixtureGenerator(5, codes=10, width=16)
        >>> z = generator.noise(3, torch.Generator().manual_seed(0))
        >>> z.shape, generator(z).shape  # the last entry names the code
        (torch.Size([3, 6]), torch.Size([3, 5]))
    """

    def __init__(
        self, size: int, condition: int = 0, *, codes: int = 256, width: int = 64, layers: int = 3
    ) -> None:
        super().__init__()
        if codes < 1:
            raise ValueError(f"codes must be at least 1, got {codes}")
        self.spec = {
            "size": size,
            "condition": condition,
            "codes": codes,
            "width": width,
            "layers": layers,
        }
        self.size, self.codes = size, codes
        self.first, self.rest = linear(size + condition, width), trunk(width, layers, size)
        self.embedding = nn.Parameter(nn.init.normal_(torch.empty(codes, width).float(), std=0.5))
        self.centre = nn.Parameter(nn.init.normal_(torch.empty(codes, size).float()))
        self.log_scale = nn.Parameter(torch.full((size,), -1.0, dtype=torch.float32))
        with torch.no_grad():  # start close to the mixture
            self.rest[-1].weight.mul_(0.1)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n noise"]:
        """Draw n standard normal vectors and codes, on the CPU."""
        z = torch.randn(n, self.size, generator=rng, dtype=torch.float32)
        code = torch.randint(self.codes, (n, 1), generator=rng)
        return torch.cat([z, code.to(z.dtype)], dim=1)

    def forward(
        self, z: Float[Tensor, "n noise"], condition: Float[Tensor, "n condition"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z, condition)."""
        z, code = z[:, :-1], z[:, -1].long()
        inputs = z if condition is None else torch.cat([z, condition], dim=1)
        shift = self.rest(self.first(inputs) + self.embedding[code])
        return shift + self.centre[code] + z * self.log_scale.exp()
