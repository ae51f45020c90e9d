"""Wasserstein distance on a line, exact by sorting, and sliced Wasserstein in any dimension.

The cheapest way to carry the mass of p to that of q at |x - y|^k a unit, k >= 1, costs W_k^k, the
k-th power of the Wasserstein distance. On a line, points of equal rank are matched:

    W_k^k = int_0^1 |F_p^-1(u) - F_q^-1(u)|^k du.

The quantile functions of weighted samples are steps, which jump at the cumulative weights: merged,
these make the integral a finite sum, exact for unequal sizes and any weights, in
O((n + m) log(n + m)). In more dimensions the sliced distance is the mean over projections onto
directions t on the unit sphere,

    SW_k^k = E_t W_k^k(t . x, t . y),

a metric of its own, not larger than W_k^k, zero only where p = q. A seed fixes the directions, the
same for all pairs of samples, so that it is one function of its arguments; over finitely many it is
still nonnegative, symmetric, and zero at equal samples.

**All discrepancies of transport here return W_k^k, without the root**: the cost, a mean over the
mass, differentiable where samples coincide. Take `value ** (1 / order)` for the metric. Of N(a, I)
and N(b, I) in d dimensions W_2^2 is |a - b|^2, and SW_2^2 is |a - b|^2 / d.

References:
    Bonneel et al., Sliced and Radon Wasserstein Barycenters, 2015. doi:10.1007/s10851-014-0506-3
    Bernton et al., Approximate Bayesian computation with the Wasserstein distance, arXiv:1905.03747
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number, check_whole
from lfi.numerics.weighted_samples import as_batches, probabilities


@checked
@dataclass(frozen=True)
class Wasserstein1D:
    """W_k^k of samples of numbers, exact; the root is not taken.

    Differentiable in points and weights almost everywhere: where two points of a sample change
    places, or two cumulative weights meet, one-sided derivatives may differ.

    Attributes:
        order: k, the power of the distance that mass is carried; at least 1.

    Example:
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [5.0], [8.0], [5.0]])
        >>> Wasserstein1D()(x, y)
        tensor(4.5000)
    """

    order: float = 1.0

    def __post_init__(self) -> None:
        check_number("order", self.order, minimum=1)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the least cost of carrying x to y; samples of numbers are (*b, n, 1)."""
        x, y = as_batches(p, q)
        if x.shape[-1] != 1:
            raise ValueError(
                f"p and q must be samples of numbers, (*batch, n, 1), got {tuple(x.shape)} and "
                f"{tuple(y.shape)}: in more dimensions take SlicedWasserstein or Sinkhorn"
            )
        return _along_lines(x.mT, y.mT, *_line_weights(x, y, weight_p, weight_q), self.order)[
            ..., 0
        ]


@checked
@dataclass(frozen=True)
class SlicedWasserstein:
    """Mean of W_k^k over projections onto random directions; the root is not taken.

    Of d-dimensional samples it takes memory and time for `projections` times as many numbers. Its
    directions are a function of seed and dimension, drawn on the CPU whatever the device. In one
    dimension it is W_k^k itself. As an estimate of the mean over all directions it has a standard
    error, which falls as 1 / sqrt(projections).

    Attributes:
        projections: How many directions.
        order: k, the power of the distance that mass is carried; at least 1.
        seed: Of the directions.

    Example:
        >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
        >>> shift = SlicedWasserstein(projections=2000)(x, x + torch.tensor([3.0, 0.0, 0.0]))
        >>> 2.8 < shift < 3.2  # 3^2 / 3
        tensor(True)
    """

    projections: int = 100
    order: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_number("order", self.order, minimum=1)
        check_whole("projections", self.projections)
        check_whole("seed", self.seed, minimum=0)

    def directions(self, dim: int) -> Float[Tensor, "dim k"]:
        """Return unit vectors, uniform on the sphere, as columns: one of one dimension."""
        if dim == 1:
            return torch.ones(1, 1, dtype=torch.float64, device="cpu")
        rng = torch.Generator().manual_seed(self.seed)
        shape = dim, self.projections
        normal = torch.randn(shape, generator=rng, dtype=torch.float64, device="cpu")
        return normal / normal.norm(dim=0)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the mean cost of carrying the projections of x to those of y."""
        x, y = as_batches(p, q)
        directions = self.directions(x.shape[-1]).to(x)
        weights = _line_weights(x, y, weight_p, weight_q)
        return _along_lines((x @ directions).mT, (y @ directions).mT, *weights, self.order).mean(-1)


def _line_weights(
    x: Tensor, y: Tensor, weight_p: WeightP, weight_q: WeightQ
) -> tuple[Tensor | None, Tensor | None]:
    """Return the weights of points on every line, (*b, 1, n); None where neither is weighted."""
    if weight_p is None and weight_q is None:
        return None, None
    a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
    return a[..., None, :], b[..., None, :]


def _along_lines(
    x: Tensor, y: Tensor, weight_p: Tensor | None, weight_q: Tensor | None, order: float
) -> Float[Tensor, "*bc k"]:
    """Return W^order of each line, (*b, k, n) and (*c, k, m); weights sum to 1, None for equal."""
    x, place_x = x.sort(dim=-1)
    y, place_y = y.sort(dim=-1)
    if weight_p is None or weight_q is None:
        if x.shape[-1] == y.shape[-1]:
            return (x - y).abs().pow(order).mean(dim=-1)
        up_to_x, up_to_y = _steps(x), _steps(y)
    else:
        up_to_x = _cumulative(weight_p.expand_as(x).gather(-1, place_x))
        up_to_y = _cumulative(weight_q.expand_as(y).gather(-1, place_y))
    lead = torch.broadcast_shapes(up_to_x.shape[:-1], up_to_y.shape[:-1])  # () if none is weighted
    up_to_x, up_to_y = up_to_x.expand(*lead, -1), up_to_y.expand(*lead, -1)
    jumps = torch.cat([up_to_x, up_to_y], dim=-1).sort(dim=-1).values
    mass = jumps.diff(dim=-1, prepend=jumps.new_zeros(*lead, 1))
    moved = _quantiles(x, up_to_x, jumps) - _quantiles(y, up_to_y, jumps)
    return (mass * moved.abs().pow(order)).sum(dim=-1)


def _steps(x: Float[Tensor, "*b n"]) -> Float[Tensor, " n"]:
    """Return the cumulative weights of n equal ones."""
    n = x.shape[-1]
    return torch.arange(1, n + 1, dtype=x.dtype, device=x.device) / n


def _cumulative(weight: Float[Tensor, "*b n"]) -> Float[Tensor, "*b n"]:
    """Return cumulative weights that end at 1 exactly."""
    total = weight.cumsum(dim=-1)
    return total / total[..., -1:]


def _quantiles(x: Float[Tensor, "*b n"], up_to: Tensor, u: Tensor) -> Float[Tensor, "*bc k"]:
    """Return the least sorted x whose cumulative weight, (*bc, n) or (n,), is at least u."""
    index = torch.searchsorted(up_to.detach().contiguous(), u.detach().contiguous())
    lead = torch.broadcast_shapes(x.shape[:-1], index.shape[:-1])
    return x.expand(*lead, -1).gather(-1, index.expand(*lead, -1))
