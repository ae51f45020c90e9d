"""Sinkhorn divergence: entropic optimal transport, debiased.

Carrying the mass of p to q along a coupling P costs <P, C>, C(x, y) = |x - y|^k. A charge for its
information makes the best one unique, smooth in its arguments, and quick to find:

    OT(p, q) = min <P, C> + epsilon KL(P | p x q)
             = max <f, p> + <g, q> - epsilon <exp((f + g - C)/epsilon) - 1, p x q>,
    f(x) = T_q g(x) = -epsilon log E_q exp((g - C(x, .))/epsilon) and likewise g = T_p f at the
    optimum, where P = exp((f + g - C)/epsilon) p x q,
    S(p, q) = OT(p, q) - OT(p, p)/2 - OT(q, q)/2, as OT(p, p) > 0 would make a fitted model shrink.

For 1 <= k <= 2, S is zero only where p = q, convex in either, and differentiable; it goes from
W_k^k (epsilon = 0) to an MMD of the kernel -C/2 (epsilon infinite; for k = 1 half the energy
distance). As all discrepancies of transport here it is a cost, W_k^k, and no root is taken.

Epsilon falls from the largest cost by a factor of 4 a level. At each, f and g are averaged with
T_q g and T_p f, symmetrically, so that equal samples have S = 0 but for rounding, and Anderson
acceleration combines the last updates. Potentials are kept, never their exponentials; moves from
the f and g of the matrix exp((f + g - C)/epsilon) are products with it, until they have gone so far
that it is made anew. The end is when at most a share `tolerance` of the mass is in the wrong place:
one of the returned potentials is exact given the other, and their dual value is a lower bound of OT
with an error of the order of that share's square. The gradient is that of the last update alone
(envelope theorem), sum_j P_ij dC/dx_i: as exact as P, and a constant to autograd.

References:
    Feydy et al., Interpolating between Optimal Transport and MMD, 2019. arXiv:1810.08278
    Schmitzer, Stabilized Sparse Scaling Algorithms, 2019. arXiv:1610.06519
    Janati et al., Entropic Optimal Transport between ... Gaussian Measures, 2020. arXiv:2006.02572
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.discrepancies.sinkhorn_solver import KEPT, Potentials, Problem, solve_potentials
from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.autograd import FunctionContext
from lfi.numerics.checks import check_number, check_positive, check_whole
from lfi.numerics.weighted_samples import as_batches, probabilities


@checked
@dataclass(frozen=True)
class Sinkhorn:
    """The Sinkhorn divergence of two samples, a debiased entropic cost of transport.

    The smaller epsilon, the closer to W_k^k, the more updates, and the more points it takes to tell
    p from q apart. By default it follows the samples' scale: of k = 2, it is a twentieth of the
    mean squared distance between two points drawn from either. As a bandwidth chosen from data, it
    is a constant to autograd; a number for `epsilon` makes one function of all pairs of samples.

    Matrices of up to 2^24 pairs are kept; of more, they are computed anew in tiles at every
    update, so that memory grows as n + m: 10,000 against 10,000 points take minutes on a core.

    Attributes:
        epsilon: The price of information, in units of |x - y|^order; None follows the scale.
        relative: Of that scale, where epsilon is None.
        order: k, the power of the distance that mass is carried, in [1, 2].
        debiased: Whether the cost of both samples against themselves is taken away.
        tolerance: Which share of the mass may be in the wrong place; not less than rounding.
        steps: The largest number of updates; a warning tells where they do not suffice.

    Example:
        >>> x = torch.randn(200, 3)
        >>> round(Sinkhorn()(x, x + 1).item(), 4)  # a shift costs |1|^2 = 3
        3.0
        >>> bool(Sinkhorn(epsilon=1.0)(x, x).abs() < 1e-12)
        True
    """

    epsilon: float | None = None
    relative: float = 0.05
    order: float = 2.0
    debiased: bool = True
    tolerance: float = 1e-5
    steps: int = 2000

    def __post_init__(self) -> None:
        check_positive("epsilon", self.epsilon, optional=True)
        check_positive("relative", self.relative)
        check_positive("tolerance", self.tolerance)
        check_number("order", self.order, minimum=1, maximum=2)  # where no divergence is negative
        check_whole("steps", self.steps)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the divergence, or the entropic cost where it is not debiased."""
        x, y = as_batches(p, q)
        a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
        x, y = _with_mass(x, a), _with_mass(y, b)
        epsilon = self._epsilon(x, y, a, b)
        cost = self._transport(x, y, a, b, epsilon)
        if not self.debiased:
            return cost
        own = self._transport(x, x, a, a, epsilon) + self._transport(y, y, b, b, epsilon)
        return cost - own / 2

    @torch.no_grad()
    def plan(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc n m"]:
        """Return the best coupling: how much of the mass of x_i goes to y_j, without gradients.

        Its rows sum to the weights of x, its columns to those of y but for twice `tolerance`.

        Example:
            >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.0]])
            >>> Sinkhorn(epsilon=0.5).plan(x, y)
            tensor([[0.0596, 0.4404],
                    [0.4404, 0.0596]])
        """
        x, y = as_batches(p, q)
        lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
        x, y = _with_mass(x, a), _with_mass(y, b)
        flat = _flat(x, y, a, b, self._epsilon(x, y, a, b))
        parts = []
        for group in _groups(flat):
            problem = Problem(*group, self.order)
            found = solve_potentials(problem, self.tolerance, self.steps)
            density = problem.density(found.best_u, found.v)
            mass = torch.cat([density(rows) for rows in problem.rows], dim=1)
            parts.append(problem.a[:, :, None] * mass * problem.b[:, None, :])
        return torch.cat(parts).reshape(*lead, x.shape[-2], y.shape[-2])

    def _epsilon(self, x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Return epsilon: () where it is given, (*bc) where it follows the scale."""
        if self.epsilon is not None:
            return x.new_tensor(self.epsilon)
        with torch.no_grad():
            centre = ((a[..., None] * x).sum(dim=-2) + (b[..., None] * y).sum(dim=-2)) / 2
            squares = [
                (w * (z - centre[..., None, :]).square().sum(dim=-1)).sum(dim=-1)
                for z, w in ((x, a), (y, b))
            ]
            scale = self.relative * (squares[0] + squares[1]).pow(self.order / 2)
            return torch.where(scale == 0, 1.0, scale)  # all points are one, and cost nothing

    def _transport(self, x: Tensor, y: Tensor, a: Tensor, b: Tensor, epsilon: Tensor) -> Tensor:
        """Return the entropic cost of all pairs of samples."""
        lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2], epsilon.shape)
        flat = _flat(x, y, a, b, epsilon)
        parts = [
            _Transport.apply(*group, self.order, self.tolerance, self.steps)
            for group in _groups(flat)
        ]
        return torch.cat(parts).reshape(lead)


Flat = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def _with_mass(x: Float[Tensor, "*b n d"], weight: Float[Tensor, "*b n"]) -> Tensor:
    """Return points of which those without mass lie where the heaviest does: they cost nothing."""
    massless = weight == 0
    if not massless.any():
        return x
    heaviest = weight.argmax(dim=-1)[..., None, None].expand(*x.shape[:-2], 1, x.shape[-1])
    return torch.where(massless[..., None], x.detach().gather(-2, heaviest), x)


def _flat(x: Tensor, y: Tensor, a: Tensor, b: Tensor, epsilon: Tensor) -> Flat:
    """Return points (k, n, d), (k, m, d), weights, epsilon (k,); of x and x, one tensor."""
    lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2], epsilon.shape)
    k, alike = math.prod(lead), x is y and a is b
    x, y = (z.expand(*lead, *z.shape[-2:]).reshape(k, *z.shape[-2:]) for z in (x, y))
    a, b = (w.expand(*lead, w.shape[-1]).reshape(k, w.shape[-1]) for w in (a, b))
    return x, x if alike else y, a, a if alike else b, epsilon.expand(lead).reshape(k)


def _groups(flat: Flat) -> list[Flat]:
    """Return pairs of samples in groups whose matrices fit."""
    x, y = flat[:2]
    size = max(1, KEPT // (x.shape[1] * y.shape[1]))
    if size >= len(x):
        return [flat]
    groups = list(zip(*(part.split(size) for part in flat), strict=True))
    return [(g[0], g[0], g[2], g[2], g[4]) if x is y and flat[2] is flat[3] else g for g in groups]


class _TransportContext(FunctionContext):
    order: float
    alike: bool


class _Transport(torch.autograd.Function):
    """The entropic cost of k pairs of samples, (k,), and its gradient by the envelope theorem."""

    @staticmethod
    def forward(
        ctx: _TransportContext,
        x: Tensor,
        y: Tensor,
        a: Tensor,
        b: Tensor,
        epsilon: Tensor,
        order: float,
        tolerance: float,
        steps: int,
    ) -> Tensor:
        ctx.order, ctx.alike = order, x is y and a is b
        found = solve_potentials(Problem(x, y, a, b, epsilon, order), tolerance, steps)
        ctx.save_for_backward(x, y, a, b, epsilon, *found)
        mass_x = (a * (found.u + found.best_u)).sum(dim=-1)
        mass_y = (b * (found.v + found.best_v)).sum(dim=-1)
        return epsilon * (mass_x + mass_y) / 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: _TransportContext, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y, a, b, epsilon = ctx.saved_tensors[:5]
        found = Potentials(*ctx.saved_tensors[5:])
        y, b = (x, a) if ctx.alike else (y, b)
        slopes = Problem(x, y, a, b, epsilon, ctx.order).slopes(found)
        grad_x, grad_y = (grad[:, None, None] * slope for slope in slopes)
        scale = (grad * epsilon)[:, None]
        return grad_x, grad_y, scale * found.best_u, scale * found.best_v, None, None, None, None
