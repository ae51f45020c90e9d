"""Observer likelihoods: the density of data around what a decoder makes of a code.

    GaussianObserver    log p(x | z) = sum over entries of log Normal(x; decoder(z), scale^2)
    LaplaceObserver     likewise, with density exp(-|x - decoder(z)| / scale) / (2 scale)
    BernoulliObserver   x log s + (1 - x) log(1 - s),  s = sigmoid(decoder(z)), of x in [0, 1]

The first two have a scale: given, or learnt along with the decoder (as in the sigma-VAE), or, where
`weight` replaces the likelihood by so many times the mean error, measured after training.

References:
    Rosca, Lakshminarayanan, Warde-Farley & Mohamed, Variational approaches for auto-encoding
        generative adversarial networks, 2017. arXiv:1706.04987
    Rybkin, Daniilidis & Levine, Simple and effective VAE training with calibrated decoders, 2021.
        arXiv:2006.13202
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive


@dataclass(frozen=True)
class _ScaledObserver:
    """What the observers of real numbers have in common."""

    scale: float | None = None
    relative: bool = True
    weight: float | None = None

    def __post_init__(self) -> None:
        check_positive("scale", self.scale, optional=True)
        check_positive("weight", self.weight, optional=True)


@checked
@dataclass(frozen=True)
class GaussianObserver(_ScaledObserver):
    """Normal errors of every entry, whose half square is what reconstruction costs.

    Attributes:
        scale: The standard deviation; None learns one for all entries.
        relative: Whether the scale is in standard deviations of the data; else in their units.
        weight: Times the mean error over entries, in standard deviations, in place of the
            likelihood; the scale is then measured after training.

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> GaussianObserver(0.1).error(torch.tensor([0.0, 3.0]), torch.tensor([0.0, 1.0]))
        tensor([0., 2.])
    """

    def log_density(self, x: Tensor, out: Tensor, log_scale: Tensor) -> Tensor:
        """Return log Normal(x; out, scale^2)."""
        half_log = 0.5 * math.log(2 * math.pi)
        return -self.error(x, out) * (-2 * log_scale).exp() - log_scale - half_log

    def error(self, x: Tensor, out: Tensor) -> Tensor:
        """Return half the squared error."""
        return (x - out).square() / 2

    def scale_of(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the root of the mean squared error."""
        return (x - out).square().mean().sqrt()

    def draw(self, mean: Tensor, scale: Tensor, rng: torch.Generator) -> Tensor:
        """Return normal draws."""
        noise = torch.randn(mean.shape, generator=rng, dtype=mean.dtype)
        return mean + scale * noise


@checked
@dataclass(frozen=True)
class LaplaceObserver(_ScaledObserver):
    """Laplace errors of every entry, whose absolute value (L1) is what reconstruction costs.

    Attributes:
        scale: The mean absolute error; None learns one for all entries.
        relative: Whether the scale is in standard deviations of the data; else in their units.
        weight: Times the mean error over entries, in standard deviations, in place of the
            likelihood; the scale is then measured after training.

    Raises:
        ValueError: If a number is not positive.

    Example:
        >>> LaplaceObserver(weight=10.0).error(torch.tensor([0.0, 3.0]), torch.tensor([0.0, 1.0]))
        tensor([0., 2.])
    """

    def log_density(self, x: Tensor, out: Tensor, log_scale: Tensor) -> Tensor:
        """Return -|x - out| / scale - log(2 scale)."""
        return -self.error(x, out) * (-log_scale).exp() - log_scale - math.log(2)

    def error(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the absolute error."""
        return (x - out).abs()

    def scale_of(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the mean absolute error."""
        return (x - out).abs().mean()

    def draw(self, mean: Tensor, scale: Tensor, rng: torch.Generator) -> Tensor:
        """Return draws, by the difference of two exponentials."""
        tiny = torch.finfo(mean.dtype).tiny
        first, second = (
            -torch.rand(mean.shape, generator=rng, dtype=mean.dtype).clamp_min(tiny).log()
            for _ in range(2)
        )
        return mean + scale * (first - second)


@checked
@dataclass(frozen=True)
class BernoulliObserver:
    """Binary entries, or shares of ink in [0, 1], of whose logits the decoder's output is made.

    Of shares that are neither 0 nor 1 this is no normalised density, as usual in VAEs of images.

    Attributes:
        weight: Times the mean over entries in place of the sum, the likelihood.

    Raises:
        ValueError: If the weight is not positive.

    Example:
        >>> BernoulliObserver().error(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 0.0]))
        tensor([0.6931, 0.6931])
    """

    weight: float | None = None

    def __post_init__(self) -> None:
        check_positive("weight", self.weight, optional=True)

    @property
    def scale(self) -> float | None:
        """There is nothing to learn."""
        return 1.0

    @property
    def relative(self) -> bool:
        """Data are compared in their own units."""
        return False

    def log_density(self, x: Tensor, out: Tensor, log_scale: Tensor) -> Tensor:
        """Return x log s + (1 - x) log(1 - s), with s the sigmoid of the logit `out`."""
        return -self.error(x, out)

    def error(self, x: Tensor, out: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return F.softplus(out) - x * out

    def scale_of(self, x: Tensor, out: Tensor) -> Tensor:
        """Return one."""
        return x.new_ones(())

    def draw(self, mean: Tensor, scale: Tensor, rng: torch.Generator) -> Tensor:
        """Return zeros and ones of probability `mean`."""
        return torch.bernoulli(mean, generator=rng)


Observer = BernoulliObserver | GaussianObserver | LaplaceObserver
OBSERVERS: dict[str, type[Observer]] = {
    kind.__name__: kind for kind in (BernoulliObserver, GaussianObserver, LaplaceObserver)
}
