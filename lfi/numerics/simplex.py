"""Convex minimisation over the simplex, by an interior-point method.

    minimise f(v)  subject to  sum v = 1,  0 <= v <= upper.

The optimum is where, for some number nu and multipliers z, s >= 0 of the two bounds,

    grad f(v) + nu - z + s = 0,     z v = 0,    s (upper - v) = 0.

Newton's method solves these with both products equal to a small number that shrinks from step to
step; a step is one Cholesky factorisation. The duality gap, which needs the gradient alone, sorted,
certifies what is returned: max over feasible w of grad f(v)' (v - w) >= f(v) - min f.

Reference: Boyd & Vandenberghe, Convex Optimization, 2004, section 11.7.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

STEPS = 100
SLOW, FAST = 0.1, 0.01  # of the products of a variable and its multiplier, after short, long steps
Derivatives = tuple[Float[Tensor, " n"], Float[Tensor, "n n"]]
Iterate = tuple[Tensor, Tensor, Tensor, float]  # v, z, s and nu


def duality_gap(
    v: Float[Tensor, " n"], gradient: Float[Tensor, " n"], upper: float | None = None
) -> float:
    """Return an upper bound of f(v) - min f for a feasible v: zero at the optimum only."""
    if upper is None:
        return float(gradient @ v - gradient.min())
    left = 1 - upper * torch.arange(len(v), dtype=v.dtype, device=v.device)  # mass yet to be placed
    return float(gradient @ v - gradient.sort().values @ left.clamp(0, upper))


def minimise_on_simplex(
    derivatives: Callable[[Float[Tensor, " n"]], Derivatives],
    start: Float[Tensor, " n"],
    *,
    upper: float | None = None,
    tolerance: float = 1e-9,
) -> Float[Tensor, " n"]:
    """Return the minimiser, inside its bounds, to a duality gap `tolerance`, else RuntimeError.

    `derivatives` gives gradient and Hessian (positive semidefinite) at v; `start` is strictly
    inside and sums to 1; `upper` bounds every entry, above 1/n, None for no bound.
    """
    v = start
    gradient, hessian = derivatives(v)
    gradient_range = float(gradient.max() - gradient.min())
    target = max(gradient_range, tolerance) / len(v)  # of the products v z, and (upper - v) s
    z = target / v
    s = torch.zeros_like(v) if upper is None else target / (upper - v)
    nu = -float(gradient @ v)
    shrink = SLOW
    for _ in range(STEPS):
        if duality_gap(v, gradient, upper) <= tolerance:
            return v
        room = None if upper is None else upper - v
        bounds = 2 - (room is None)
        mean_product = float(z @ v if room is None else z @ v + s @ room) / (bounds * len(v))
        target = shrink * mean_product
        step = _newton(gradient, hessian, (v, z, s, nu), room, target)
        (v, z, s, nu), (gradient, hessian), length = _along(
            derivatives, step, (v, z, s, nu), upper, target, gradient
        )
        shrink = FAST if length > 0.8 else SLOW
    gap = duality_gap(v, gradient, upper)
    if gap > tolerance:
        raise RuntimeError(f"no optimum after {STEPS} steps: the duality gap is {gap:.1e}")
    return v


def _newton(
    gradient: Tensor, hessian: Tensor, at: Iterate, room: Tensor | None, target: float
) -> Iterate:
    """Return Newton's step."""
    v, z, s, nu = at
    diagonal, right = z / v, -(gradient + nu - target / v)
    if room is not None:
        diagonal, right = diagonal + s / room, right - target / room
    factor = torch.linalg.cholesky(hessian + torch.diag(diagonal))
    sides = torch.stack([right, torch.ones_like(v)], dim=1)
    free, of_sum = torch.cholesky_solve(sides, factor).T
    d_nu = (free.sum() - (1 - v.sum())) / of_sum.sum()
    d_v = free - d_nu * of_sum
    d_z = target / v - z - z / v * d_v
    d_s = torch.zeros_like(s) if room is None else target / room - s + s / room * d_v
    return d_v, d_z, d_s, float(d_nu)


def _along(
    derivatives: Callable[[Tensor], Derivatives],
    step: Iterate,
    at: Iterate,
    upper: float | None,
    target: float,
    gradient: Tensor,
) -> tuple[Iterate, Derivatives, float]:
    """Return the point reached along a step, the residual less than before, and its share."""
    d_v, d_z, d_s, d_nu = step
    v, z, s, nu = at
    length = min(1.0, 0.99 * min(_room(v, d_v), _room(z, d_z)))
    if upper is not None:
        length = min(length, 0.99 * min(_room(upper - v, -d_v), _room(s, d_s)))
    before = _residual(gradient, at, upper, target)
    while True:
        new = v + length * d_v, z + length * d_z, s + length * d_s, nu + length * d_nu
        gradient, hessian = derivatives(new[0])
        after = _residual(gradient, new, upper, target)
        if after <= (1 - 0.01 * length) * before or length < 1e-6:
            return new, (gradient, hessian), length
        length /= 2


def _room(value: Tensor, step: Tensor) -> float:
    """Return how far a positive value can go along a step before it is zero."""
    shrinking = step < 0
    if not shrinking.any():
        return float("inf")
    return float((value[shrinking] / -step[shrinking]).min())


def _residual(gradient: Tensor, at: Iterate, upper: float | None, target: float) -> float:
    """Return the norm of what is left of the perturbed conditions."""
    v, z, s, nu = at
    parts = [gradient + nu - z + s, z * v - target, (1 - v.sum())[None]]
    if upper is not None:
        parts.append(s * (upper - v) - target)
    return float(torch.cat(parts).norm())
