"""f-divergences from a user's f, as a function of u = p/q, by autograd.

    FDivergence(lambda u: u * u.log())          is KL, with f'(u) and u f'(u) - f(u) derived

f is evaluated at u = exp(h) in float64 for |h| up to an edge between 12 and 18, as a rule: at
u = 10^8 a formula such as u log u - (1+u) log(1+u) has lost half of its digits. Beyond, f continues
as the power of u that it is there: with s(h) = f'(exp(h)), at a distance t outside the edge,

    s' = s'(edge) exp(k t)             of the rate k that s' has at the edge,
    conjugate' = exp(h) s'             as of every convex function,

so that the optimum stays log r, whatever the rate. Growing exponentials become lines where those of
the named divergences do, and a steep f has its edge sooner: all is finite to |h| = 10^4.

Strict convexity is checked on a grid of |h| <= 12 (f above its tangents, slope growing): an f that
is straight somewhere has no unique best critic and is refused.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import Divergence, expm1, limit
from lfi.numerics.arguments import checked

EXACT = 18.0  # |h| to which the formula is used
CHECKED = 12.0  # |h| to which it is checked
TOLERANCE = 1e-5  # how far s' may be from what its rate at both ends of a step says


@dataclass(frozen=True)
class _Edge:
    """Where f becomes a power: at h = side * at, with s' growing outwards like exp(rate t)."""

    side: int
    at: float
    steepness: float  # s' at the edge
    rate: float

    @property
    def trusted(self) -> bool:
        """Whether nothing has overflowed, nor will until exponentials become lines."""
        growth = max(self.rate, self.rate + self.side)
        return math.isfinite(growth) and (growth <= 0 or self.at <= limit(growth))

    def slope(self, h: Tensor) -> Tensor:
        """Return what s gains outside the edge."""
        return self.side * self.steepness * self._power(h, self.rate)

    def conjugate(self, h: Tensor) -> Tensor:
        """Return what the conjugate gains outside the edge."""
        steepness = self.steepness * math.exp(self.side * self.at)
        return self.side * steepness * self._power(h, self.rate + self.side)

    def _power(self, h: Tensor, rate: float) -> Tensor:
        """Return the integral of exp(rate t) from the edge to h, 0 inside."""
        t = F.relu(self.side * h - self.at)  # flat at the edge itself, where the inside is not
        if abs(rate) < 1e-6:
            return t
        if rate < 0:
            return torch.expm1(rate * t) / rate
        line = limit(self.rate, self.rate + self.side) - self.at
        return expm1(t, rate, max(0.0, line)) / rate


@checked
@dataclass(frozen=True, repr=False)
class FDivergence(Divergence):
    """The divergence of any strictly convex f, given as a function of u = p/q.

    It is a loss of critics and of generators like every named divergence. A subclass of
    `Divergence` with two formulas in h is faster and exact further out.

    Attributes:
        function: f, of positive float64 tensors, elementwise, three times differentiable.

    Raises:
        TypeError: If f is not callable, or does not return a tensor.
        ValueError: If f changes shapes, is not finite, or is not strictly convex, on the grid.

    Example:
        >>> le_cam = FDivergence(lambda u: (u - 1) ** 2 / (u + 1))
        >>> h_p, h_q = torch.tensor([1.0, 2.0]), torch.tensor([-1.0, 0.5])
        >>> torch.isclose(le_cam(h_p, h_q), lfi.losses.Triangular()(h_p, h_q))
        tensor(True)
        >>> FDivergence(lambda u: u * (3 - u))
        Traceback (most recent call last):
        ...
        ValueError: f must be strictly convex: its slope does not grow at u = ...
    """

    function: Callable[[Tensor], Tensor]

    def __post_init__(self) -> None:
        h = torch.linspace(-CHECKED, CHECKED, 481, dtype=torch.float64)
        u = h.exp()
        if not callable(self.function):
            raise TypeError(f"f must be a function of a tensor, got {self.function!r}")
        f = self.function(u)
        if not isinstance(f, Tensor):
            raise TypeError(f"f must return a tensor, got {type(f).__name__}")
        if f.shape != u.shape:
            raise ValueError(
                f"f must be elementwise: of shape {tuple(u.shape)} it made {tuple(f.shape)}"
            )
        slope, _ = self._inside(h)
        for name, values in (("f", f), ("f'", slope)):
            if not values.isfinite().all():
                where = u[~values.isfinite()][0].item()
                raise ValueError(f"f must be smooth and finite: {name} is not at u = {where:.3g}")
        steepness = self._steepness(h)
        stuck = (steepness <= 0).nonzero()
        if len(stuck):
            where = u[stuck[0]].item()
            raise ValueError(
                f"f must be strictly convex: its slope does not grow at u = {where:.3g}"
            )
        grown = (steepness[1:] + steepness[:-1]) / 2 * h.diff()
        jumps = (slope.diff() - grown).abs() > 0.1 * grown + 1e-9 * slope[1:].abs()
        if jumps.any():
            raise ValueError(
                f"f must be smooth: its slope jumps at u = {u[1:][jumps][0].item():.3g}"
            )
        above = f - (f[:, None] + slope[:, None] * (u - u[:, None]))  # tangents in rows
        below = (above < -1e-8 * (f.abs() + f.abs()[:, None])).nonzero()
        if len(below):
            i, j = below[0].tolist()
            raise ValueError(
                f"f must be convex: at u = {u[j].item():.3g} it lies below its tangent at "
                f"u = {u[i].item():.3g}"
            )
        _ = self._edges  # a formula that fails at its edges fails here

    def __repr__(self) -> str:
        return f"FDivergence({getattr(self.function, '__name__', self.function)})"

    def _slope(self, h: Tensor) -> Tensor:
        return self._continued(h, 0)

    def _conjugate(self, h: Tensor) -> Tensor:
        return self._continued(h, 1)

    def _continued(self, h: Tensor, which: int) -> Tensor:
        left, right = self._edges
        wide = h.double()
        total = self._inside(wide.clamp(-left.at, right.at))[which]
        for edge in self._edges:
            total = total + (edge.conjugate(wide) if which else edge.slope(wide))
        return total.to(h.dtype)

    def _inside(self, h: Float[Tensor, "*n"]) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
        """Return f'(u) and u f'(u) - f(u) at u = exp(h), differentiable in h."""
        u = h.exp()
        f, pull, *_ = torch.func.vjp(self.function, u)
        (slope,) = pull(torch.ones_like(f))
        return slope, u * slope - f

    @torch.enable_grad()
    def _steepness(self, h: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the derivative of f'(u) in h, u f''(u)."""
        h = h.detach().requires_grad_()
        slope, _ = self._inside(h)
        if not slope.requires_grad:
            return torch.zeros_like(h)
        return torch.autograd.grad(slope.sum(), h)[0]

    @cached_property
    def _edges(self) -> tuple[_Edge, _Edge]:
        return self._edge(-1), self._edge(1)

    @torch.enable_grad()
    def _edge(self, side: int) -> _Edge:
        """Return a side's outermost edge where cancellation has taken no digits of derivatives."""
        at = torch.arange(1.0, EXACT + 1, dtype=torch.float64)
        h = (side * at).requires_grad_()
        slope, _ = self._inside(h)
        (first,) = torch.autograd.grad(slope.sum(), h, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), h)
        rate = side * second / first
        steps = first.log().diff() - (rate[1:] + rate[:-1]) / 2
        off = torch.cat([steps.new_full((1,), math.inf), steps.abs()])
        rows = torch.stack([at, first, rate, off], 1).tolist()
        edges = [(_Edge(side, *numbers), error) for *numbers, error in rows]
        candidates = [(edge, error) for edge, error in edges if edge.trusted]
        if not candidates:
            raise ValueError("f must not grow so steeply: it overflows at u = e or u = 1/e")
        exact = [edge for edge, error in candidates if error < TOLERANCE]
        return exact[-1] if exact else min(candidates, key=lambda pair: pair[1])[0]
