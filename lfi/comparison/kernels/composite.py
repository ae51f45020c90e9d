"""Sums of kernels, and kernels k(f(x), f(y)) of features by a network f.

A sum of kernels of one distance, such as Gaussians of several bandwidths, computes it once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison.kernels.stationary import Kernel, Scaled, fixed
from lfi.numerics.arguments import checked
from lfi.numerics.distances import quantile_distances


@checked
@dataclass(frozen=True)
class Sum:
    """A sum of kernels, such as several bandwidths.

    Attributes:
        kernels: Those that are added.

    Example:
        >>> from lfi.comparison import Gaussian, Quantile
        >>> kernel = Sum(tuple(Gaussian(Quantile(scale=s)) for s in (0.5, 1.0, 2.0)))
        >>> kernel(torch.zeros(1, 2), torch.zeros(1, 2))
        tensor([[3.]])
    """

    kernels: tuple[Kernel, ...]

    def __post_init__(self) -> None:
        if not self.kernels:
            raise ValueError("kernels must have at least one, got none")

    def fixed(
        self, x: Tensor, y: Tensor, weight_p: Tensor | None = None, weight_q: Tensor | None = None
    ) -> "Sum":
        """Return the sum with every bandwidth fixed; quantiles in one norm are taken together."""
        chosen = [
            (kernel.norm, rule.level)
            for kernel in self.kernels
            if isinstance(kernel, Scaled) and (rule := kernel.rule) is not None
        ]
        found = {}
        for norm in dict.fromkeys(norm for norm, _ in chosen):
            levels = tuple(dict.fromkeys(level for other, level in chosen if other == norm))
            values = quantile_distances(
                x, y, levels, distance=norm, weight_p=weight_p, weight_q=weight_q
            )
            found |= {(norm, level): value for level, value in zip(levels, values, strict=True)}

        def settled(kernel: Kernel) -> Kernel:
            if not isinstance(kernel, Scaled) or kernel.rule is None:
                return fixed(kernel, x, y, weight_p, weight_q)
            unit = kernel.rule.scale * found[kernel.norm, kernel.rule.level]
            return replace(kernel, bandwidth=unit)

        return Sum(tuple(map(settled, self.kernels)))

    def __call__(self, x: Tensor, y: Tensor) -> Float[Tensor, "*bc n m"]:
        """Return the matrix of k(x_i, y_j); distances are computed once for all terms."""
        apart = {}

        def term(kernel: Kernel) -> Tensor:
            if not isinstance(kernel, Scaled):
                return kernel(x, y)
            if kernel.apart not in apart:
                apart[kernel.apart] = kernel.apart(x, y)
            return kernel.of(apart[kernel.apart])

        first, *others = self.fixed(x, y).kernels
        total = term(first)
        for kernel in others:  # one matrix at a time
            total = total + term(kernel)
        return total


@checked
@dataclass(frozen=True)
class Learned:
    """A kernel of features by a network, whose weights receive gradients.

    Attributes:
        features: A network, (*b, n, d) to (*b, n, e).
        kernel: The kernel of its features.

    Example:
        >>> from lfi.comparison import Gaussian
        >>> kernel = Learned(torch.nn.Linear(5, 2), Gaussian())
        >>> kernel(torch.zeros(3, 5), torch.ones(4, 5)).shape
        torch.Size([3, 4])
    """

    features: nn.Module | Callable[[Tensor], Tensor]
    kernel: Kernel

    def fixed(
        self, x: Tensor, y: Tensor, weight_p: Tensor | None = None, weight_q: Tensor | None = None
    ) -> "Learned":
        """Return the kernel with the bandwidth that the features ask for."""
        with torch.no_grad():
            features = self.features(x), self.features(y)
            return replace(self, kernel=fixed(self.kernel, *features, weight_p, weight_q))

    def __call__(self, x: Tensor, y: Tensor) -> Float[Tensor, "*bc n m"]:
        """Return the matrix of k(f(x_i), f(y_j))."""
        return self.kernel(self.features(x), self.features(y))


def innermost(kernel: Kernel, *samples: Float[Tensor, "..."]) -> tuple[Kernel, *tuple[Tensor, ...]]:
    """Return the kernel under all networks, and their features of samples, computed once."""
    while isinstance(kernel, Learned):
        samples, kernel = tuple(kernel.features(sample) for sample in samples), kernel.kernel
    return kernel, *samples
