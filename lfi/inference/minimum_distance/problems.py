"""Distances of simulations from weighted data, many problems at once, and their gradients.

Problem j asks for the theta at which the simulator's distribution is closest to the sample
sum_i w_ji delta(x_i) of its data set. All problems are simulated and compared together, in groups
that fit in memory. Their gradients are estimated in one of three ways:

    pathwise       through simulations at fixed random numbers, where the simulator is
                   differentiable
    differences    of values at parameters shifted up and down, from equal random numbers
                   (`common_random_numbers`): two distances for each parameter
    smoothed       by the score function of parameters that are spread by a Gaussian about u:
                   1/(2 s m) sum_i eps_i (f(y_i+) - f(y_i-)), where y_i+- is simulated at
                   u +- s eps_i from equal random numbers and f(y) is the distance's derivative
                   as simulations at u give way to y (its influence function)

The last two need no derivative of the simulator, and see nothing finer than their width: where
paths are chaotic or jump, a derivative along them is noise or misses what matters (Parmas et al.
2018; Metz et al. 2021).

The slope of a bounded kernel vanishes far from the data. Distances that are `drawn_near` are those
of data and simulations over the same factor, above 1 where simulations lie much farther from data
than data do from each other: the kernel's bandwidth is wide until they meet.

Simulations that are not finite count as not made; a problem without two finite ones is infinitely
far from its data, and has no gradient.

References:
    Parmas, Rasmussen, Peters & Doya, PIPPS: flexible model-based policy search robust to the curse
    of chaos, ICML 2018. arXiv:1902.01240
    Metz, Freeman, Schoenholz & Kachman, Gradients are not all you need, 2021. arXiv:2111.05803
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.comparison import MMD, Biased, Discrepancy, Energy, OptimalWeights, fixed
from lfi.comparison.discrepancies.mmd_estimators import AllPairs
from lfi.comparison.kernels.composite import Learned, Sum
from lfi.comparison.kernels.stationary import Kernel, Scaled
from lfi.generation.gradient_estimators import common_random_numbers
from lfi.inference.minimum_distance.noise import law_of, with_noise_beside
from lfi.numerics.distances import squared_distances
from lfi.runtime import child, torch_rng
from lfi.simulation import Simulator, replicate

ENTRIES = 2**20  # of the matrix between data and simulations, held at once
SHARED = 16  # times as many where simulations are shared, and so a small part
LITTLE = 1e-3  # of the mass is at simulations of spread parameters, but for kernels
FAR = 1.5  # times the median distance of data, beyond which simulations are drawn near
SOME = 200  # data points that tell the median distance of data


# Of distances, problems, unconstrained parameters, a width for each of them, and a seed.
Way = Callable[["Distances", "DistanceProblems", Tensor, Tensor, int], Tensor]


@dataclass(frozen=True, eq=False)
class DistanceProblems:
    """What problems compare simulations with.

    Attributes:
        data: Data sets, (k, n, d).
        rows: Which data set is whose, (p,).
        kernels: Which of the discrepancies that were fixed by data is whose, (p,).
        weights: Of the data, (p, n); None for equal ones.
        size: For data of how many points memory is meant, None for n. Problems of equal sizes
            are simulated in equal groups, and so by equal random numbers at equal seeds.
        shared: Whether those of equal parameters in a group share simulations, where gradients
            are not pathwise.
    """

    data: Float[Tensor, "k n d"]
    rows: Int[Tensor, " p"]
    kernels: Int[Tensor, " p"]
    weights: Float[Tensor, "p n"] | None = None
    size: int | None = None
    shared: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, where: slice | Tensor) -> "DistanceProblems":
        """Return some of the problems."""
        weights = None if self.weights is None else self.weights[where]
        return replace(self, rows=self.rows[where], kernels=self.kernels[where], weights=weights)

    def repeated(self, times: int) -> "DistanceProblems":
        """Return every problem several times, one after the other."""
        return self.part(torch.arange(len(self)).repeat_interleave(times))


class Distances:
    """Distances of simulations at unconstrained parameters from the data of problems.

    Attributes:
        points: How many simulated points a problem is compared with at a time.
        way: How gradients are estimated: `pathwise`, `differences` or `smoothed`.
        wide: How many times wider than usual the last two are, as long as no width is known.
        weights: What weighs simulations by their noise; None for equal weights.
        drawn_near: Whether simulations that are far from data are drawn near.
        simulations: How many have been made.
        failed: How many of these were not finite.
    """

    def __init__(
        self,
        simulator: Simulator,
        discrepancy: Discrepancy,
        points: int,
        *,
        weights: OptimalWeights | None = None,
        drawn_near: bool = False,
    ) -> None:
        self.simulator: Simulator = simulator
        self.weights: OptimalWeights | None = weights
        self._law = None if weights is None else law_of(simulator)
        self._run = simulator if weights is None else with_noise_beside(simulator)
        self.discrepancy: Discrepancy = discrepancy
        self.way: Way = Distances.pathwise if simulator.differentiable else Distances.differences
        self.wide: float = 1.0
        self.points: int = points
        self.drawn_near: bool = drawn_near
        self.simulations: int = 0
        self.failed: int = 0

    def by(self, points: int, *, drawn_near: bool = False) -> "Distances":
        """Return the same distances by another number of points, which count by themselves."""
        distances = Distances(
            self.simulator, self.discrepancy, points, weights=self.weights, drawn_near=drawn_near
        )
        distances.way, distances.wide = self.way, self.wide
        return distances

    def whole(self, points: int) -> int:
        """Return a number of points, at least as many, that whole simulations have."""
        trials = self.simulator.independent_draws or 1
        return -(-points // trials) * trials

    def count(self, other: "Distances") -> None:
        """Count what has been simulated for other distances of the same fit."""
        self.simulations += other.simulations
        self.failed += other.failed

    def value(
        self,
        problems: DistanceProblems,
        u: Float[Tensor, "p dim"],
        seed: int,
        points: int | None = None,
    ) -> Float[Tensor, " p"]:
        """Return the distances at u; equal seeds take equal random numbers.

        They are less what depends on the data alone, where the discrepancy can tell, unless the
        number of `points` is given.
        """
        values, size = [], points or self.points
        with torch.no_grad():
            theta = self.simulator.prior.from_unconstrained(u)[0]
            for i, part in enumerate(self._groups(problems, size)):
                rows, back = _distinct(theta[part], problems.shared)
                y, bad = self._usable(self._simulated(rows, size, child(seed, i)))
                found = self._compared(problems.part(part), y[back], bad[back], points is not None)
                values.append(found)
        return torch.cat(values)

    def gradient(
        self,
        problems: DistanceProblems,
        u: Float[Tensor, "p dim"],
        width: Float[Tensor, " dim"],
        seed: int,
    ) -> Float[Tensor, "p dim"]:
        """Return the gradients of the distances at u, those without derivatives of a width."""
        return self.way(self, problems, u, width, seed)

    def pathwise(
        self, problems: DistanceProblems, u: Tensor, _width: Tensor, seed: int
    ) -> Float[Tensor, "p dim"]:
        """Return gradients through simulations."""
        groups = self._groups(problems, self.points)
        parts = [
            self._pathwise(problems.part(g), u[g], child(seed, i)) for i, g in enumerate(groups)
        ]
        return torch.cat(parts)

    def _pathwise(self, problems: DistanceProblems, u: Tensor, seed: int) -> Tensor:
        """Return gradients through simulations."""
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            theta = self.simulator.prior.from_unconstrained(u)[0]
            calls = self._calls(self.points)
            rows = theta.detach().repeat_interleave(calls, 0).requires_grad_()
            x = self._run(rows, seed).reshape(len(u), self.points, -1)
            if not x.requires_grad:
                raise ValueError(
                    f"simulator: {self.simulator.name} is said to be differentiable, but no "
                    "gradient reaches its parameters: compute in torch, or leave differentiable "
                    "False"
                )
            y, bad = self._usable(x.detach())
            y.requires_grad_()
            value = self._compared(problems, y, bad, False)
            if not value.requires_grad:
                raise ValueError(
                    f"discrepancy: {type(self.discrepancy).__name__} has no gradient with respect "
                    "to simulations: take another, or a simulator with differentiable=False, of "
                    "which differences are taken"
                )
            (slope,) = torch.autograd.grad(value.nan_to_num(0.0, 0.0, 0.0).sum(), y)
            slope = torch.where(bad[..., None], 0.0, slope)
            (of_rows,) = torch.autograd.grad(x, rows, slope.to(x))
            of_rows = of_rows.nan_to_num(0.0, 0.0, 0.0)  # at simulations that are not finite
            of_theta = of_rows.unflatten(0, (len(u), calls)).sum(1)
            (gradient,) = torch.autograd.grad(theta, u, of_theta)
        return gradient

    def differences(
        self, problems: DistanceProblems, u: Tensor, width: Tensor, seed: int
    ) -> Float[Tensor, "p dim"]:
        """Return gradients by differences of values at shifted parameters."""
        each = problems.repeated(u.shape[1])
        with torch.enable_grad():
            u = u.detach().requires_grad_()
            found = common_random_numbers(
                lambda shifted, key: self.value(each, shifted, key), u, step=width, seed=seed
            )
            (gradient,) = torch.autograd.grad(found.sum(), u)
        return torch.where(gradient.isfinite(), gradient, 0.0)

    def smoothed(
        self, problems: DistanceProblems, u: Tensor, width: Tensor, seed: int
    ) -> Float[Tensor, "p dim"]:
        """Return gradients by the score function of parameters that are spread about u."""
        groups = self._groups(problems, 3 * self.points)
        parts = [
            self._smoothed(problems.part(g), u[g], width, child(seed, i))
            for i, g in enumerate(groups)
        ]
        return torch.cat(parts)

    def _smoothed(self, problems: DistanceProblems, u: Tensor, width: Tensor, seed: int) -> Tensor:
        calls, size = self._calls(self.points), self.points
        u, back = _distinct(u, problems.shared)
        eps = torch.randn((len(u), calls, u.shape[1]), generator=torch_rng(seed, 0), dtype=u.dtype)
        from_unconstrained = self.simulator.prior.from_unconstrained
        with torch.no_grad():
            x = [self._simulated(from_unconstrained(u)[0], size, child(seed, 1))]
            for sign in (1, -1):
                spread = (u[:, None] + sign * width * eps).flatten(0, 1)
                rows = from_unconstrained(spread)[0]
                x.append(self._rows(rows, child(seed, 2)).reshape(len(u), size, -1))
        y, bad = (each[back] for each in self._usable(torch.cat(x, dim=1)))
        with torch.enable_grad():
            share = torch.zeros(bad.shape, dtype=y.dtype)
            share[:, :size] = 1.0
            if not isinstance(self.discrepancy, MMD | Energy):
                # the potential of a point without mass is not defined
                share[:, size:] = LITTLE / 2
            share = torch.where(bad, 0.0, share).requires_grad_()
            value = self._compared(problems, y, bad, False, share)
            (rise,) = torch.autograd.grad(value.nan_to_num(0.0, 0.0, 0.0).sum(), share)
        influence = rise * (~bad[:, :size]).sum(1, keepdim=True)
        up, down = torch.where(bad, 0.0, influence)[:, size:].split(size, dim=1)
        both = (up - down).unflatten(1, (calls, -1)).mean(2)
        return (both[..., None] * eps[back]).mean(1) / (2 * width)

    @property
    def embeds(self) -> bool:
        """Whether distances are squared ones of mean embeddings, of simulations alike in weight."""
        return isinstance(self.discrepancy, MMD | Energy) and self.weights is None

    @torch.no_grad()
    def products(
        self, problems: DistanceProblems, u: Float[Tensor, "p s dim"], points: int, seed: int
    ) -> Float[Tensor, "p s s"]:
        """Return inner products of the mean embeddings at several parameters of each problem.

        They are means of the kernel over pairs of different random numbers, which are equal at all
        parameters: unbiased, and of nearby parameters equal but for what differs.
        """
        side, found = u.shape[1] * points, []
        pairs = (1 - torch.eye(points, dtype=u.dtype)).repeat(u.shape[1], u.shape[1])
        for i, part in enumerate(torch.arange(len(u)).split(max(1, ENTRIES // side**2))):
            theta = self.simulator.prior.from_unconstrained(u[part])[0]
            x = [self._simulated(each, points, child(seed, i)) for each in theta.unbind(1)]
            y, bad = self._usable(torch.cat(x, dim=1))
            discrepancy = _at_rows(self.discrepancy, problems.kernels[part])
            if isinstance(discrepancy, MMD):
                values = discrepancy.kernel(y, y)
            else:
                values = -squared_distances(y, y).sqrt()
            counted = (~bad).to(y)
            weight = pairs.to(y) * counted[:, :, None] * counted[:, None, :]
            sums = [
                each.reshape(len(part), u.shape[1], points, u.shape[1], points).sum((2, 4))
                for each in (values * weight, weight)
            ]
            found.append(sums[0] / sums[1])
        return torch.cat(found)

    def _groups(self, problems: DistanceProblems, points: int) -> list[slice]:
        """Return which problems are compared at a time."""
        n = problems.size or problems.data.shape[1]
        shared = problems.shared and self.way is not Distances.pathwise
        entries = ENTRIES * (SHARED if shared else 1)
        size = max(1, entries // (max(n, points) * points))
        return [slice(start, start + size) for start in range(0, len(problems), size)]

    def _calls(self, points: int) -> int:
        """Return how many rows of theta give so many points."""
        return points // (self.simulator.independent_draws or 1)

    def _simulated(self, theta: Tensor, points: int, seed: int) -> Float[Tensor, "p m d"]:
        """Return simulations at each theta, NaN where a black box raised; noise is beside them."""
        rows = theta.repeat_interleave(self._calls(points), 0)
        return self._rows(rows, seed).reshape(len(theta), points, -1)

    def _rows(self, theta: Tensor, seed: int) -> Tensor:
        """Return a simulation at each theta."""
        if self.simulator.differentiable:
            return self._run(theta, seed)
        return replicate(self._run, theta, seed=seed)

    def _usable(self, x: Float[Tensor, "p m d"]) -> tuple[Tensor, Tensor]:
        """Return simulations, zero where they are not finite, and which these are."""
        bad = ~x.isfinite().all(-1)
        self.simulations += bad.numel()
        self.failed += int(bad.sum())
        return torch.where(bad[..., None], 0.0, x), bad

    def _compared(
        self,
        problems: DistanceProblems,
        y: Tensor,
        bad: Tensor,
        whole: bool,
        share: Tensor | None = None,
    ) -> Float[Tensor, " p"]:
        """Return the distances of simulations, of which each has a share if given, from data."""
        lost, weight_q = self._weights(y, bad) if share is None else _shares(share)
        y = y[..., : problems.data.shape[2]]  # without the noise
        data = problems.data[problems.rows].to(y)
        discrepancy = _at_rows(self.discrepancy, problems.kernels)
        if share is not None and isinstance(discrepancy, MMD | Energy):
            # a U-statistic's own derivative is not its influence function
            discrepancy = replace(discrepancy, estimator=Biased())
        if self.drawn_near:
            factor = _far(data, y, bad)
            data, y = data / factor, y / factor
        weights: dict[str, Tensor] = {}
        if problems.weights is not None:
            weights["weight_p"] = problems.weights.to(y)
        if weight_q is not None:
            weights["weight_q"] = weight_q
        if whole or not isinstance(discrepancy, MMD | Energy):
            value = discrepancy(data, y, **weights)
        else:
            value = _in_one_tile(discrepancy, data, y).of_q(data, y, **weights)
        return value if lost is None else torch.where(lost, math.inf, value)

    def _weights(self, y: Tensor, bad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return which problems have too few simulations, and the simulations' weights, if any."""
        lost = (~bad).sum(1) < 2 if bad.any() else None
        there = None if lost is None else ~bad | lost[:, None]
        if self.weights is None or self._law is None:
            return lost, None if there is None else there.to(y)
        u, missing = y[..., -len(self._law) :].detach(), None if there is None else ~there
        return lost, self.weights(u, self._law, missing=missing).to(y)


def _distinct(u: Tensor, shared: bool) -> tuple[Tensor, Tensor]:
    """Return parameters, once each where they are shared, and which of them are whose."""
    if not shared:
        return u, torch.arange(len(u))
    return torch.unique(u, dim=0, return_inverse=True)


def _shares(share: Tensor) -> tuple[Tensor, Tensor]:
    """Return which problems have too few simulations that count, and weights that are allowed."""
    lost = (share.detach() >= 1).sum(1) < 2
    return lost, torch.where(lost[:, None], 1.0, share)


@torch.no_grad()
def _far(
    data: Float[Tensor, "p n d"], y: Float[Tensor, "p m d"], bad: Tensor
) -> Float[Tensor, "p 1 1"]:
    """Return how many times too far simulations are from data, 1 where they are near."""
    across = squared_distances(data, y).sqrt()
    across = torch.where(bad[:, None], torch.nan, across).flatten(1).nanmedian(1).values
    some = data[:, :SOME]
    within = squared_distances(some, some).sqrt().flatten(1).median(1).values
    ratio = across / (FAR * within)
    return torch.where(ratio.isfinite(), ratio.clamp(min=1.0), 1.0)[:, None, None]


def fixed_by_data(discrepancy: Discrepancy, data: Float[Tensor, "k n d"]) -> Discrepancy:
    """Return a discrepancy with the bandwidths that data sets choose, one for each of them.

    So what is minimised does not change with the parameters.
    """
    if isinstance(discrepancy, MMD):
        return replace(discrepancy, kernel=fixed(discrepancy.kernel, data, data))
    return discrepancy


def _at_rows(discrepancy: Discrepancy, rows: Int[Tensor, " p"]) -> Discrepancy:
    """Return a discrepancy with the bandwidths of the data sets of problems."""
    if isinstance(discrepancy, MMD):
        return replace(discrepancy, kernel=_kernel_at(discrepancy.kernel, rows))
    return discrepancy


def _kernel_at(kernel: Kernel, rows: Int[Tensor, " p"]) -> Kernel:
    if isinstance(kernel, Learned):
        return replace(kernel, kernel=_kernel_at(kernel.kernel, rows))
    if isinstance(kernel, Sum):
        return replace(kernel, kernels=tuple(_kernel_at(each, rows) for each in kernel.kernels))
    if (
        isinstance(kernel, Scaled)
        and isinstance(kernel.bandwidth, Tensor)
        and kernel.bandwidth.ndim
    ):
        return replace(kernel, bandwidth=kernel.bandwidth[rows])
    return kernel


def _in_one_tile(discrepancy: MMD | Energy, data: Tensor, y: Tensor) -> MMD | Energy:
    """Return a discrepancy that holds all kernel values, which are few, at once."""
    estimator, side = discrepancy.estimator, max(data.shape[1], y.shape[1])
    if isinstance(estimator, AllPairs) and len(y) * y.shape[1] * side <= ENTRIES:
        estimator = replace(estimator, max_entries=len(y) * side**2)
        return replace(discrepancy, estimator=estimator)
    return discrepancy
