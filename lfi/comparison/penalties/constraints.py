"""Constraints on a critic's weights: weight clipping and spectral normalisation.

A Wasserstein critic maximises E_p h - E_q h over functions of bounded slope. A penalty charges for
steep slopes; a constraint makes them impossible:

    WeightClipping    every parameter lies in [-limit, limit]    the slope is bounded, by what
                                                                 depends on the architecture
    SpectralNorm      every layer maps x to y such that          the slope is at most the
                      |y - y'| <= limit |x - x'|                 product of the limits

Both are projections: after every step the weights move to the nearest allowed ones. The allowed
sets are convex and weights keep their names, so that copies, moving averages, the best weights of a
fit and files all hold the constraint exactly. (Miyato et al. divide the weights by an estimate of
their norm, which lags behind training and is wrong for averaged weights.)

Under SpectralNorm(), with activations of slope at most 1 (ReLU, leaky ReLU, tanh, softplus, sorted
pairs) and no skip connections, a critic's slope is at most 1. A residual block x + f(x) has the
slope 1 + that of f, and SiLU reaches 1.1.

References:
    Miyato et al., Spectral Normalization for GANs, 2018. arXiv:1802.05957
    Anil, Lucas & Grosse, Sorting out Lipschitz Function Approximation, 2019. arXiv:1811.05381
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive


@checked
@dataclass(frozen=True)
class WeightClipping:
    """Every parameter of the critic is clipped to [-limit, limit] after every step.

    The slope is bounded by a number that depends on the architecture, so that what a Wasserstein
    critic finds is *proportional* to a distance at best.

    Attributes:
        limit: The largest magnitude; 0.01 in Arjovsky et al.

    Raises:
        ValueError: If the limit is not positive and finite.

    Example:
        >>> critic = torch.nn.Linear(2, 1)
        >>> WeightClipping(0.1).project(critic)
        >>> bool((critic.weight.abs() <= 0.1).all())
        True
    """

    limit: float = 0.01

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        """Clip the parameters."""
        for parameter in critic.parameters():
            parameter.clamp_(-self.limit, self.limit)


@checked
@dataclass(frozen=True)
class SpectralNorm:
    """No layer of the critic stretches a difference by more than `limit`.

    Singular values of a weight above the limit are set to it, which is the nearest matrix that is
    allowed. A convolution reads each entry of its input in several patches, at most ceil(kernel /
    stride) of them along each axis, and stretches by at most the root of their number times its
    weight's largest singular value: that product is held to the limit.

    Attributes:
        limit: The largest factor of one layer; 1 in Miyato et al.

    Raises:
        ValueError: If the limit is not positive and finite; by `project`, if the critic has
            parameters outside linear layers and convolutions, of which nothing could be promised.

    Example:
        >>> critic = torch.nn.Linear(2, 1)
        >>> _ = critic.weight.data.copy_(torch.tensor([[3.0, 4.0]]))
        >>> SpectralNorm().project(critic)
        >>> critic.weight.detach()
        tensor([[0.6000, 0.8000]])
    """

    limit: float = 1.0

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)

    @torch.no_grad()
    def project(self, critic: nn.Module) -> None:
        """Clip the singular values of all weights."""
        for weight, groups, factor in list(_weights(critic)):
            matrices = weight.reshape(groups, len(weight) // groups, -1)
            weight.copy_(_clipped(matrices, self.limit / factor).reshape(weight.shape))


def _weights(critic: nn.Module) -> Iterator[tuple[nn.Parameter, int, float]]:
    """Yield each layer's weight, its groups, and how much further it stretches than its matrix.

    A convolution copies entries into patches first; a transposed one is a convolution's transpose.
    """
    for name, layer in critic.named_modules():
        known = isinstance(layer, nn.Linear | _ConvNd)
        weight = layer.weight if known else None
        if isinstance(layer, nn.Linear) and isinstance(weight, nn.Parameter):
            yield weight, 1, 1.0
        elif (
            isinstance(layer, _ConvNd)
            and isinstance(weight, nn.Parameter)
            and layer.padding_mode == "zeros"
        ):
            sides = zip(layer.kernel_size, layer.stride, layer.dilation, strict=True)
            patches = math.prod(math.ceil(k * math.gcd(s, d) / s) for k, s, d in sides)
            yield weight, layer.groups, math.sqrt(patches)
        elif known or next(layer.parameters(recurse=False), None) is not None:
            raise ValueError(
                "a spectral norm bounds linear layers and convolutions padded by zeros, their "
                f"weights not parametrised; the critic holds {layer}"
                + (f" at {name!r}" if name else "")
            )


def _clipped(
    matrices: Float[Tensor, "groups rows columns"], largest: float
) -> Float[Tensor, "groups rows columns"]:
    """Return the nearest matrices without larger singular values, by the smaller Gram matrix."""
    wide = matrices.shape[1] <= matrices.shape[2]
    rows = matrices if wide else matrices.mT
    squares, vectors = torch.linalg.eigh(rows @ rows.mT)
    if squares.max() <= largest**2:
        return matrices
    factor = (largest / squares.clamp_min(largest**2).sqrt()).unsqueeze(-2)
    clipped = (vectors * factor) @ (vectors.mT @ rows)
    return clipped if wide else clipped.mT
