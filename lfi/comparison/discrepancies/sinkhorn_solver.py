"""Dual potentials of entropic optimal transport, for `lfi.comparison.discrepancies.sinkhorn`.

In units of epsilon, u = f/epsilon and v = g/epsilon solve_potentials

    u_i = -log sum_j b_j exp(v_j - C_ij/epsilon),    v_j = -log sum_i a_i exp(u_i - C_ij/epsilon).

There are k problems at once, each of which stops when it has converged, so that it does not depend
on its neighbours. Costs are visited in tiles of rows: one where all fit into memory.

Reference: Walker & Ni, Anderson Acceleration for Fixed-Point Iterations. doi:10.1137/10078356X
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.distances import euclidean_distances, squared_distances
from lfi.runtime.calls import warn_caller

KEPT = 2**24  # pairs whose costs are kept; beyond, they are computed anew
TILE = 2**20  # pairs computed at once there
FACTOR = 4.0  # of epsilon from level to level
LEVEL_TOLERANCE, LEVEL_STEPS = 1e-3, 100  # before the last level
MEMORY = 8  # updates that Anderson acceleration combines
MAX_ERROR_GROWTH = 4.0  # of an accelerated update, over the smallest error so far
MAX_DRIFT = 15.0  # of the potentials, in units of epsilon, before a new matrix is made


class Potentials(NamedTuple):
    """In units of epsilon: u, (k, n); v, (k, m); best_u, exact given v; best_v, exact given u."""

    u: Tensor
    v: Tensor
    best_u: Tensor
    best_v: Tensor


class Problem:
    """k pairs of weighted samples, and the costs between their points."""

    def __init__(
        self,
        x: Float[Tensor, "k n d"],
        y: Float[Tensor, "k m d"],
        a: Float[Tensor, "k n"],
        b: Float[Tensor, "k m"],
        epsilon: Float[Tensor, " k"],
        order: float,
    ) -> None:
        """Take samples, weights that sum to 1, epsilon, and the power of the distance."""
        self.alike: bool = x is y and a is b  # samples against themselves: v is u
        centre = ((a[:, :, None] * x).sum(1) + (b[:, :, None] * y).sum(1))[:, None] / 2
        self.x: Tensor = x - centre
        self.y: Tensor = y - centre
        self.a: Tensor = a
        self.b: Tensor = b
        self.epsilon: Tensor = epsilon
        self.order: float = order
        k, n, m = len(x), x.shape[1], y.shape[1]
        size = n if k * n * m <= KEPT else max(1, TILE // (k * m))
        self.rows: list[slice] = [slice(i, min(i + size, n)) for i in range(0, n, size)]
        self.cost: Callable[[slice], Tensor] = self._tiles(self._cost)

    def _tiles(self, make: Callable[[slice], Tensor]) -> Callable[[slice], Tensor]:
        """Return a function of rows that keeps what it made where one tile is all."""
        if len(self.rows) > 1:
            return make
        kept = make(self.rows[0])
        return lambda rows: kept

    def _cost(self, rows: slice) -> Tensor:
        if self.order == 2:
            return squared_distances(self.x[:, rows], self.y)
        length = euclidean_distances(self.x[:, rows], self.y)
        return length if self.order == 1 else length.pow(self.order)

    def largest_cost(self) -> Float[Tensor, " k"]:
        """Return a bound on the costs, and at least epsilon."""
        radius = [z.square().sum(dim=-1).amax(dim=-1).sqrt() for z in (self.x, self.y)]
        return torch.maximum((radius[0] + radius[1]).pow(self.order), self.epsilon)

    def density(
        self, u: Tensor, v: Tensor, epsilon: Tensor | None = None
    ) -> Callable[[slice], Tensor]:
        """Return exp(u + v - C/epsilon), the coupling's density, as a function of rows."""
        epsilon = self.epsilon if epsilon is None else epsilon
        return self._tiles(
            lambda rows: (
                (self.cost(rows) / -epsilon[:, None, None])
                .add_(u[:, rows, None])
                .add_(v[:, None, :])
                .exp_()
            )
        )

    def moves(
        self, density: Callable[[slice], Tensor], du: Tensor, dv: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the best moves from the density's potentials, given those made so far."""
        mass_u, mass_v = (self.a * du.exp())[:, :, None], (self.b * dv.exp())[:, :, None]
        best_u, total = [], torch.zeros_like(mass_v)
        for rows in self.rows:
            tile = density(rows)
            best_u.append(tile @ mass_v)
            if not self.alike:
                total = total + tile.mT @ mass_u[:, rows]
        u = _minus_log(torch.cat(best_u, dim=1))
        return u, u if self.alike else _minus_log(total)

    def slopes(self, found: Potentials) -> tuple[Tensor, Tensor]:
        """Return the derivatives of the cost in x and in y, the potentials held fixed."""
        density = self.density(found.u, found.v)
        from_x, from_y = self.a[:, :, None], self.b[:, :, None]
        grad_x, grad_y = [], torch.zeros_like(self.y)
        for rows in self.rows:
            slope = density(rows) * self._slope(rows)
            x = self.x[:, rows]
            grad_x.append((slope @ from_y) * x - slope @ (from_y * self.y))
            if not self.alike:
                mass = from_x[:, rows]
                grad_y += (slope.mT @ mass) * self.y - slope.mT @ (mass * x)
        exact_x, exact_y = (found.best_u - found.u).exp(), (found.best_v - found.v).exp()
        x = from_x * exact_x[:, :, None] * torch.cat(grad_x, dim=1)
        return x, x if self.alike else from_y * exact_y[:, :, None] * grad_y

    def _slope(self, rows: slice) -> Tensor | float:
        """Return the cost's derivative divided by the difference: order |x - y|^(order - 2)."""
        if self.order == 2:
            return 2.0
        cost = self.cost(rows)
        apart = cost > 0
        power = torch.where(apart, cost, 1.0).pow(1 - 2 / self.order)
        return torch.where(apart, self.order * power, 0.0)


def solve_potentials(problem: Problem, tolerance: float, steps: int) -> Potentials:
    """Return potentials that misplace a share `tolerance` of mass at most, else warn."""
    largest = problem.largest_cost()
    ratio = largest / problem.epsilon  # how large potentials become: their rounding misplaces mass
    rounding = torch.finfo(ratio.dtype).eps * (64 + ratio)
    tolerances = rounding.clamp(max=LEVEL_TOLERANCE).clamp(min=tolerance)
    levels = math.ceil(math.log(ratio.nan_to_num(1.0, 1.0).max().item(), FACTOR))
    u, v, before = torch.zeros_like(problem.a), torch.zeros_like(problem.b), largest
    for level in range(levels):
        epsilon = torch.maximum(largest / FACTOR**level, problem.epsilon)
        rescale = (before / epsilon)[:, None]
        rough = tolerances.clamp(min=LEVEL_TOLERANCE)
        enough = torch.where(epsilon > problem.epsilon, rough, tolerances)
        limit = min(steps, LEVEL_STEPS)
        found, _ = _iterate(problem, epsilon, u * rescale, v * rescale, enough, limit)
        u, v, before = found.u, found.v, epsilon
    rescale = (before / problem.epsilon)[:, None]
    found, wrong = _iterate(problem, problem.epsilon, u * rescale, v * rescale, tolerances, steps)
    if (wrong > tolerances).any():
        warn_caller(
            f"Sinkhorn: a share {wrong.max().item():.1e} of the mass is in the wrong place after "
            f"{steps} steps, above the tolerance {tolerances.min().item():.1e}: raise epsilon or "
            "steps",
            RuntimeWarning,
        )
    return found


def _iterate(
    problem: Problem, epsilon: Tensor, u: Tensor, v: Tensor, enough: Tensor, steps: int
) -> tuple[Potentials, Tensor]:
    """Return potentials at an epsilon, and which share of the mass they misplace."""
    memory = _Memory()
    from_u, from_v, density = u, v, problem.density(u, v, epsilon)
    min_error = torch.ones_like(epsilon)
    for step in range(steps + 1):
        move_u, move_v = problem.moves(density, u - from_u, v - from_v)
        best_u, best_v = from_u + move_u, from_v + move_v
        wrong = torch.maximum(_misplaced(problem.a, u, best_u), _misplaced(problem.b, v, best_v))
        going = wrong > enough
        if step == steps or not going.any():
            break
        state, best = u, best_u
        if not problem.alike:
            state, best = torch.cat([u, v], dim=1), torch.cat([best_u, best_v], dim=1)
        plain = (state + best) / 2
        restart = wrong > MAX_ERROR_GROWTH * min_error  # the acceleration diverges
        mixed = memory.mix(plain, plain - state, restart[:, None])
        state = torch.where(going[:, None], mixed, state)
        min_error = torch.where(restart, wrong.clamp(max=1.0), torch.minimum(min_error, wrong))
        u, v = (state, state) if problem.alike else state.split([u.shape[1], v.shape[1]], dim=1)
        if any(((to - start).abs() > MAX_DRIFT).any() for to, start in ((u, from_u), (v, from_v))):
            from_u, from_v, density = u, v, problem.density(u, v, epsilon)
    return Potentials(u, v, best_u, best_v), wrong


def _minus_log(mass: Float[Tensor, "k n 1"]) -> Float[Tensor, "k n"]:
    """Return -log of masses; where one has left the range of numbers, the move is merely large."""
    info = torch.finfo(mass.dtype)
    return -mass[:, :, 0].clamp(info.tiny, info.max).log()


def _misplaced(weight: Tensor, u: Tensor, best: Tensor) -> Float[Tensor, " k"]:
    """Return how far the mass at the points is from their weights."""
    return (weight * torch.expm1((u - best).clamp(max=50.0)).abs()).sum(dim=-1)


class _Memory:
    """Anderson acceleration: the combination of the last updates with the smallest residual."""

    def __init__(self) -> None:
        self.updates: list[Tensor] = []
        self.residuals: list[Tensor] = []

    def mix(self, update: Tensor, residual: Tensor, forget: Tensor) -> Tensor:
        """Return the next state, (k, n): the plain update for problems that `forget`, (k, 1)."""
        self.updates = _remembered(self.updates, update, forget)
        self.residuals = _remembered(self.residuals, residual, forget)
        if len(self.updates) == 1:
            return update
        updates = torch.stack(self.updates, dim=1).diff(dim=1)
        residuals = torch.stack(self.residuals, dim=1).diff(dim=1)
        gram = residuals @ residuals.mT
        largest = gram.diagonal(dim1=1, dim2=2).amax(dim=1)[:, None, None]
        identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
        info = torch.finfo(gram.dtype)
        # a ridge of rounding; a problem that stands still has gram = 0 and takes no part
        gram = gram + (1e3 * info.eps * largest + info.tiny) * identity
        share = torch.linalg.solve(gram, residuals @ residual[:, :, None])
        return update - (share * updates).sum(dim=1)


def _remembered(states: list[Tensor], state: Tensor, forget: Tensor) -> list[Tensor]:
    """Return the last states with another; where all are to be forgotten, only it."""
    if forget.any():
        states = [torch.where(forget, state, old) for old in states]
    return [*states[1 - MEMORY :], state]
