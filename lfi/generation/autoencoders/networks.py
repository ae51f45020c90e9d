"""The networks of autoencoders: those by default, and a decoder with the observer's scale.

vectors   residual networks beside a linear map
images    the pyramids of `lfi.networks.images`, of 8 to 64 pixels: an encoder is a critic of as
many features as it has outputs; noise and codes enter as conditions do
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.autoencoders.encoders import (
    Encoder,
    EncoderKind,
    GaussianEncoder,
    prior_codes,
)
from lfi.generation.autoencoders.observers import BernoulliObserver, Observer
from lfi.networks import (
    FourierFeatureCritic,
    ImageCritic,
    ImageGenerator,
    Standardise,
    Tower,
    VectorCritic,
    is_image,
)

Shape = tuple[int, ...]
WIDTH, LAYERS = 96, 2  # of the networks of vectors
CENTRES, STEEP = 64, 16.0  # of their decoders
SCALE_SPEED = 10.0  # a learnt scale has further to go than weights have
FIRST_SCALE = 0.1  # of those learnt: at 1 codes of the prior alone would cost less than any of data


class VectorNetwork(nn.Module):
    """A residual network beside a linear map, of inputs flattened and laid side by side.

    Example:
        >>> network = VectorNetwork((2, 3), 4)
        >>> network(torch.zeros(5, 2).float(), torch.zeros(5, 3).float()).shape
        torch.Size([5, 4])
    """

    def __init__(
        self, sizes: Sequence[int], out: int, *, width: int = WIDTH, layers: int = LAYERS
    ) -> None:
        super().__init__()
        self.tower: Tower = Tower(sum(sizes), out, width=width, layers=layers)

    def forward(self, *inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n out"]:
        """Return the outputs of (n, *event) inputs."""
        return self.tower(torch.cat([x.flatten(1) for x in inputs], dim=1))


class VectorDecoder(nn.Module):
    """Data of a code: one of many centres, chosen smoothly, and a residual network beside it.

    y = net(z) + sum over k of w_k(z) c_k,  w = softmax(other net(z)). Modes of data far from each
    other need a steep map of codes, which the softmax learns sooner than layers of smooth
    activations do.

    Example:
        >>> VectorDecoder(4, 2)(torch.zeros(5, 4).float()).shape
        torch.Size([5, 2])
    """

    def __init__(
        self, codes: int, size: int, *, centres: int = CENTRES, width: int = WIDTH
    ) -> None:
        super().__init__()
        self.size: int = size
        self.tower: Tower = Tower(codes, size + centres, width=width, layers=LAYERS)
        self.centres: nn.Parameter = nn.Parameter(
            nn.init.normal_(torch.empty(centres, size).float())
        )

    def forward(self, z: Float[Tensor, "n codes"]) -> Float[Tensor, "n size"]:
        """Return data for codes."""
        out = self.tower(z)
        shift, logits = out[:, : self.size], out[:, self.size :]
        return shift + (STEEP * logits).softmax(1) @ self.centres


def codes_for(shape: Shape, *, alone: bool) -> int:
    """Return how many numbers a code has by default: without an encoder, more reach more modes."""
    return 16 if alone or is_image(shape) else min(32, max(4, math.prod(shape)))


def encoder_network(kind: EncoderKind, shape: Shape, codes: int) -> nn.Module:
    """Return the default network of an encoder: (x) or (x, noise) to its outputs."""
    out, noise = kind.outputs(codes), kind.noise(codes)
    if is_image(shape):
        return ImageCritic(shape, noise, features=out)
    return VectorNetwork([math.prod(shape)] + [noise] * (noise > 0), out)


def decoder_network(shape: Shape, codes: int) -> nn.Module:
    """Return the default network of a decoder."""
    return (
        ImageGenerator(shape, noise=codes)
        if is_image(shape)
        else VectorDecoder(codes, math.prod(shape))
    )


def data_critic(shape: Shape, fine: bool) -> nn.Module:
    """Return the default critic of data; a fine one of vectors resolves narrow modes."""
    if is_image(shape):
        return ImageCritic(shape)
    return (FourierFeatureCritic if fine else VectorCritic)([shape])


def code_critic(codes: int) -> nn.Module:
    """Return the critic of codes."""
    return VectorCritic([(codes,)])


def joint_critic(shape: Shape, codes: int) -> nn.Module:
    """Return the critic of pairs (x, z)."""
    return ImageCritic(shape, codes) if is_image(shape) else VectorCritic([shape, (codes,)])


def contrast_encoder(shape: Shape, codes: int) -> Encoder:
    """Return the Gaussian that a joint ratio's codes are compared with."""
    kind = GaussianEncoder(full=True)
    return Encoder(kind, encoder_network(kind, shape, codes), codes)


class Decoder(nn.Module):
    """What a code stands for: a network, the data's scale and the observer's.

    Attributes:
        network: (n, codes) to (n, *event): standardised data, or data if `scaled`, or logits of
            Bernoulli entries.
    """

    fixed: Tensor

    def __init__(
        self,
        network: nn.Module,
        standardise: Standardise,
        observer: Observer | None,
        *,
        scaled: bool = False,
    ) -> None:
        super().__init__()
        self.network: nn.Module = network
        self.standardise: Standardise = standardise
        self.observer: Observer | None = observer
        self.scaled: bool = scaled
        self.logits: bool = isinstance(observer, BernoulliObserver)
        self.shape: Shape = tuple(standardise.location.shape)
        self.learnt: nn.Parameter | None = None
        fixed = torch.zeros((), dtype=torch.float32)
        if observer is not None and observer.weight is None:
            if observer.scale is None:
                first = math.log(FIRST_SCALE) / SCALE_SPEED
                self.learnt = nn.Parameter(torch.tensor(first, dtype=torch.float32))
            else:
                own = torch.full(self.shape, observer.scale, dtype=torch.float64)
                fixed = (own if observer.relative else own / standardise.divisor.cpu()).log()
        self.register_buffer("fixed", fixed.float())

    @property
    def log_scale(self) -> Tensor:
        """The logarithm of the observer's scale, in standard deviations of the data."""
        return self.fixed if self.learnt is None else SCALE_SPEED * self.learnt

    def forward(self, z: Float[Tensor, "n codes"]) -> Float[Tensor, "n ..."]:
        """Return standardised data, or logits."""
        out = self.network(z).reshape(len(z), *self.shape)
        return self.standardise(out) if self.scaled and not self.logits else out

    def mean(self, out: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Return standardised data for what `forward` returns."""
        return self.standardise(torch.sigmoid(out)) if self.logits else out

    def samples(self, z: Float[Tensor, "n codes"]) -> Float[Tensor, "n ..."]:
        """Return standardised data for codes."""
        return self.mean(self(z))

    def _compared(self, x: Tensor) -> Tensor:
        """Return standardised x as the observer compares it with the output."""
        return self.standardise.inverse(x).to(x.dtype) if self.logits else x

    def cost(self, x: Float[Tensor, "n ..."], out: Float[Tensor, "n ..."]) -> Float[Tensor, ""]:
        """Return what reconstruction costs: minus the log density, or so many times the error."""
        assert self.observer is not None
        x = self._compared(x)
        if self.observer.weight is not None:
            return self.observer.weight * self.observer.error(x, out).mean()
        return -self.observer.log_density(x, out, self.log_scale).flatten(1).sum(1).mean()

    def log_density(
        self, x: Float[Tensor, "n ..."], out: Float[Tensor, "n ..."]
    ) -> Float[Tensor, " n"]:
        """Return log p(x | z) in the data's units, of standardised x."""
        assert self.observer is not None
        density = self.observer.log_density(self._compared(x), out, self.log_scale)
        if not self.logits:
            density = density - self.standardise.divisor.log()
        return density.flatten(1).sum(1)

    def fit_scale(self, x: Float[Tensor, "n ..."], out: Float[Tensor, "n ..."]) -> None:
        """Measure the scale of an observer that was trained by a weight."""
        if self.observer is not None and self.observer.weight is not None:
            scale = self.observer.scale_of(self._compared(x), out)
            self.fixed.copy_(scale.clamp_min(1e-6).log())


@dataclass(eq=False)
class AutoencoderNetworks:
    """All networks of an algorithm; None where a term or an encoder does not take part."""

    codes: int
    sphere: bool
    decoder: Decoder
    encoder: Encoder | None = None
    critic: nn.Module | None = None
    code_critic: nn.Module | None = None
    joint_critic: nn.Module | None = None
    contrast: Encoder | None = None

    def prior(self, n: int, rng: torch.Generator) -> Float[Tensor, "n codes"]:
        """Draw codes of the prior where the networks are."""
        z = prior_codes(n, self.codes, self.sphere, rng)
        return z.to(self.decoder.standardise.location.device)

    def drawn(self) -> Encoder:
        """Return the encoder, which is there."""
        assert self.encoder is not None
        return self.encoder
