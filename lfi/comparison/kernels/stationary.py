"""Stationary kernels, as matrices over two samples.

    Gaussian                exp(-|x - y|^2 / (2 b^2))
    Laplace                 exp(-|x - y|_1 / b)                 the sum of absolute differences
    InverseMultiquadric     (1 + |x - y|^2 / b^2)^(-1/2)
    RationalQuadratic       (1 + |x - y|^2 / (2 a b^2))^(-a)    Gaussians of all bandwidths around b
    Linear                  x . y

The bandwidth b is a number, a tensor, or a `Quantile` of the distances between points of both
samples, by default the median; a chosen one is a constant to autograd. A tensor of bandwidths
broadcasts with the samples' leading dimensions: one with ten entries makes ten matrices out of one
matrix of distances. A kernel is anything that takes (n, d) and (m, d) to (n, m), likewise.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive, check_positives, check_share
from lfi.numerics.distances import (
    check_points,
    euclidean_distances,
    manhattan_distances,
    quantile_distances,
    squared_distances,
)

Weight = Tensor | None


@runtime_checkable
class Kernel(Protocol):
    """A symmetric, positive definite function of two points, evaluated for all pairs."""

    def __call__(
        self, x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
    ) -> Float[Tensor, "*bc n m"]:
        """Return the matrix of k(x_i, y_j)."""
        ...


@runtime_checkable
class Adaptive(Kernel, Protocol):
    """A kernel that may learn constants from the samples, such as its bandwidth."""

    def fixed(
        self,
        x: Float[Tensor, "*b n d"],
        y: Float[Tensor, "*c m d"],
        weight_p: Float[Tensor, "*b n"] | None = None,
        weight_q: Float[Tensor, "*c m"] | None = None,
    ) -> Kernel:
        """Return the kernel that no longer depends on the samples."""
        ...


@checked
@dataclass(frozen=True)
class Quantile:
    """A bandwidth chosen from data: `scale` times a quantile of the distances between points.

    Distances are those of all pairs of the pooled sample, in the kernel's own norm, as
    `quantile_distances` says: without pairs of equal points, and of bounded subsamples.

    Attributes:
        level: Which quantile; 0.5 is the median.
        scale: A factor.

    Example:
        >>> kernel = Gaussian(Quantile(0.1, scale=0.5))
        >>> kernel.fixed(torch.zeros(1, 1), torch.ones(1, 1)).bandwidth
        tensor(0.5000)
    """

    level: float = 0.5
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_share("level", self.level, ends=True)
        check_positive("scale", self.scale)


@dataclass(frozen=True)
class Scaled(ABC):
    """A kernel of the distance over a bandwidth, the median distance if None, with k(x, x) = 1."""

    bandwidth: float | Real | Tensor | Quantile | None = None

    # what the kernel is a function of, and the norm of the bandwidths that are chosen
    apart: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(squared_distances)
    norm: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(euclidean_distances)

    def __post_init__(self) -> None:
        if not isinstance(self.bandwidth, Quantile):
            check_positives("bandwidth", self.bandwidth, optional=True)

    @abstractmethod
    def of(self, apart: Float[Tensor, "*c n m"]) -> Float[Tensor, "*bc n m"]:
        """Return the kernel, its bandwidth fixed, of how far apart points are."""

    @property
    def rule(self) -> Quantile | None:
        """What chooses the bandwidth; None where it is given."""
        if self.bandwidth is None:
            return Quantile()
        return self.bandwidth if isinstance(self.bandwidth, Quantile) else None

    def unit(self, like: Tensor) -> Float[Tensor, "*bc 1 1"]:
        """Return the bandwidth; TypeError if it is yet to be chosen."""
        if self.bandwidth is None or isinstance(self.bandwidth, Quantile):
            raise TypeError("bandwidth: it is chosen from data; call `fixed(x, y)` first")
        unit = self.bandwidth if isinstance(self.bandwidth, Tensor) else float(self.bandwidth)
        return torch.as_tensor(unit, dtype=like.dtype, device=like.device)[..., None, None]

    @abstractmethod
    def frequencies(self, count: int, dim: int, rng: torch.Generator) -> Float[Tensor, "count d"]:
        """Draw from the spectral measure at bandwidth 1: k(x, y) = E[cos(w . (x - y))]."""

    def fixed(
        self, x: Tensor, y: Tensor, weight_p: Weight = None, weight_q: Weight = None
    ) -> "Scaled":
        """Return the kernel with its bandwidth as a number or a tensor."""
        rule = self.rule
        if rule is None:
            return self
        chosen = quantile_distances(
            x, y, (rule.level,), distance=self.norm, weight_p=weight_p, weight_q=weight_q
        )[0]
        return replace(self, bandwidth=rule.scale * chosen)

    def __call__(self, x: Tensor, y: Tensor) -> Float[Tensor, "*bc n m"]:
        """Return the matrix of k(x_i, y_j)."""
        return self.fixed(x, y).of(self.apart(x, y))


def _exp(exponent: Tensor) -> Tensor:
    """Return exp of an exponent of its own, in place; what would be less is the least number.

    Where a result underflows, the processor takes ten to thirty times as long.
    """
    return exponent.clamp_(min=0.999 * math.log(torch.finfo(exponent.dtype).tiny)).exp_()


@checked
@dataclass(frozen=True)
class Gaussian(Scaled):
    """exp(-|x - y|^2 / (2 bandwidth^2)).

    Attributes:
        bandwidth: A number, a tensor, a `Quantile` of the data's distances, or their median (None).

    Example:
        >>> Gaussian(1.0)(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        tensor([[1.0000, 0.3679]])
    """

    def of(self, apart: Float[Tensor, "*c n m"]) -> Float[Tensor, "*bc n m"]:
        """Return the kernel of squared distances."""
        return _exp(apart * (-0.5 / self.unit(apart).square()))

    def frequencies(self, count: int, dim: int, rng: torch.Generator) -> Float[Tensor, "count d"]:
        """Draw normal frequencies."""
        return torch.randn(count, dim, dtype=torch.float64, generator=rng, device="cpu")


@checked
@dataclass(frozen=True)
class Laplace(Scaled):
    """exp(-|x - y|_1 / bandwidth), of the sum of absolute differences; once differentiable.

    Attributes:
        bandwidth: A number, a tensor, a `Quantile` of the data's distances, or their median (None).

    Example:
        >>> Laplace(1.0)(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [0.5, -0.5]]))
        tensor([[1.0000, 0.3679]])
    """

    apart: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(manhattan_distances)
    norm: ClassVar[Callable[[Tensor, Tensor], Tensor]] = staticmethod(manhattan_distances)

    def of(self, apart: Float[Tensor, "*c n m"]) -> Float[Tensor, "*bc n m"]:
        """Return the kernel of Manhattan distances."""
        return _exp(apart * (-1 / self.unit(apart)))

    def frequencies(self, count: int, dim: int, rng: torch.Generator) -> Float[Tensor, "count d"]:
        """Draw Cauchy frequencies, independent in every coordinate."""
        empty = torch.empty(count, dim, dtype=torch.float64, device="cpu")
        return empty.cauchy_(generator=rng)


@checked
@dataclass(frozen=True)
class RationalQuadratic(Scaled):
    """(1 + |x - y|^2 / (2 alpha bandwidth^2))^(-alpha): Gaussians of many bandwidths at once.

    The precisions of those Gaussians have a gamma distribution of shape alpha: the smaller alpha,
    the more scales are seen, and the further away a point still feels a gradient.

    Attributes:
        bandwidth: A number, a tensor, a `Quantile` of the data's distances, or their median (None).
        alpha: The power of the tail.

    Example:
        >>> RationalQuadratic(1.0, alpha=0.5)(torch.zeros(1, 1), torch.tensor([[0.0], [1.0]]))
        tensor([[1.0000, 0.7071]])
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive("alpha", self.alpha)

    def of(self, apart: Float[Tensor, "*c n m"]) -> Float[Tensor, "*bc n m"]:
        """Return the kernel of squared distances."""
        scaled = apart * (0.5 / (self.alpha * self.unit(apart).square()))
        return torch.exp(-self.alpha * torch.log1p(scaled))

    def frequencies(self, count: int, dim: int, rng: torch.Generator) -> Float[Tensor, "count d"]:
        """Draw normal frequencies with a gamma variance."""
        shape = torch.full((count, 1), self.alpha, dtype=torch.float64, device="cpu")
        variance = torch.ops.aten._standard_gamma(shape, generator=rng) / self.alpha
        return variance.sqrt() * Gaussian(1.0).frequencies(count, dim, rng)


@checked
@dataclass(frozen=True)
class InverseMultiquadric(Scaled):
    """(1 + |x - y|^2 / bandwidth^2)^(-1/2): `RationalQuadratic` of alpha = 1/2.

    Example:
        >>> InverseMultiquadric(1.0)(torch.zeros(1, 1), torch.tensor([[0.0], [1.0]]))
        tensor([[1.0000, 0.7071]])
    """

    def of(self, apart: Float[Tensor, "*c n m"]) -> Float[Tensor, "*bc n m"]:
        """Return the kernel of squared distances."""
        return (1 + apart / self.unit(apart).square()).rsqrt()

    def frequencies(self, count: int, dim: int, rng: torch.Generator) -> Float[Tensor, "count d"]:
        """Draw normal frequencies with a gamma variance."""
        return RationalQuadratic(1.0, alpha=0.5).frequencies(count, dim, rng)


@dataclass(frozen=True)
class Linear:
    """x . y: the MMD is the distance of the means, and sees nothing else.

    Example:
        >>> Linear()(torch.ones(1, 2), torch.tensor([[1.0, 2.0]]))
        tensor([[3.]])
    """

    def __call__(self, x: Tensor, y: Tensor) -> Float[Tensor, "*bc n m"]:
        """Return the matrix of k(x_i, y_j)."""
        check_points(x, y)
        return x @ y.mT


@checked
def fixed(
    kernel: Kernel, x: Tensor, y: Tensor, weight_p: Weight = None, weight_q: Weight = None
) -> Kernel:
    """Return the kernel with the constants that it takes from the samples, such as a bandwidth.

    A kernel that takes none, such as a plain function, is returned as it is.

    Example:
        >>> fixed(Gaussian(), torch.zeros(1, 1), torch.full((1, 1), 3.0)).bandwidth
        tensor(3.)
    """
    return kernel.fixed(x, y, weight_p, weight_q) if isinstance(kernel, Adaptive) else kernel
