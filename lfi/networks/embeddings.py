"""Embeddings of data that are more than a list of numbers: sets, series and images.

Each is a network from (n, *event) to (n, size) that goes where a critic or a flow takes x, and is
trained along with it:

    SetEmbedding      a set's order means nothing: the mean over members of what a network says of
                      each (deep sets), and how much that varies among them
    SeriesEmbedding   what happens matters more than when: convolutions along time
    ImageEmbedding    likewise along height and width

Values are standardised by channel: linearly and, for heavy tails, through asinh.

References:
    Zaheer et al., Deep sets, 2017. arXiv:1703.06114
    Chan et al., A likelihood-free inference framework for population genetic data using
    exchangeable neural networks, 2018. arXiv:1802.06153
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import Tower, linear
from lfi.networks.standardise import Features
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts

conv1d: partial[nn.Conv1d] = partial(nn.Conv1d, dtype=torch.float32)
conv2d: partial[nn.Conv2d] = partial(nn.Conv2d, dtype=torch.float32)
SMALL = 4  # convolutions halve an axis until it is no longer than this


@checked
class SetEmbedding(nn.Module):
    """A set of vectors, (n, members, d) or (n, members), in any order.

    Attributes:
        size: How many numbers come out.

    Example:
        >>> embedding = SetEmbedding((20, 3), size=8)
        >>> x = torch.randn(5, 20, 3).float()
        >>> torch.allclose(embedding(x), embedding(x.flip(1)), atol=1e-5)
        True
    """

    standardises = True

    def __init__(self, x_shape: Sequence[int], *, size: int = 32, width: int = 64) -> None:
        if len(x_shape) not in (1, 2):
            raise ValueError(f"x_shape must be (members,) or (members, d), got {tuple(x_shape)}")
        check_counts(size=size, width=width)
        super().__init__()
        self.spec: dict[str, Any] = {"x_shape": list(x_shape), "size": size, "width": width}
        self.size: int = size
        self.plain: bool = len(x_shape) == 1
        self.d: int = 1 if self.plain else x_shape[1]
        self.features: Features = Features((self.d,))
        self.each: Tower = Tower(self.features.size, width, width=width, layers=1)
        self.all: Tower = Tower(2 * width, size, width=width, layers=1)

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data, all members alike."""
        self.features.fit_from_data(x.reshape(-1, self.d))

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the embedding of (..., members, d) or (..., members)."""
        members = self.each(self.features(x[..., None] if self.plain else x))
        spread = members.std(-2, correction=0) if members.shape[-2] > 1 else members[..., 0, :] * 0
        return self.all(torch.cat([members.mean(-2), spread], dim=-1))


class _Convolved(nn.Module):
    """Convolutions that halve the axes of (n, channels, *axes), and a tower on what is left."""

    def __init__(
        self,
        channels: int,
        axes: Sequence[int],
        *,
        size: int,
        width: int,
        convolution: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        self.size: int = size
        self.channels: int = channels
        self.rank: int = len(axes)
        self.features: Features = Features((channels,))
        layers, entering, axes = [], self.features.size, list(axes)
        while max(axes) > SMALL or not layers:
            strides = [2 if axis > SMALL else 1 for axis in axes]
            layers += [
                convolution(entering, width, 3, stride=tuple(strides), padding=1),
                nn.GroupNorm(1, width, dtype=torch.float32),
                nn.SiLU(),
            ]
            axes = [
                (axis + stride - 1) // stride for axis, stride in zip(axes, strides, strict=True)
            ]
            entering = width
        self.convolutions: nn.Sequential = nn.Sequential(*layers)
        left = width * int(torch.Size(axes).numel())
        self.last: nn.Sequential = nn.Sequential(
            linear(left, width), nn.SiLU(), linear(width, size)
        )

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data, (n, channels, *axes), by channel."""
        self.features.fit_from_data(self._channels_last(x).reshape(-1, self.channels))

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the embedding of (..., channels, *axes)."""
        leading = x.shape[: x.ndim - self.rank - 1]
        x = self.features(self._channels_last(x.reshape(-1, *x.shape[len(leading) :])))
        return self.last(self.convolutions(x.movedim(-1, 1)).flatten(1)).reshape(
            *leading, self.size
        )

    def _channels_last(self, x: Tensor) -> Tensor:
        return x.movedim(-self.rank - 1, -1)


@checked
class SeriesEmbedding(nn.Module):
    """A series, (n, length) or (n, channels, length).

    Attributes:
        size: How many numbers come out.

    Example:
        >>> SeriesEmbedding((100,), size=8)(torch.randn(5, 100).float()).shape
        torch.Size([5, 8])
    """

    standardises = True

    def __init__(self, x_shape: Sequence[int], *, size: int = 32, width: int = 32) -> None:
        if len(x_shape) not in (1, 2):
            raise ValueError(f"x_shape must be (length,) or (channels, length), got {x_shape}")
        check_counts(size=size, width=width)
        super().__init__()
        self.spec: dict[str, Any] = {"x_shape": list(x_shape), "size": size, "width": width}
        self.size: int = size
        self.plain: bool = len(x_shape) == 1
        channels = 1 if self.plain else x_shape[0]
        self.net: _Convolved = _Convolved(
            channels, x_shape[-1:], size=size, width=width, convolution=conv1d
        )

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data."""
        self.net.fit_from_data(x.unsqueeze(-2) if self.plain else x)

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the embedding, (..., size)."""
        return self.net(x.unsqueeze(-2) if self.plain else x)


@checked
class ImageEmbedding(nn.Module):
    """An image, (n, height, width) or (n, channels, height, width).

    Attributes:
        size: How many numbers come out.

    Example:
        >>> ImageEmbedding((8, 8), size=4)(torch.randn(5, 8, 8).float()).shape
        torch.Size([5, 4])
    """

    standardises = True

    def __init__(self, x_shape: Sequence[int], *, size: int = 32, width: int = 32) -> None:
        if len(x_shape) not in (2, 3):
            raise ValueError(
                f"x_shape must be (height, width) or (channels, height, width), got {x_shape}"
            )
        check_counts(size=size, width=width)
        super().__init__()
        self.spec: dict[str, Any] = {"x_shape": list(x_shape), "size": size, "width": width}
        self.size: int = size
        self.plain: bool = len(x_shape) == 2
        channels = 1 if self.plain else x_shape[0]
        self.net: _Convolved = _Convolved(
            channels, x_shape[-2:], size=size, width=width, convolution=conv2d
        )

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data."""
        self.net.fit_from_data(x.unsqueeze(-3) if self.plain else x)

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the embedding, (..., size)."""
        return self.net(x.unsqueeze(-3) if self.plain else x)


EMBEDDINGS: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (SetEmbedding, SeriesEmbedding, ImageEmbedding)
}
OWN = "own"  # of an embedding that a file cannot name


def embedding_spec(embedding: nn.Module | None) -> dict[str, Any] | str | None:
    """Return an embedding's name and arguments, `OWN` if it is none of these."""
    if embedding is None:
        return None
    kind = type(embedding).__name__
    if type(embedding) is not EMBEDDINGS.get(kind):
        return OWN
    return {"kind": kind} | cast("dict[str, Any]", embedding.spec)


def build_embedding(
    spec: dict[str, Any] | str | None, own: Callable[[str], nn.Module]
) -> nn.Module | None:
    """Return the embedding that `embedding_spec` has described, a copy of `own`'s if of the user.

    Example:
        >>> spec = embedding_spec(SetEmbedding((20, 3), size=8))
        >>> embedding_spec(build_embedding(spec, lambda name: nn.Identity())) == spec
        True
    """
    if spec is None:
        return None
    if not isinstance(spec, dict):
        return copy.deepcopy(own("embedding"))
    arguments = dict(spec)
    return EMBEDDINGS[arguments.pop("kind")](**arguments)
