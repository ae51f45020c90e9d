"""A generator and a critic of images, of 8 to 64 pixels a side and any number of channels.

Both are pyramids of grids: an axis halves, rounded up, until it is no longer than 4. On each grid
there is a residual step, and channels double from one to the next coarser, eight times at most.

    h <- h + B silu(A h + C condition)          A, B: convolutions of 3 by 3

The generator starts from the coarsest grid, a linear map of the noise; the critic ends with it. A
condition is a vector or a class one-hot, which shifts the channels of every step and weighs the
last features of the critic (projection), or an image no larger than those generated, resized and
concatenated as further channels. There are no normalisation layers: critics are under gradient
penalties, and samples of one batch must not depend on each other.

References:
    Radford, Metz & Chintala, Unsupervised representation learning with deep convolutional
        generative adversarial networks, 2015. arXiv:1511.06434
    Miyato & Koyama, cGANs with projection discriminator, 2018. arXiv:1802.05637
    Huang et al., The GAN is dead; long live the GAN!, 2025. arXiv:2501.05441
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear

conv: partial[nn.Conv2d] = partial(nn.Conv2d, kernel_size=3, padding=1, dtype=torch.float32)
SMALL = 4  # an axis of the coarsest grid is no longer
MIN_PIXELS, MAX_PIXELS = 8, 64  # pixels a side
MAX_FACTOR = 8  # times the channels of the finest grid


def is_image(shape: Sequence[int]) -> bool:
    """Return whether a shape is (channels, height, width), of sides that the networks here take."""
    return (
        len(shape) == 3 and shape[0] > 0 and all(MIN_PIXELS <= n <= MAX_PIXELS for n in shape[1:])
    )


def pyramid(axes: Sequence[int], width: int) -> tuple[list[tuple[int, ...]], list[int]]:
    """Return the grids, the finest first, and how many channels stand on each.

    Example:
        >>> pyramid((28, 8), 16)
        ([(28, 8), (14, 4), (7, 4), (4, 4)], [16, 32, 64, 128])
    """
    grids = [tuple(axes)]
    while max(grids[-1]) > SMALL:
        grids.append(tuple(-(-axis // 2) if axis > SMALL else axis for axis in grids[-1]))
    return grids, [width * min(2**level, MAX_FACTOR) for level in range(len(grids))]


class _Step(nn.Module):
    """One residual step on a grid, whose channels a vector shifts."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.inner, self.outer = conv(channels, channels), conv(channels, channels)
        self.shift = linear(size, channels, bias=False) if size else None

    def forward(self, h: Float[Tensor, "n c a b"], vector: Tensor | None) -> Tensor:
        """Return h plus the step, (n, channels, *grid)."""
        inner = self.inner(h)
        if self.shift is not None:
            inner = inner + self.shift(vector)[:, :, None, None]
        return h + self.outer(F.silu(inner))


class _ImageNetwork(nn.Module):
    """What both networks keep: the shapes of an image and of its condition, and the arguments."""

    def __init__(
        self, shape: Sequence[int], condition: int | Sequence[int], sizes: dict[str, int]
    ) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = _checked(shape)
        self.condition: _ConditionShape = _ConditionShape.of(condition, self.shape)
        own = condition if isinstance(condition, int) else list(condition)
        self.spec: dict[str, list[int] | int] = {
            "shape": list(self.shape),
            "condition": own,
        } | sizes
        self.moves: nn.ModuleList = nn.ModuleList()
        self.steps: nn.ModuleList = nn.ModuleList()


class ImageGenerator(_ImageNetwork):
    """Images of shape (channels, height, width) from normal noise, and from a condition.

    Raises:
        ValueError: If a side is not of 8 to 64 pixels, or the condition does not fit.

    Example:
        >>> generator = ImageGenerator((1, 28, 28), condition=10, width=4)
        >>> z = generator.noise(3, torch.Generator().manual_seed(0))
        >>> generator(z, torch.eye(10)[:3].float()).shape
        torch.Size([3, 1, 28, 28])
    """

    def __init__(
        self,
        shape: Sequence[int],
        condition: int | Sequence[int] = 0,
        *,
        noise: int = 64,
        width: int = 16,
    ) -> None:
        super().__init__(shape, condition, {"noise": noise, "width": width})
        self.size: int = noise
        style = noise + self.condition.shifts
        grids, widths = pyramid(self.shape[1:], width)
        self.grids: list[tuple[int, ...]] = grids[::-1]
        self.start: tuple[int, ...] = (widths[-1], *grids[-1])
        self.first: nn.Linear = linear(style, math.prod(self.start))
        entering = [widths[-1], *widths[:0:-1]]
        for channels, out in zip(entering, widths[::-1], strict=True):
            self.moves.append(conv(channels + self.condition.channels, out))
            self.steps.append(_Step(out, style))
        self.last: nn.Conv2d = conv(width, self.shape[0])

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n noise"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32, device="cpu")

    def forward(
        self, z: Float[Tensor, "n noise"], condition: Float[Tensor, "n condition"] | None = None
    ) -> Float[Tensor, "n channels height width"]:
        """Return G(z, condition); an image as a condition is flattened."""
        vector, image = self.condition.split(condition)
        style = z if vector is None else torch.cat([z, vector], dim=1)
        h = self.first(style).unflatten(1, self.start)
        for grid, move, step in zip(self.grids, self.moves, self.steps, strict=True):
            h = F.interpolate(h, grid) if h.shape[2:] != grid else h
            h = step(move(_concatenated(F.silu(h), image)), style)
        return self.last(F.silu(h))


class ImageCritic(_ImageNetwork):
    """log p / q of images of order one, and of their conditions.

    It returns `features` values of each image; where that is 0, one number, without an axis.

    Raises:
        ValueError: If a side is not of 8 to 64 pixels, or the condition does not fit.

    Example:
        >>> critic = ImageCritic((3, 32, 32), condition=(3, 16, 16), width=4)
        >>> critic(torch.zeros(5, 3, 32, 32).float(), torch.zeros(5, 3 * 16 * 16).float()).shape
        torch.Size([5])
    """

    def __init__(
        self,
        shape: Sequence[int],
        condition: int | Sequence[int] = 0,
        *,
        features: int = 0,
        width: int = 16,
        hidden: int = 64,
    ) -> None:
        sizes = {"features": features, "width": width, "hidden": hidden}
        super().__init__(shape, condition, sizes)
        self.features: int = features
        size = self.condition.shifts
        grids, widths = pyramid(self.shape[1:], width)
        channels, axes = self.shape[0] + self.condition.channels, grids[0]
        for grid, out in zip(grids, widths, strict=True):
            strides = -(-axes[0] // grid[0]), -(-axes[1] // grid[1])
            self.moves.append(conv(channels, out, stride=strides))
            self.steps.append(_Step(out, size))
            channels, axes = out, grid
        self.hidden: nn.Linear = linear(channels * axes[0] * axes[1], hidden)
        self.shift: nn.Linear | None = linear(size, hidden, bias=False) if size else None
        self.factor: nn.Linear | None = linear(size, hidden) if size else None
        self.last: nn.Linear = linear(hidden, features or 1)

    def forward(
        self, x: Float[Tensor, "n ..."], condition: Float[Tensor, "n ..."] | None = None
    ) -> Float[Tensor, "*values"]:
        """Return the log ratio of (n, *shape) images, or features of them, (n, features).

        Packs of images, (n, samples, ...), are images of so many more channels.
        """
        vector, image = self.condition.split(condition)
        h = _concatenated(x.flatten(1).unflatten(1, self.shape), image)
        for move, step in zip(self.moves, self.steps, strict=True):
            h = step(move(h), vector)
        h = self.hidden(F.silu(h).flatten(1))
        if vector is None or self.shift is None or self.factor is None:
            h = F.silu(h)
        else:
            h = F.silu(h + self.shift(vector)) * (1 + self.factor(vector))
        values = self.last(h)
        return values if self.features else values.squeeze(-1)


@dataclass(frozen=True)
class _ConditionShape:
    """The shape of an image's condition: a vector of some size, or another image."""

    size: int
    image: tuple[int, ...] | None

    @classmethod
    def of(cls, condition: int | Sequence[int], shape: tuple[int, ...]) -> "_ConditionShape":
        if isinstance(condition, int):
            if condition < 0:
                raise ValueError(f"condition: a vector has no negative size, got {condition}")
            return cls(condition, None)
        image = tuple(condition)
        if len(image) != 3 or min(image) < 1 or image[1] > shape[1] or image[2] > shape[2]:
            raise ValueError(
                "condition must be the size of a vector, or (channels, height, width) of an image "
                f"no larger than {shape[1:]}, got {image}"
            )
        return cls(math.prod(image), image)

    @property
    def shifts(self) -> int:
        """How many numbers shift channels."""
        return 0 if self.image else self.size

    @property
    def channels(self) -> int:
        """How many channels are concatenated on every grid."""
        return self.image[0] if self.image else 0

    def split(self, condition: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the condition as a vector, or as an image."""
        size = 0 if condition is None else math.prod(condition.shape[1:])
        if size != self.size:
            raise ValueError(f"condition has {size} numbers, expected {self.size}")
        if condition is None or not size:
            return None, None
        flat = condition.flatten(1)
        return (None, flat.unflatten(1, self.image)) if self.image else (flat, None)


def _checked(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of an image."""
    if not is_image(shape):
        raise ValueError(
            f"shape must be (channels, height, width) of {MIN_PIXELS} to {MAX_PIXELS} pixels a "
            f"side, got {tuple(shape)}"
        )
    return tuple(shape)


def _concatenated(h: Float[Tensor, "n c a b"], image: Tensor | None) -> Float[Tensor, "n d a b"]:
    """Return h with the image of a condition, resized, as further channels."""
    if image is None:
        return h
    return torch.cat([h, F.interpolate(image, h.shape[2:], mode="area")], dim=1)
