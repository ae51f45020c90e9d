"""Learned divergences: an f-divergence by a critic that is fitted to the two samples.

For a convex f, r = p/q and h = log r (`lfi.losses`),

    D_f(p, q) = max over h of  E_p[ f'(exp h) ] - E_q[ exp(h) f'(exp h) - f(exp h) ] - f(1).

The critic is linear in features of a point, h(x) = w . phi(x) + c, and Newton steps find its best
weights, so that thousands of pairs of samples are compared in one batch. What the features cannot
express is missing, and the value is a lower bound. Features are by default the numbers, their
squares and their products, which express the log ratio of any two normal distributions.

By the envelope theorem the derivative of a maximum is that of what is maximised, at the best critic
held fixed: points feel the critic's slope, weights its values. No step of the fit is
differentiated. A ridge on the weights, |w|^2 `ridge` / 2 taken from what is maximised, keeps a
critic of samples that do not overlap finite, so that they still attract each other. Where p = q the
best critic is h = 0 with it, too.

References:
    Nowozin, Cseke & Tomioka, f-GAN, 2016. arXiv:1606.00709
    Nguyen, Wainwright & Jordan, Estimating divergence functionals and the likelihood ratio by
    convex risk minimization, 2010. arXiv:0809.0853
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence
from lfi.comparison.losses.divergences import JensenShannon
from lfi.comparison.types import Recovers, SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance, check_positive, check_whole
from lfi.numerics.weighted_samples import as_batches, never_zero, probabilities
from lfi.runtime.calls import warn_caller

ENOUGH = 1e-8  # that the next Newton step would gain at most, relative to the value and absolute
FLAT = 1e-9  # of the largest curvature, added to all
HALVINGS = 30  # of a Newton step that does not gain
ARMIJO = 1e-4  # of the gain that the slope promises, a step has at least

Function = Callable[[Tensor], Tensor]


@checked
@dataclass(frozen=True)
class LearnedDivergence:
    """An f-divergence of two samples, by the best critic that is linear in features.

    Differentiable in points and weights, by the envelope theorem. As a bandwidth chosen from data,
    the scale of the features, that of p, is a constant to autograd. Of n points and k features it
    is too large by about k/n, as the critic is judged where it was fitted.

    Attributes:
        divergence: f, whose slope has to be smooth: not `lfi.losses.TotalVariation()`.
        features: phi, of standardised points (*b, n, d) to (*b, n, k); None for the numbers, their
            squares and products.
        ridge: What a weight's square costs.
        steps: The largest number of Newton steps; a warning tells where they do not suffice.

    Example:
        >>> x = torch.randn(20_000, 1)
        >>> kl = lfi.discrepancies.LearnedDivergence(lfi.losses.KL(), ridge=1e-6)
        >>> round(kl(x + 1, x).item(), 1)  # that of N(1, 1) from N(0, 1) is 1/2
        0.5
    """

    divergence: Divergence = JensenShannon()
    features: Function | None = None
    ridge: float = 0.01
    steps: int = 100

    def __post_init__(self) -> None:
        check_instance("divergence", self.divergence, Divergence, "one such as lfi.losses.KL()")
        if self.divergence.recovers != Recovers.RATIO:
            raise ValueError(
                f"divergence: {type(self.divergence).__name__} has no slope for a critic to follow:"
                " take lfi.losses.JensenShannon() or the like"
            )
        check_positive("ridge", self.ridge)
        check_whole("steps", self.steps)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the value of the best critic; NaN of samples that are not finite."""
        x, y = as_batches(p, q)
        a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
        lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        x, y = (z.expand(*lead, *z.shape[-2:]).reshape(-1, *z.shape[-2:]) for z in (x, y))
        a, b = (w.expand(*lead, w.shape[-1]).reshape(-1, w.shape[-1]) for w in (a, b))
        bad = ~(x.isfinite().flatten(1).all(1) & y.isfinite().flatten(1).all(1))
        x, y = (torch.where(bad[:, None, None], 0.0, z) for z in (x, y))
        mean, scale = _standard(x.detach(), a.detach())
        # where points lie far from each other, squares of features are as large as rounding allows
        of_p, of_q = (self._features((z - mean) / scale).double() for z in (x, y))
        a, b = a.double(), b.double()
        w = self._fitted(of_p.detach(), of_q.detach(), a.detach(), b.detach())
        value = -self._loss(of_p, of_q, a, b)(w) - self.divergence.f(w.new_zeros(()))
        return torch.where(bad, math.nan, value.to(x)).reshape(lead)

    def _features(self, z: Float[Tensor, "b n d"]) -> Float[Tensor, "b n k"]:
        """Return features of standardised points, a constant first."""
        if self.features is None:
            i, j = torch.triu_indices(z.shape[-1], z.shape[-1])
            found = torch.cat([z, z[..., i] * z[..., j]], dim=-1)
        else:
            found = self.features(z)
            if found.ndim != 3 or found.shape[:2] != z.shape[:2]:
                raise ValueError(
                    f"features must map points (*b, n, d) to (*b, n, k), got {tuple(found.shape)} "
                    f"of {tuple(z.shape)}"
                )
        return torch.cat([torch.ones_like(found[..., :1]), found], dim=-1)

    def _loss(self, of_p: Tensor, of_q: Tensor, a: Tensor, b: Tensor) -> Function:
        """Return what critics minimise, as a function of their weights."""

        def loss(w: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
            risk = (b * self.divergence.conjugate(_at(of_q, w))).sum(1)
            risk = risk - (a * self.divergence.slope(_at(of_p, w))).sum(1)
            return risk + self.ridge / 2 * w[:, 1:].square().sum(1)

        return loss

    @torch.no_grad()
    def _fitted(self, of_p: Tensor, of_q: Tensor, a: Tensor, b: Tensor) -> Float[Tensor, "b k"]:
        """Return the weights of the best critics, by Newton steps."""
        cost = of_p.new_full((of_p.shape[2],), self.ridge)
        cost[0] = 0.0  # the constant
        w, loss = of_p.new_zeros(len(of_p), of_p.shape[2]), self._loss(of_p, of_q, a, b)
        now, gain = loss(w), w.new_full((len(w),), math.inf)
        for _ in range(self.steps):
            first_p, second_p = _derivatives(self.divergence.slope, _at(of_p, w))
            first_q, second_q = _derivatives(self.divergence.conjugate, _at(of_q, w))
            pull = (of_q.mT @ (b * first_q)[..., None] - of_p.mT @ (a * first_p)[..., None])[..., 0]
            pull = pull + cost * w
            # where a divergence's loss is not convex, only what curves upwards
            heavy_p, heavy_q = a * (-second_p).clamp(min=0), b * second_q.clamp(min=0)
            curvature = (of_q * heavy_q[..., None]).mT @ of_q
            curvature = curvature + (of_p * heavy_p[..., None]).mT @ of_p + torch.diag(cost)
            largest = curvature.diagonal(dim1=1, dim2=2).amax(1)[:, None, None]
            curvature = curvature + FLAT * largest * torch.eye(w.shape[1], dtype=w.dtype)
            move = -torch.linalg.solve_ex(curvature, pull[..., None]).result[..., 0]
            gain = -(pull * move).sum(1)
            w, now = _line_search(loss, w, move, now, gain)
            if (gain <= ENOUGH * (1 + now.abs())).all():
                break
        else:
            warn_caller(
                f"LearnedDivergence: the critic could still gain {gain.max().item():.1e} after "
                f"{self.steps} steps: raise ridge or steps",
                RuntimeWarning,
            )
        return w


def _line_search(
    loss: Function, w: Tensor, move: Tensor, now: Tensor, gain: Tensor
) -> tuple[Tensor, Tensor]:
    """Return weights moved as far as each loss falls, halving the steps of those that do not."""
    length = torch.ones_like(now)
    for _ in range(HALVINGS):
        found = loss(w + length[:, None] * move)
        falls = found <= now - ARMIJO * length * gain
        if falls.all():
            break
        length = torch.where(falls, length, length / 2)
    better = found <= now
    return torch.where(better[:, None], w + length[:, None] * move, w), torch.where(
        better, found, now
    )


def _standard(
    x: Float[Tensor, "b n d"], weight: Float[Tensor, "b n"]
) -> tuple[Float[Tensor, "b 1 d"], Float[Tensor, "b 1 d"]]:
    """Return the mean of weighted points, and their deviations."""
    weight = weight[..., None]
    mean = (weight * x).sum(1, keepdim=True)
    scale = (weight * (x - mean).square()).sum(1, keepdim=True).sqrt()
    return mean, never_zero(scale, x, 1)


def _at(features: Float[Tensor, "b n k"], w: Float[Tensor, "b k"]) -> Float[Tensor, "b n"]:
    return (features @ w[..., None])[..., 0]


def _derivatives(function: Function, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first two derivatives of a function of numbers."""
    with torch.enable_grad():
        h = h.detach().requires_grad_()
        (first,) = torch.autograd.grad(function(h).sum(), h, create_graph=True)
        if not first.requires_grad:  # linear
            return first, torch.zeros_like(first)
        (second,) = torch.autograd.grad(first.sum(), h)
    return first.detach(), second
