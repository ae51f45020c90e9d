"""Minimum-distance estimation: the parameters at which simulations are closest to data.

    theta = argmin D(p_theta, 1/n sum_i delta(x_i))

With a distance that few odd data points cannot move far, such as the MMD of a bounded kernel, the
estimate is robust where a likelihood's is not. Descents start at the best of many prior draws, by
the energy distance, and take fresh simulations at every step, so that with an unbiased distance few
points a step are enough; a kernel is wide until simulations have come near. Which estimate of the
gradient is taken is measured, where descents start and again where they end. Newton steps with the
curvature at the minimum end them, where they bring simulations no farther from data. A bootstrap
then solves the same problem for other data, all at once.

References:
    Bernton, Jacob, Gerber & Robert, On parameter estimation with the Wasserstein distance,
    Information and Inference 2019. arXiv:1701.05146
    Cherief-Abdellatif & Alquier, Finite sample properties of parametric MMD estimation, Bernoulli
    2022. arXiv:1912.05737
"""

import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.comparison import MMD, Biased, Discrepancy, Energy, OptimalWeights, Unbiased
from lfi.inference.draws import Draws
from lfi.inference.minimum_distance.bootstrap import (
    Bootstrap,
    PosteriorBootstrap,
)
from lfi.inference.minimum_distance.curvature import curvature_at, mean_gradient
from lfi.inference.minimum_distance.descent import WIDTH as DESCENT_WIDTH, Descended, descend
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances, fixed_by_data
from lfi.inference.minimum_distance.replicates import Centre, solve_replicates
from lfi.inference.minimum_distance.result import (
    SAME,
    SETTLED,
    MinimumDistance,
    Starts,
)
from lfi.inference.minimum_distance.ways import choose_way
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_observation
from lfi.numerics.checks import check_instance, check_whole
from lfi.runtime import Advance, bar, child, fresh, numpy_rng
from lfi.simulation import Simulator, as_simulator, replicate

STEPS, STARTS = 300, 4
RATE = 0.1  # the first step, in deviations of the prior
CANDIDATES = 64  # prior draws for each start
FEW = 32  # points a step, where the distance is unbiased
MOST = 256  # points a step where it is not
WEIGHTED = 128  # points a step where they have weights, whose bias falls faster than equal ones'
CURVATURE_POINTS, GRADIENT_POINTS = 8, 200  # for each data point, at the minimum,
WIDE_GRADIENT_POINTS = 80  # where gradients are wide, and so vary less
NEWTON = (0.05,) * 8 + (0.25, 1.0, 1.0)  # of these, for gradients about Newton steps
NEWTON_RADIUS = 0.1  # the longest of these, in deviations of the prior
JUDGED = 8  # times that simulations judge whether Newton steps have led nearer,
ERRORS = 3.0  # standard errors beyond which they have not
WIDTH = 0.02  # of what is not pathwise, before the curvature is known, likewise
OF_LENGTH = 0.5  # and after: of the step that saw the curvature
STEPS_PER_NEWTON = 25  # of a descent for one of a replicate
SCALE_DRAWS = 1_000  # of the prior
PROBES = 16  # prior draws, of which one that does not raise tells the shape of x
SHARE = 0.158655  # of a normal distribution, below one deviation under its mean


@checked
def fit_minimum_distance(
    simulator: object,
    x_obs: Samples,
    *,
    discrepancy: Discrepancy | None = None,
    weights: OptimalWeights | None = None,
    bootstrap: int | Bootstrap | None = 200,
    starts: int = STARTS,
    steps: int = STEPS,
    points: int | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> MinimumDistance | tuple[MinimumDistance, ...]:
    """Fit a simulator's parameters by the least distance of its simulations from data.

    Gradients go through the simulator where it is `differentiable`; where it is not, they are
    differences of distances at shifted parameters, two for each parameter. Where another estimate
    of them varies less than a third as much at equal cost, as measured at the start and at the end
    of the descents, that one is taken: differences also through a differentiable simulator, as in
    chaos, or the score function of parameters that are spread about the present ones, whose cost
    does not grow with their number (with an `MMD`, `Energy`, distances of transport and an
    `lfi.discrepancies.LearnedDivergence`). Parameters keep the prior's bounds; it
    has no other say, unless a posterior bootstrap has a concentration.

    Args:
        simulator: An `lfi.Simulator`, or a module or object with `prior` and `simulate`, one of
            whose simulations is one data point; with `trials`, as many as these.
        x_obs: Independent data points, (n, *event), or several data sets, (k, n, *event), which are
            fitted together.
        discrepancy: How far simulations are from data; `lfi.discrepancies.MMD()` by default, with
            the bandwidth that the data choose. A classifier's accuracy has no gradient, and takes a
            simulator that is not `differentiable`.
        weights: `lfi.discrepancies.OptimalWeights()` where the simulator is made of an
            `lfi.simulation.Pushforward`: weights of its simulations by their noise, of which fewer
            then tell as much. None for equal weights.
        bootstrap: How many draws of the posterior bootstrap, a robust posterior; or
            `lfi.inference.ParametricBootstrap()` or `lfi.inference.PosteriorBootstrap()`; None for
            the estimate alone.
        starts: How many descents, from the best of 64 times as many prior draws.
        steps: How many steps each takes.
        points: Simulated data points that each of them takes; by default 32 with an unbiased
            distance, 128 with weights, and else as many as data points, but at most 256.
        seed: None takes fresh entropy, which the result records.
        progress: Show a bar on a terminal.

    Returns:
        The estimate, its draws, and whether it converged; a tuple of these for several data sets.

    Raises:
        TypeError: If the simulator or the discrepancy is none.
        ValueError: If x_obs does not fit the simulator, no simulation is finite, the simulator
            is differentiable and the discrepancy is not, or there are weights where the noise is
            not known or the discrepancy's estimator is not `lfi.discrepancies.Biased`.

    Example:
        >>> from simulators import g_and_k
        >>> def one(theta, rng: torch.Generator):  # a data point of the g-and-k distribution
        ...     return g_and_k.quantile(torch.randn(len(theta), 1, generator=rng), theta)
        >>> simulator = lfi.Simulator(one, prior=g_and_k.prior, differentiable=True)
        >>> x_obs = simulator(torch.tensor([[3.0, 1.0, 2.0, 0.5]]).repeat(200, 1), seed=1)
        >>> found = lfi.fit_minimum_distance(simulator, x_obs, steps=100, bootstrap=20, seed=1)
        >>> found.theta.shape, found.draws.theta.shape
        (torch.Size([4]), torch.Size([20, 4]))
    """
    simulator = as_simulator(simulator)
    if discrepancy is None:
        discrepancy = MMD() if weights is None else MMD(estimator=Biased())
    check_instance("discrepancy", discrepancy, Discrepancy, "a discrepancy, such as MMD()")
    if isinstance(bootstrap, int):
        check_whole("bootstrap", bootstrap, minimum=2)
        bootstrap = PosteriorBootstrap(bootstrap)
    if weights is not None and not _takes_signed_weights(discrepancy):
        raise ValueError(
            "weights: some are negative, which the discrepancy must allow: give "
            "discrepancy=lfi.discrepancies.MMD(estimator=lfi.discrepancies.Biased())"
        )
    check_whole("starts", starts, maximum=1_000)
    check_whole("steps", steps, minimum=10)
    check_whole("points", points, minimum=2, optional=True)
    seed, began = fresh(seed), time.monotonic()
    data, single = _data(simulator, x_obs, child(seed, 0))
    points = WEIGHTED if points is None and weights is not None else points
    size = points or _points(discrepancy, data.shape[1])
    distances = Distances(simulator, fixed_by_data(discrepancy, data), size, weights=weights)
    distances.points = distances.whole(size)
    newton = max(8, steps // STEPS_PER_NEWTON)
    total = steps + newton * (bootstrap is not None)
    with bar("fitting by distance", total, progress) as advance:
        fit = _Fit(distances, data, _scale(simulator, child(seed, 1)), seed, advance)
        found = fit.estimate(starts, steps)
        solved = None if bootstrap is None else fit.replicates(bootstrap, found, newton)
    seconds = time.monotonic() - began
    results = fit.results(found, solved, bootstrap, steps, seconds)
    return results[0] if single else results


@dataclass(frozen=True, eq=False)
class _Found:
    """What descents have found: estimates of k data sets, from s starts."""

    descents: Descended  # (k s, dim), in order of the distance
    values: Float[Tensor, "k s"]
    centre: Centre
    value: Float[Tensor, " k"]
    least: Float[Tensor, " k"]
    width: Float[Tensor, " dim"]


@dataclass(frozen=True, eq=False)
class _Fit:
    """One call's fits of k data sets."""

    distances: Distances
    data: Float[Tensor, "k n d"]
    scale: Float[Tensor, " dim"]
    seed: int
    advance: Advance

    @property
    def problems(self) -> DistanceProblems:
        rows = torch.arange(len(self.data))
        return DistanceProblems(self.data, rows, rows)

    def estimate(self, starts: int, steps: int) -> _Found:
        """Return the estimates, of descents from the best of many prior draws."""
        distances, k = self.distances, len(self.data)
        several = self.problems.repeated(starts)
        first = self._starts(starts)
        self._choose(several, first, RATE * DESCENT_WIDTH, 11)
        went = self._descended(several, first, steps)
        judged = self.distances.whole(max(MOST, distances.points))
        values = distances.value(several, went.u, child(self.seed, 5), judged)
        values, order = values.nan_to_num(nan=torch.inf).reshape(k, starts).sort(dim=1)
        went = went.part((order + starts * torch.arange(k)[:, None]).reshape(-1))
        u = went.u.unflatten(0, (k, starts))[:, 0]
        self._choose(self.problems, u, WIDTH, 12)
        # two at least, which tell their own error
        rounds = max(2, -(-CURVATURE_POINTS * self.data.shape[1] // distances.points))
        inverse, least, seen = curvature_at(
            distances, self.problems, u, self.scale, rounds=rounds, seed=child(self.seed, 6)
        )
        width = OF_LENGTH * seen
        close = self.distances.by(
            max(distances.points, self.distances.whole(min(MOST, self.data.shape[1])))
        )
        u, gradient = self._polished(close, u, inverse, width)
        self.distances.count(close)
        value = distances.value(self.problems, u, child(self.seed, 5), judged)
        centre = Centre(self.problems, u, gradient, inverse, torch.arange(k))
        return _Found(went, values, centre, value, least, width)

    def _choose(self, problems: DistanceProblems, u: Tensor, width: float, key: int) -> None:
        """Set how gradients are estimated from now on, by how much they vary at u."""
        widths, seed = width * self.scale, child(self.seed, key)
        choose_way(self.distances, problems, u, self.scale, widths, seed)

    def _starts(self, starts: int) -> Float[Tensor, "ks dim"]:
        """Return where descents start: the prior draws of least energy distance.

        That of a bounded kernel tells nothing of draws which are far from the data.
        """
        simulator, k = self.distances.simulator, len(self.data)
        theta = simulator.prior.sample(CANDIDATES * starts, seed=numpy_rng(self.seed, 2))
        candidates = simulator.prior.to_unconstrained(theta)
        bounded = isinstance(self.distances.discrepancy, MMD)
        discrepancy = Energy() if bounded else self.distances.discrepancy
        distances = Distances(simulator, discrepancy, self.distances.points)
        many = self.problems.repeated(len(candidates))
        values = distances.value(many, candidates.repeat(k, 1), child(self.seed, 3))
        self.distances.count(distances)
        if not values.isfinite().any():
            raise ValueError(
                f"simulator: no simulation of {simulator.name} was finite at {len(candidates)} "
                "draws of the prior"
            )
        values = values.nan_to_num(nan=torch.inf).reshape(k, -1)
        return candidates[values.topk(starts, largest=False).indices].flatten(0, 1)

    def _descended(self, problems: DistanceProblems, start: Tensor, steps: int) -> Descended:
        """Return where descents arrive; simulations far from data are drawn near by a kernel."""
        own = self.distances
        distances = own.by(own.points, drawn_near=isinstance(own.discrepancy, MMD))
        went = descend(
            distances,
            problems,
            start,
            self.scale,
            rate=RATE,
            steps=steps,
            seed=child(self.seed, 4),
            advance=self.advance,
        )
        self.distances.count(distances)
        return went

    def _polished(
        self, distances: Distances, u: Tensor, inverse: Tensor, width: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return estimates after Newton steps by many simulations, and the gradients there.

        Where a curvature is mostly noise they lead anywhere, and are not taken.
        """
        longest, n = NEWTON_RADIUS * self.scale, self.data.shape[1]
        start, gradient, key = u, torch.zeros_like(u), child(self.seed, 7)
        points = n * (GRADIENT_POINTS if distances.wide == 1 else WIDE_GRADIENT_POINTS)

        def many(u: Tensor, share: float) -> Tensor:
            rounds = -(-round(share * points) // distances.points)
            return mean_gradient(distances, self.problems, u, width, rounds, key)

        for step, share in enumerate(NEWTON):
            if step > 0:
                move = -(inverse @ gradient[..., None])[..., 0]
                u = u + move.clamp(-longest, longest)
            gradient = many(u, share)
        if (farther := self._farther(start, u)).any():
            u = torch.where(farther[:, None], start, u)
            gradient = many(u, NEWTON[-1])
        return u, gradient

    def _farther(self, before: Tensor, after: Tensor) -> Bool[Tensor, " k"]:
        """Return where simulations are farther from data than before, beyond the noise."""
        many, points = (
            self.problems.repeated(JUDGED),
            self.distances.whole(max(MOST, self.distances.points)),
        )
        one, other = (
            self.distances.value(many, u.repeat_interleave(JUDGED, 0), child(self.seed, 10), points)
            for u in (before, after)
        )
        change = (other - one).unflatten(0, (len(before), JUDGED))
        error = change.std(1) / JUDGED**0.5
        return ~(change.mean(1) <= ERRORS * error)  # nan is farther

    def replicates(self, bootstrap: Bootstrap, found: _Found, steps: int) -> Descended:
        """Return the estimates of a bootstrap's data, those of a data set one after the other."""
        simulator, centre = self.distances.simulator, found.centre
        theta = simulator.prior.from_unconstrained(centre.u)[0]
        problems = bootstrap.problems(simulator, self.data, theta, child(self.seed, 8))
        return solve_replicates(
            self.distances,
            problems,
            replace(centre, which=centre.which.repeat_interleave(bootstrap.replicates)),
            self.scale,
            found.width,
            steps=steps,
            seed=child(self.seed, 9),
            advance=self.advance,
        )

    def results(
        self,
        found: _Found,
        solved: Descended | None,
        bootstrap: Bootstrap | None,
        steps: int,
        seconds: float,
    ) -> tuple[MinimumDistance, ...]:
        """Return the result of every data set."""
        return tuple(
            self._result(j, found, solved, bootstrap, steps, seconds) for j in range(len(self.data))
        )

    def _result(
        self,
        j: int,
        found: _Found,
        solved: Descended | None,
        bootstrap: Bootstrap | None,
        steps: int,
        seconds: float,
    ) -> MinimumDistance:
        """Return the result of a data set."""
        distances, k = self.distances, len(self.data)
        prior = distances.simulator.prior
        unit, draws, noise = SETTLED * self.scale, None, None
        made = -(-distances.simulations // k), -(-distances.failed // k)
        if solved is not None and bootstrap is not None:
            own = slice(j * bootstrap.replicates, (j + 1) * bootstrap.replicates)
            deviation = solved.u[own].std(0)
            unit = torch.maximum(unit, deviation)
            error = solved.drift[own].square().mean(0).sqrt() / 2  # of an average of both halves
            # draws that do not differ are all noise
            noise = float((error / deviation).nan_to_num(nan=torch.inf).max())
            theta = prior.from_unconstrained(solved.u[own])[0]
            draws = Draws(
                theta, prior.names, bootstrap.name, float(len(theta)), made[0], seconds, self.seed
            )
        starts = found.values.shape[1]
        own = slice(j * starts, (j + 1) * starts)
        arrived = found.descents.part(own)
        settled = (arrived.drift.abs() <= SAME * unit).all(1)
        left = found.centre.inverse[j] @ found.centre.gradient[j]  # the next Newton step
        settled[0] = (left.abs() <= unit / 2).all()  # the best ends by Newton steps
        return MinimumDistance(
            theta=prior.from_unconstrained(found.centre.u[j])[0],
            draws=draws,
            value=float(found.value[j]),
            prior=prior,
            starts=Starts(
                prior.from_unconstrained(arrived.u)[0],
                found.values[j],
                settled,
                ((arrived.u - found.centre.u[j]).abs() <= SAME * unit).all(1),
            ),
            curvature=float(found.least[j]),
            noise=noise,
            simulations=made[0],
            failed=made[1],
            steps=steps,
            seconds=seconds,
            seed=self.seed,
        )


def _data(simulator: Simulator, x_obs: Samples, seed: int) -> tuple[Float[Tensor, "k n d"], bool]:
    """Return data sets of flattened events, and whether it was a single one."""
    theta = simulator.prior.sample(PROBES, seed=numpy_rng(seed, 0))
    probe = replicate(simulator, theta, seed=child(seed, 1))
    event = tuple(probe.shape[2 if simulator.independent_draws else 1 :])
    x = as_observation(x_obs).to(probe.dtype)
    single = x.ndim == 1 + len(event)
    if not (single or x.ndim == 2 + len(event)) or tuple(x.shape[x.ndim - len(event) :]) != event:
        raise ValueError(
            f"x_obs has shape {tuple(x.shape)}, expected {_shape('n', event)} data points, or "
            f"several data sets {_shape('k, n', event)}: one data point of {simulator.name} has "
            f"shape {event}"
        )
    x = x[None] if single else x
    if x.shape[0] == 0 or x.shape[1] < 2:
        raise ValueError(
            f"x_obs has shape {tuple(x.shape[single:])}: a distance needs at least 2 data points"
        )
    return x.flatten(2) if event else x[..., None], single


def _shape(lead: str, event: tuple[int, ...]) -> str:
    return f"({', '.join([lead, *map(str, event)])}{',' * (lead == 'n' and not event)})"


def _takes_signed_weights(discrepancy: Discrepancy) -> bool:
    return isinstance(discrepancy, MMD | Energy) and isinstance(discrepancy.estimator, Biased)


def _points(discrepancy: Discrepancy, n: int) -> int:
    """Return how many simulated points a step takes by default."""
    few = isinstance(discrepancy, MMD | Energy) and isinstance(discrepancy.estimator, Unbiased)
    return FEW if few else min(n, MOST)


def _scale(simulator: Simulator, seed: int) -> Float[Tensor, " dim"]:
    """Return half the width of the middle two thirds of each unconstrained parameter's prior."""
    draws = simulator.prior.sample(SCALE_DRAWS, seed=numpy_rng(seed, 0))
    u = simulator.prior.to_unconstrained(draws)
    ends = torch.quantile(u, torch.tensor([SHARE, 1 - SHARE], dtype=u.dtype), dim=0)
    return (ends[1] - ends[0]) / 2
