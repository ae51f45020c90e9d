"""Embeddings of data that are more than a list of numbers: sets, series and images.

Each is a network from (n, *event) to (n, size) that goes where a critic or a flow takes x, and is
trained along with it:

    SetEmbedding      a set's order means nothing: the mean over members of what a network says of
                      each (deep sets), and how much that varies among them
    SeriesEmbedding   what happens matters more than when: convolutions along time
    ImageEmbedding    likewise along height and width

Values are standardised by channel: linearly and, for heavy tails, through asinh. The first weights
are the same every time, so that the seed of a fit repeats it. With `missing`, entries may be NaN: a
further channel tells which are observed.

A network of your own gets x standardised entry by entry, (n, *event) in float32; where entries may
be missing it gets (n, 2, *event), zeros in place of those that are, and ones where an entry is
observed. With an attribute `standardises` that is true it gets x as it is, and its method
`fit_from_data(x)`, if it has one, is called first with training data.

References:
    Zaheer et al., Deep sets, 2017. arXiv:1703.06114
    Chan et al., A likelihood-free inference framework for population genetic data using
    exchangeable neural networks, 2018. arXiv:1802.06153
    Wang, Hasenauer & Schaelte, Missing data in amortized simulation-based neural posterior
    estimation, PLOS Computational Biology 2024. doi:10.1371/journal.pcbi.1012184
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import Tower, linear
from lfi.networks.standardise import (
    Features,
    Standardise,
    input_for,
    observed_repeated,
)
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts
from lfi.runtime import isolated
from lfi.runtime.limits import unlimited

conv1d: partial[nn.Conv1d] = partial(nn.Conv1d, dtype=torch.float32)
conv2d: partial[nn.Conv2d] = partial(nn.Conv2d, dtype=torch.float32)
SMALL = 4  # convolutions halve an axis until it is no longer than this
FIRST_WEIGHTS = 0  # the seed they are drawn from


def _spec_of(x_shape: Sequence[int], size: int, width: int, missing: bool) -> dict[str, Any]:
    """Return an embedding's arguments as plain values."""
    named = {"x_shape": list(x_shape), "size": size, "width": width}
    return named | {"missing": True} if missing else named


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

    def __init__(
        self, x_shape: Sequence[int], *, size: int = 32, width: int = 64, missing: bool = False
    ) -> None:
        if len(x_shape) not in (1, 2):
            raise ValueError(f"x_shape must be (members,) or (members, d), got {tuple(x_shape)}")
        check_counts(size=size, width=width)
        super().__init__()
        self.spec: dict[str, Any] = _spec_of(x_shape, size, width, missing)
        self.size: int = size
        self.missing: bool = missing
        self.plain: bool = len(x_shape) == 1
        self.d: int = 1 if self.plain else x_shape[1]
        self.features: Features = Features((self.d,), missing=missing)
        with isolated(FIRST_WEIGHTS):
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
        missing: bool,
        convolution: Callable[..., nn.Module],
    ) -> None:
        super().__init__()
        self.size: int = size
        self.channels: int = channels
        self.rank: int = len(axes)
        self.features: Features = Features((channels,), missing=missing)
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

    def __init__(
        self, x_shape: Sequence[int], *, size: int = 32, width: int = 32, missing: bool = False
    ) -> None:
        if len(x_shape) not in (1, 2):
            raise ValueError(f"x_shape must be (length,) or (channels, length), got {x_shape}")
        check_counts(size=size, width=width)
        super().__init__()
        self.spec: dict[str, Any] = _spec_of(x_shape, size, width, missing)
        self.size: int = size
        self.missing: bool = missing
        self.plain: bool = len(x_shape) == 1
        channels = 1 if self.plain else x_shape[0]
        shape = {"size": size, "width": width, "missing": missing}
        with isolated(FIRST_WEIGHTS):
            self.net: _Convolved = _Convolved(channels, x_shape[-1:], **shape, convolution=conv1d)

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

    def __init__(
        self, x_shape: Sequence[int], *, size: int = 32, width: int = 32, missing: bool = False
    ) -> None:
        if len(x_shape) not in (2, 3):
            raise ValueError(
                f"x_shape must be (height, width) or (channels, height, width), got {x_shape}"
            )
        check_counts(size=size, width=width)
        super().__init__()
        self.spec: dict[str, Any] = _spec_of(x_shape, size, width, missing)
        self.size: int = size
        self.missing: bool = missing
        self.plain: bool = len(x_shape) == 2
        channels = 1 if self.plain else x_shape[0]
        shape = {"size": size, "width": width, "missing": missing}
        with isolated(FIRST_WEIGHTS):
            self.net: _Convolved = _Convolved(channels, x_shape[-2:], **shape, convolution=conv2d)

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data."""
        self.net.fit_from_data(x.unsqueeze(-3) if self.plain else x)

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the embedding, (..., size)."""
        return self.net(x.unsqueeze(-3) if self.plain else x)


class MaskedFeatures(nn.Module):
    """Entries of x that may be missing, as standardised numbers and which are observed.

    What methods put in the place of an embedding where there is none and entries are missing.

    Attributes:
        size: How many numbers come out, three for each entry.

    Example:
        >>> embedding = MaskedFeatures((2,))
        >>> embedding(torch.tensor([[float("nan"), 0.0]])).tolist()
        [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """

    standardises = True
    missing = True

    def __init__(self, x_shape: Sequence[int]) -> None:
        super().__init__()
        self.spec: dict[str, Any] = {"x_shape": list(x_shape)}
        self.features: Features = Features(x_shape, missing=True)
        self.size: int = self.features.size

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data, what is missing left out."""
        self.features.fit_from_data(x)

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the numbers of (..., *event)."""
        return self.features(x)


class StandardisedInput(nn.Module):
    """A network of the user's behind standardised entries of x, and which are observed.

    Example:
        >>> network = StandardisedInput((3,), nn.Linear(3, 2, dtype=torch.float32))
        >>> network(torch.ones(5, 3)).shape
        torch.Size([5, 2])
    """

    standardises = True

    def __init__(
        self, x_shape: Sequence[int], network: nn.Module, *, missing: bool = False
    ) -> None:
        super().__init__()
        self.x_shape: tuple[int, ...] = tuple(x_shape)
        self.missing: bool = missing
        self.standardise: Standardise = Standardise(x_shape)
        self.network: nn.Module = network

    @property
    def spec(self) -> dict[str, Any]:
        """The arguments as plain values."""
        inner = embedding_spec(self.network)
        return {"x_shape": list(self.x_shape), "missing": self.missing, "network": inner}

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take the scales of entries from data."""
        flat = x.reshape(len(x), -1)
        flat = observed_repeated(flat) if self.missing else flat
        self.standardise.fit_from_data(flat.reshape(x.shape))

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the network's numbers of (n, *event)."""
        values = self.standardise(x)
        if self.missing:
            missing = values.isnan()
            parts = values.masked_fill(missing, 0.0), (~missing).to(values)
            values = torch.stack(parts, dim=x.ndim - len(self.x_shape))
        return self.network(input_for(self.network, values))


EMBEDDINGS: dict[str, type[nn.Module]] = {
    kind.__name__: kind for kind in (SetEmbedding, SeriesEmbedding, ImageEmbedding, MaskedFeatures)
}
OWN = "own"  # of an embedding that a file cannot name


def prepared(
    embedding: nn.Module | None, x_shape: Sequence[int], *, missing: bool = False
) -> nn.Module | None:
    """Return a copy of a user's embedding as methods train it; None for none, and none needed.

    Raises:
        ValueError: If entries are missing and an embedding of lfi was made for complete x.
    """
    if embedding is None:
        return MaskedFeatures(x_shape) if missing else None
    embedding = copy.deepcopy(embedding)
    if not getattr(embedding, "standardises", False):
        return StandardisedInput(x_shape, embedding, missing=missing)
    if missing and not takes_missing(embedding):
        kind = type(embedding).__name__
        raise ValueError(
            f"embedding: entries of x are missing, and this {kind} takes complete ones: make it "
            f"with missing=True"
        )
    return embedding


def takes_missing(network: nn.Module) -> bool:
    """Return whether a network of x takes NaN for entries that are missing."""
    return bool(getattr(network, "missing", False))


def embedding_spec(embedding: nn.Module | None) -> dict[str, Any] | str | None:
    """Return an embedding's name and arguments, `OWN` if it is none of these."""
    if embedding is None:
        return None
    kind = type(embedding).__name__
    if type(embedding) is not StandardisedInput and type(embedding) is not EMBEDDINGS.get(kind):
        return OWN
    return {"kind": kind} | cast("dict[str, Any]", embedding.spec)


def names_embedding(spec: object) -> bool:
    """Return whether a spec names all of an embedding, or that there is none."""
    return names_embedding(spec.get("network")) if isinstance(spec, dict) else spec != OWN


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
    kind = arguments.pop("kind")
    if kind == StandardisedInput.__name__:
        network = build_embedding(arguments.pop("network"), own)
        assert network is not None  # it wraps one
        return StandardisedInput(arguments.pop("x_shape"), network, **arguments)
    return EMBEDDINGS[kind](**arguments)


def size_of(features: nn.Module, x_shape: Sequence[int]) -> int:
    """Return how many numbers an embedding of x gives; refuse one that does not give (n, k)."""
    if isinstance(features, Features):
        return features.size
    known = embedding_spec(features)
    if isinstance(known, dict) and "network" not in known and known["x_shape"] == list(x_shape):
        return cast("int", features.size)
    x = torch.zeros(2, *x_shape, dtype=torch.float32)
    with torch.no_grad(), unlimited():
        out = features(x)
    if out.ndim != 2 or len(out) != 2:
        raise ValueError(
            f"embedding: x of shape (2, {', '.join(map(str, x_shape))}) became "
            f"{tuple(out.shape)}, expected (2, k)"
        )
    return out.shape[1]
