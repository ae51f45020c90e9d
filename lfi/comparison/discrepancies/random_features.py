"""Squared MMD through random Fourier features: linear in the number of points.

A kernel of x - y with k(x, x) = 1 is the mean of cos(w . (x - y)) over frequencies w that have its
spectral measure (Bochner). With D/2 of them drawn, the D features

    phi(x) = sqrt(2/D) (cos w_1 . x, sin w_1 . x, cos w_2 . x, ...)

have phi(x) . phi(x) = 1 and E phi(x) . phi(y) = k(x, y), so |mean phi(x) - mean phi(y)|^2 is the
squared MMD on average over frequencies, with an error that falls as 1/sqrt(D); a fine pattern under
a wide kernel, which only rare frequencies see, needs many. Features of a few hundred points are
held at once, and computed again for a gradient.

References:
    Rahimi & Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007.
    Sutherland & Schneider, On the Error of Random Fourier Features, 2015. arXiv:1506.02785
"""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.chunked_sums import summed
from lfi.comparison.discrepancies.mmd_estimators import AllPairs, Unbiased
from lfi.comparison.kernels.composite import innermost
from lfi.comparison.kernels.stationary import Gaussian, Kernel, fixed
from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance, check_whole
from lfi.numerics.weighted_samples import as_batches, probabilities


@runtime_checkable
class Spectral(Kernel, Protocol):
    """A kernel of (x - y)/bandwidth whose spectral measure can be drawn from."""

    @property
    def bandwidth(self) -> float | Tensor:
        """The unit of distance."""
        ...

    def frequencies(self, count: int, dim: int, rng: torch.Generator) -> Float[Tensor, "count d"]:
        """Draw frequencies at bandwidth 1."""
        ...


@checked
@dataclass(frozen=True)
class RandomFeatureMMD:
    """The squared maximum mean discrepancy, approximated by random features.

    Attributes:
        kernel: Gaussian, Laplace, RationalQuadratic or InverseMultiquadric, also of learned
            features.
        features: How many, an even number; the relative error falls as their square root.
        seed: What the frequencies are drawn from: equal seeds compare with equal features.
        estimator: Unbiased (U-statistic) or Biased (V-statistic).
        max_entries: Frequencies times points held at once.

    Example:
        >>> x, y = torch.randn(5_000, 2), torch.randn(4_000, 2) + 1
        >>> exact, quick = lfi.discrepancies.MMD()(x, y), lfi.discrepancies.RandomFeatureMMD()(x, y)
        >>> bool((quick / exact - 1).abs() < 0.2)
        True
    """

    kernel: Kernel = Gaussian()
    features: int = 1_000
    seed: int = 0
    estimator: AllPairs = Unbiased()
    max_entries: int = field(default=2**17, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        check_whole("features", self.features, minimum=2)
        if self.features % 2:
            raise ValueError(f"features must be even, got {self.features}")
        check_whole("seed", self.seed, minimum=0)
        check_whole("max_entries", self.max_entries)
        check_instance("estimator", self.estimator, AllPairs, "Unbiased() or Biased()")
        (kernel,) = innermost(self.kernel)
        check_instance(
            "kernel",
            kernel,
            Spectral,
            "a kernel with a spectral measure (Gaussian, Laplace, RationalQuadratic or "
            "InverseMultiquadric)",
        )

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the squared MMD; an unbiased estimate may be negative."""
        x, y = as_batches(p, q)
        w, v = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
        kernel, x, y = innermost(self.kernel, x, y)
        kernel = fixed(kernel, x, y, w, v)
        assert isinstance(kernel, Spectral)  # as a kernel's with a spectral measure is
        rng = torch.Generator("cpu").manual_seed(self.seed)
        frequencies = kernel.frequencies(self.features // 2, x.shape[-1], rng).to(x)
        bandwidth = torch.as_tensor(kernel.bandwidth, dtype=x.dtype, device=x.device)
        frequencies = frequencies / bandwidth[..., None, None]
        centre = x.detach().flatten(0, -2).mean(dim=0)  # only x - y matters: keep the angles small
        mean_x, mean_y = (
            _mean(side - centre, u, frequencies, self.max_entries) for side, u in ((x, w), (y, v))
        )
        value = -2 * (mean_x * mean_y).sum(dim=-1)
        for name, mean, u in (("p", mean_x, w), ("q", mean_y, v)):
            squares = u.double().square().sum(dim=-1)  # phi(x) . phi(x) = 1
            value = value + self.estimator.within(name, mean.square().sum(dim=-1), squares, squares)
        return value.to(x.dtype)


def _mean(
    sample: Float[Tensor, "*b n d"], weight: Tensor, frequencies: Tensor, max_entries: int
) -> Float[Tensor, "... features"]:
    """Return the weighted mean of the features in float64, some points at a time."""
    lead = torch.broadcast_shapes(sample.shape[:-2], frequencies.shape[:-2])
    rows = max(1, max_entries // (max(1, lead.numel()) * frequencies.shape[-2]))
    points, weights = sample.split(rows, dim=-2), weight.split(rows, dim=-1)
    parts = [(0, i, len(points) + i) for i in range(1, 1 + len(points))]
    return summed(_sums, (frequencies, *points, *weights), parts)


def _sums(frequencies: Tensor, sample: Tensor, weight: Tensor) -> Tensor:
    angles = sample @ frequencies.mT
    sums = [(weight[..., None, :] @ wave(angles))[..., 0, :] for wave in (torch.cos, torch.sin)]
    return torch.cat(sums, dim=-1).double() / frequencies.shape[-2] ** 0.5
