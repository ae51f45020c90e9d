"""Generators of vectors: x = G(z, condition), differentiable in both, with noise z drawn apart."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import last_linear, linear, trunk
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_number


@runtime_checkable
class DrawsNoise(Protocol):
    """A network that draws the noise it maps."""

    def noise(self, n: int, rng: torch.Generator) -> Tensor:
        """Draw n noises, on the CPU."""
        ...


def noise_of(network: nn.Module) -> Callable[[int, torch.Generator], Tensor]:
    """Return the method by which a generator draws its noise; TypeError if it has none."""
    if not isinstance(network, DrawsNoise):
        kind = type(network).__name__
        raise TypeError(f"generator: {kind} has no `noise(n, rng)`, which draws what it maps")
    return network.noise


@checked
class VectorGenerator(nn.Module):
    """y = net(z, condition) + exp(s(condition)) z: a conditional Gaussian plus a network.

    The noise is as wide as y and enters it directly, so that training starts from samples that
    already vary in every direction, and no direction can be lost.

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
        check_counts(size=size, width=width, layers=layers)
        check_counts(minimum=0, condition=condition)
        check_number("initial_log_scale", initial_log_scale)
        super().__init__()
        sizes = {"size": size, "condition": condition, "width": width, "layers": layers}
        self.spec: dict[str, int | float] = {**sizes, "initial_log_scale": initial_log_scale}
        self.size: int = size
        self.first: nn.Linear = linear(size + condition, width)
        self.rest: nn.Sequential = trunk(width, layers, size)
        log_scale = torch.full((size,), initial_log_scale, dtype=torch.float32)
        self.log_scale: nn.Sequential | nn.Parameter = (
            nn.Sequential(linear(condition, width), nn.SiLU(), linear(width, size))
            if condition
            else nn.Parameter(log_scale)
        )
        with torch.no_grad():  # start close to the Gaussian, by default of a third of the scale
            last_linear(self.rest).weight.mul_(0.1)
            if isinstance(self.log_scale, nn.Sequential):
                last_linear(self.log_scale).weight.zero_()
                last_linear(self.log_scale).bias.copy_(log_scale)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32, device="cpu")

    def forward(
        self, z: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z, condition)."""
        inputs = z if condition is None else torch.cat([z, condition], dim=1)
        shift, log_scale = self.rest(self.first(inputs)), self.log_scale
        if isinstance(log_scale, nn.Sequential):
            log_scale = log_scale(condition)
        return shift + z * log_scale.exp()


@checked
class MixtureGenerator(nn.Module):
    """y = net(z, e_k, condition) + m_k + exp(s) z: a mixture of Gaussians plus a network.

    The noise is a normal vector z and one of many codes k, all as likely. A continuous map of one
    Gaussian joins any two modes of its samples by a bridge; here each code goes to a mode of its
    own. The codes start at random, as far from each other as standardised data are.

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
        check_counts(size=size, codes=codes, width=width, layers=layers)
        check_counts(minimum=0, condition=condition)
        super().__init__()
        sizes = {"width": width, "layers": layers}
        self.spec: dict[str, int] = {"size": size, "condition": condition, "codes": codes, **sizes}
        self.size: int = size
        self.codes: int = codes
        self.first: nn.Linear = linear(size + condition, width)
        self.rest: nn.Sequential = trunk(width, layers, size)
        self.embedding: nn.Parameter = nn.Parameter(
            nn.init.normal_(torch.empty(codes, width).float(), std=0.5)
        )
        self.centre: nn.Parameter = nn.Parameter(nn.init.normal_(torch.empty(codes, size).float()))
        self.log_scale: nn.Parameter = nn.Parameter(torch.full((size,), -1.0, dtype=torch.float32))
        with torch.no_grad():  # start close to the mixture
            last_linear(self.rest).weight.mul_(0.1)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n noise"]:
        """Draw n standard normal vectors and codes, on the CPU."""
        z = torch.randn(n, self.size, generator=rng, dtype=torch.float32, device="cpu")
        code = torch.randint(self.codes, (n, 1), generator=rng, device="cpu")
        return torch.cat([z, code.to(z.dtype)], dim=1)

    def forward(
        self, z: Float[Tensor, "n noise"], condition: Float[Tensor, "n condition"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z, condition)."""
        z, code = z[:, :-1], z[:, -1].long()
        inputs = z if condition is None else torch.cat([z, condition], dim=1)
        shift = self.rest(self.first(inputs) + self.embedding[code])
        return shift + self.centre[code] + z * self.log_scale.exp()


@checked
class MixedGenerator(VectorGenerator):
    """A vector generator of blocks: numbers, and one-hot vectors of categories.

    The block of a category is the one-hot vector of its largest entry, which the noise decides;
    gradients are those of the softmax (straight through).

    References:
        Bengio, Leonard & Courville, Estimating or propagating gradients through stochastic neurons,
            2013. arXiv:1308.3432
        Jang, Gu & Poole, Categorical reparameterization with Gumbel-softmax, 2017. arXiv:1611.01144

    Example:
        >>> generator = MixedGenerator((1, 3), width=16)
        >>> generator(generator.noise(2, torch.Generator().manual_seed(0)))[:, 1:].sum(1)
        tensor([1., 1.], ...)
    """

    def __init__(self, blocks: Sequence[int], *, width: int = 96, layers: int = 3) -> None:
        check_counts(**{f"blocks[{i}]": size for i, size in enumerate(blocks)})
        super().__init__(sum(blocks), width=width, layers=layers)
        self.spec: dict[str, int | float | list[int]] = {
            "blocks": [*blocks],
            "width": width,
            "layers": layers,
        }
        self.blocks: tuple[int, ...] = tuple(blocks)

    def forward(
        self, z: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"] | None = None
    ) -> Float[Tensor, "n size"]:
        """Return G(z)."""
        parts = super().forward(z, condition).split(self.blocks, dim=1)
        return torch.cat([_one_hot(part) if part.shape[1] > 1 else part for part in parts], dim=1)


def _one_hot(scores: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Return the one-hot vectors of the largest scores, with the gradients of the softmax."""
    soft = scores.softmax(dim=1)
    hard = torch.zeros_like(soft).scatter(1, scores.argmax(dim=1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())
