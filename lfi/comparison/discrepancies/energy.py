"""Energy distance: mean distance between two samples less that within each.

    D(p, q) = 2 E|x - y| - E|x - x'| - E|y - y'|,        x, x' ~ p and y, y' ~ q independent.

It is zero only where p = q, needs no bandwidth, and is the squared MMD of the kernel -|x - y|, with
the estimators of `mmd_estimators`. In one dimension it is twice the integral of (F - G)^2 and is
computed by sorting: with F-(x) and F(x) the shares of a sample below x and up to x,

    sum_ij w_i v_j |x_i - y_j| = sum_i w_i x_i (G- + G - 1)(x_i) + sum_j v_j y_j (F- + F - 1)(y_j),

exactly, in O(n log n), with the gradient of the double sum: sign(0) = 0 at equal points.

References:
    Szekely & Rizzo, Energy statistics: a class of statistics based on distances, JSPI 2013.
    Sejdinovic et al., Equivalence of distance- and RKHS-based statistics, 2013. arXiv:1207.6076
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.mmd_estimators import (
    AllPairs,
    Estimator,
    Unbiased,
    mean_difference,
)
from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.numerics.distances import euclidean_distances
from lfi.numerics.weighted_samples import as_batches, given_weights, probabilities


@checked
@dataclass(frozen=True)
class Energy:
    """The energy distance of two samples: not its square root.

    Attributes:
        estimator: Unbiased (U-statistic), Biased (V-statistic, never negative) or Block.

    Example:
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
        >>> lfi.discrepancies.Energy()(x, y)  # 2 x 2 - 1 - 1
        tensor(2.)
    """

    estimator: Estimator = Unbiased()

    def __post_init__(self) -> None:
        check_instance("estimator", self.estimator, Estimator)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the energy distance; an unbiased estimate may be negative."""
        x, y = as_batches(p, q)
        weights = given_weights(x, y, weight_p, weight_q, signed=self._signed)
        if x.shape[-1] == 1 and isinstance(self.estimator, AllPairs):
            return _by_sorting(self.estimator, x, y, *weights)
        return self.estimator(energy_kernel, x, y, *weights)

    def of_q(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the energy distance less its term of p alone, -E|x - x'|, where q is what moves.

        It is the energy distance itself where the estimator is not one of all pairs.
        """
        x, y = as_batches(p, q)
        weights = given_weights(x, y, weight_p, weight_q, signed=self._signed)
        if not isinstance(self.estimator, AllPairs):
            return self.estimator(energy_kernel, x, y, *weights)
        if x.shape[-1] == 1:
            return _by_sorting(self.estimator, x, y, *weights, own=("q",))
        return self.estimator.of_q(energy_kernel, x, y, *weights)

    @property
    def _signed(self) -> bool:
        return isinstance(self.estimator, AllPairs) and self.estimator.signed

    def witness(
        self, at: Float[Tensor, "*a k d"], x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
    ) -> Float[Tensor, "*abc k"]:
        """Return the mean distance from y less that from x: what tells x from y at a point."""
        return mean_difference(energy_kernel, at, x, y)


def energy_kernel(
    x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
) -> Float[Tensor, "*bc n m"]:
    """Return -|x_i - y_j|, whose squared MMD is the energy distance.

    Example:
        >>> energy_kernel(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]]))
        tensor([[-5.]])
    """
    return -euclidean_distances(x, y)


def energy_to(y: Float[Tensor, "m d"]) -> Callable[[Float[Tensor, "n d"]], Float[Tensor, ""]]:
    """Return `Energy()` of a sample and y as a function of the sample, for many against one.

    Distances within y are taken once, which halves the time; matrices are held whole, so neither
    sample should be long. TypeError unless both are of one floating dtype, ValueError if shapes do
    not fit or one has less than two points.

    Example:
        >>> distance = energy_to(torch.tensor([[2.0], [3.0]]))
        >>> distance(torch.tensor([[0.0], [1.0]]))
        tensor(2.)
    """

    def within(name: str, x: Tensor) -> Tensor:
        n = len(x)
        if n < 2:
            raise ValueError(f"{name} must have two points, got one")
        return euclidean_distances(x, x).sum(dtype=torch.float64) / (n * (n - 1))

    as_batches(y, y)
    own = within("q", y)

    def distance(x: Float[Tensor, "*b n d"]) -> Float[Tensor, ""]:
        as_batches(x, y)
        if x.ndim > 2:
            raise ValueError(f"p must be one sample, (n, d), got shape {tuple(x.shape)}")
        across = euclidean_distances(x, y).mean(dtype=torch.float64)
        return (2 * across - within("p", x) - own).to(y.dtype)

    return distance


def _by_sorting(
    estimator: AllPairs,
    x: Tensor,
    y: Tensor,
    weight_p: Tensor | None,
    weight_q: Tensor | None,
    own: tuple[str, ...] = ("p", "q"),
) -> Float[Tensor, "*bc"]:
    """Return the energy distance in one dimension; `own` are the sides whose own term counts."""
    w = probabilities("weight_p", x, weight_p, signed=estimator.signed)
    v = probabilities("weight_q", y, weight_q, signed=estimator.signed)
    lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    dtype, sides = x.dtype, []
    centre = x.detach().mean(dim=-2, keepdim=True)
    for sample, weight in ((x - centre, w), (y - centre, v)):
        values = sample[..., 0].expand(*lead, sample.shape[-2]).double()
        sides.append((values, weight.expand(*lead, weight.shape[-1]).double()))
    (x, w), (y, v) = sides
    across = (w * x * _signs(x, y, v)).sum(dim=-1) + (v * y * _signs(y, x, w)).sum(dim=-1)
    distance = 2 * across
    for name, values, weight in (("p", x, w), ("q", y, v)):
        if name not in own:
            continue
        total = 2 * (weight * values * _signs(values, values, weight)).sum(dim=-1)
        distance = distance - estimator.within(name, total, 0.0, weight.square().sum(dim=-1))
    return distance.to(dtype)


def _signs(
    at: Float[Tensor, "*b n"], values: Float[Tensor, "*b m"], weight: Float[Tensor, "*b m"]
) -> Float[Tensor, "*b n"]:
    """Return sum_j w_j sign(at_i - values_j): a function of the weights, locally."""
    values, order = values.detach().sort(dim=-1)
    below = torch.nn.functional.pad(weight.gather(-1, order).cumsum(dim=-1), (1, 0))
    at = at.detach().contiguous()
    left, right = (
        below.gather(-1, torch.searchsorted(values, at, right=right)) for right in (False, True)
    )
    return left + right - 1
