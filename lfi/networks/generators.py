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


class MixtureGenerator(nn.Module):
    """y = net(z, e_k, given) + m_k + exp(s) z: a mixture of Gaussians that a network bends.

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
        self, size: int, given: int = 0, *, codes: int = 256, width: int = 64, depth: int = 3
    ) -> None:
        super().__init__()
        if codes < 1:
            raise ValueError(f"codes must be at least 1, got {codes}")
        self.spec = {
            "size": size,
            "given": given,
            "codes": codes,
            "width": width,
            "depth": depth,
        }
        self.size, self.codes = size, codes
        self.first, self.rest = linear(size + given, width), trunk(width, depth, size)
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
        self, z: Float[Tensor, "n noise"], given: Float[Tensor, "n given"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z, given)."""
        z, code = z[:, :-1], z[:, -1].long()
        inputs = z if given is None else torch.cat([z, given], dim=1)
        bent = self.rest(self.first(inputs) + self.embedding[code])
        return bent + self.centre[code] + z * self.log_scale.exp()
