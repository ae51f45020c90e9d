"""Sequential ABC: populations of particles that come closer and closer to the observation.

The first generation draws from the prior. Each later one proposes around the particles within
its tolerance, simulates whole batches of proposals, and keeps the closest, as many as asked for,
of all that were ever simulated. The weight of a particle is

    w proportional to p(theta) / sum_s n_s q_s(theta),

where generation s simulated n_s proposals of the density q_s, q_0 being the prior: all generations
are one sample of that mixture, so that every population is a sample of the posterior at its own
tolerance, whatever was proposed. A generation ends when enough particles are within the tolerance
that its schedule set, and no simulation is wasted: survivors of earlier ones need not be simulated
again, and what was simulated beyond that makes it closer yet. When what is left of the budget is
less than the generation took, it is spent on the same generation, the last.

References:
    Beaumont, Cornuet, Marin & Robert, Adaptive approximate Bayesian computation, Biometrika, 2009.
        arXiv:0805.2256
    Lenormand, Jabot & Deffuant, Adaptive approximate Bayesian computation for complex models,
        Computational Statistics, 2013. arXiv:1111.1308 (the closest of all)
    Prangle, Adapting the ABC distance function, Bayesian Analysis, 2017. arXiv:1507.00874 (where
        distances adapt, later populations lie within earlier ones)
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import Discrepancy
from lfi.inference.abc.accepted import Accepted, Generation
from lfi.inference.abc.distances import Distance, Measure, as_distance, measured
from lfi.inference.abc.population import Population, keep, resume, seed_of, settings
from lfi.inference.abc.proposals import Defensive, Kernel, Mixture, Source, log_weights
from lfi.inference.abc.rejection import SCALED
from lfi.inference.abc.schedules import DistanceQuantile, Schedule
from lfi.numerics import effective_sample_size
from lfi.numerics.arrays import as_observation
from lfi.runtime import bar, child, fresh, numpy_rng, torch_rng
from lfi.simulation import Prior, Simulator, as_simulator, simulate_at
from lfi.simulation.records.results import OK, RowResults

MOST = 2**14  # proposals that are simulated at a time
LEARN = 20_000  # simulations of a generation that an adaptive distance learns from
SPARE = 1.1  # proposals per proposal expected to be needed
HALVES, BOTH = DistanceQuantile(0.5), Defensive()  # what is used unless others are asked for
TRIES = 1_000  # batches of proposals without one inside the prior's support


@dataclass(frozen=True, eq=False)
class _Run:
    """What does not change from generation to generation."""

    simulator: Simulator
    x_obs: Tensor
    distance: Distance
    kernel: Kernel
    schedule: Schedule
    particles: int
    budget: int
    tolerance: float
    least_acceptance: float
    workers: int
    timeout: float | None
    seed: int

    @property
    def prior(self) -> Prior:
        """The simulator's."""
        return self.simulator.prior

    def towards(self, theta: Tensor, x: Tensor) -> Measure:
        """Return the distance from the observation, having learned from simulations."""
        return self.distance.towards(self.x_obs.to(x), theta, x)

    def ends(self, latest: Generation, spent: int) -> bool:
        """Return whether a generation is the last."""
        return (
            latest.tolerance <= self.tolerance
            or latest.acceptance < self.least_acceptance
            or self.budget - spent < latest.simulations
        )


def abc_smc(
    simulator: object,
    x_obs: Float[Tensor, "*shape"],
    *,
    discrepancy: Discrepancy | Distance = SCALED,
    particles: int = 1_000,
    budget: int = 100_000,
    schedule: Schedule = HALVES,
    kernel: Kernel = BOTH,
    tolerance: float = -math.inf,
    least_acceptance: float = 0.0,
    workers: int = 1,
    timeout: float | None = None,
    store: str | Path | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> Accepted:
    """Simulate where the posterior is, in populations of shrinking tolerance.

    It ends when a population is within `tolerance`, when fewer than `least_acceptance` of a
    generation's simulations came into its population, when the distances cannot shrink, or else
    when the budget is spent, to the last simulation.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`; it may fail at times.
        x_obs: The observation, (*event); for a discrepancy of samples (m, *event), any m.
        discrepancy: A discrepancy of samples, for data (n, trials, *event), such as
            `lfi.discrepancies.MMD()`; or a distance: `lfi.abc.Summaries()`,
            `lfi.abc.SemiAutomatic()`, `lfi.abc.FittedRatio(posterior)`.
        particles: How many parameters each population holds.
        budget: The most simulations in all, failed ones included.
        schedule: Chooses the next tolerance from a population.
        kernel: Perturbs particles: `Defensive()`, `Global(scale)`, `Local()`.
        tolerance: Where to end. With a distance that adapts it is one of the last generation's.
        least_acceptance: Where to end, as new particles per simulation of a generation.
        workers: How many processes simulate.
        timeout: How many seconds one call of the simulator may take.
        store: A file that keeps the latest population, so that a second call goes on where the
            first was interrupted and ends with the same numbers; None keeps nothing.
        seed: None takes fresh entropy, or the seed that the store has on record.
        progress: Show a bar on a terminal.

    Returns:
        The last population; its `history` tells of each.

    Raises:
        ValueError: If particles or budget are too few, the observation does not fit, or the store
            belongs to another call.
        RuntimeError: If too few of the budget's simulations succeed.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 3.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=prior)
        >>> x_obs = torch.full((2,), 2.0)
        >>> accepted = lfi.abc_smc(noisy, x_obs, particles=200, budget=3_000, seed=1)
        >>> len(accepted), accepted.simulations, bool((accepted.mean - 2).abs() < 0.3)
        (200, 3000, True)
    """
    simulator = as_simulator(simulator)
    if particles <= simulator.prior.dim or budget < particles:
        raise ValueError(
            f"particles must be more than the {simulator.prior.dim} parameters and no more than "
            f"the budget of {budget}, got {particles}"
        )
    x_obs, distance = as_observation(x_obs, dtype=None), as_distance(discrepancy)
    plain = (distance, particles, budget, schedule, kernel, tolerance, least_acceptance)
    shared = settings(simulator.identity, x_obs, *plain)
    seed = fresh(seed if store is None else seed_of(store, shared, seed))
    run = _Run(
        simulator,
        x_obs,
        distance,
        kernel,
        schedule,
        particles,
        budget,
        tolerance,
        least_acceptance,
        workers,
        timeout,
        seed,
    )
    with bar(f"abc {simulator.name}", budget, show=progress) as advance:
        found = None if store is None else resume(store, run.towards)
        population, history = found or _first(run)
        spent = sum(generation.simulations for generation in history)
        advance(spent)
        while True:
            if store is not None:
                keep(store, shared, seed, population, history)
            aimed = None if run.ends(history[-1], spent) else _aimed(run, population)
            if aimed is None:  # or nothing is closer than the farthest particle
                break
            population, latest = _next(run, history, *aimed)
            history, spent = [*history, latest], spent + latest.simulations
            advance(latest.simulations, f"tolerance {latest.tolerance:.4g}")
    return Accepted(
        theta=run.prior.from_unconstrained(population.u)[0],
        weights=population.weights,
        distances=population.distances,
        tolerance=history[-1].tolerance,
        x=population.x,
        x_obs=run.x_obs.to(population.x),
        prior=run.prior,
        simulations=spent,
        failed=sum(generation.failed for generation in history),
        history=tuple(history),
    )


def _first(run: _Run) -> tuple[Population, list[Generation]]:
    """Return the closest of simulations from the prior, and what they cost."""
    began, us, xs, simulated, good = time.monotonic(), [], [], 0, 0
    while True:
        left = run.budget - simulated
        if left == 0 or (good >= run.particles and left >= simulated):
            break
        size = left if good >= run.particles else min(run.particles - good, left, MOST)
        theta = run.prior.sample(size, seed=numpy_rng(run.seed, 0, len(us)))
        block = _simulated(run, theta, 0, len(us))
        simulated, fine = simulated + size, block.codes == OK
        good += int(fine.sum())
        us.append(run.prior.to_unconstrained(theta[fine]).double())
        xs += [] if block.x is None else [block.x[fine]]
    if good < run.particles:
        raise RuntimeError(
            f"{good} of {simulated} simulations of {run.simulator.name} succeeded: "
            f"{run.particles} particles need as many"
        )
    u, x = torch.cat(us), torch.cat(xs)
    lesson = run.prior.from_unconstrained(u[:LEARN])[0], x[:LEARN]
    measure = run.towards(*lesson)
    distances = measured(measure, x)
    if int(distances.isfinite().sum()) < run.particles:
        raise RuntimeError("fewer simulations of the prior than particles have a distance")
    kept = distances.argsort(stable=True)[: run.particles]
    weights = torch.full((run.particles,), 1 / run.particles, dtype=torch.float64)
    population = Population(
        u[kept], x[kept], distances[kept], weights, measure, gates=(), sources=(), lessons=(lesson,)
    )
    account = _account(population, run.particles, simulated, simulated - good, began)
    return population, [account]


def _aimed(run: _Run, before: Population) -> tuple[Population, float] | None:
    """Return the population by the distance as it is now known, and the next tolerance."""
    if len(before.lessons) > len(before.gates) + 1:  # there is more to learn from
        gate = before.measure, float(before.distances.max())
        measure = run.towards(*before.lessons[-1])
        distances = measured(measure, before.x)
        order = distances.argsort(stable=True)
        before = replace(
            before,
            u=before.u[order],
            x=before.x[order],
            distances=distances[order],
            weights=before.weights[order],
            measure=measure,
            gates=(*before.gates, gate),
        )
    closer = before.distances[before.distances < before.distances.max()]
    if len(closer) == 0 or before.distances.max() <= run.tolerance:
        return None
    wanted = min(run.schedule(before.distances, before.weights), float(closer.max()))
    return before, max(wanted, run.tolerance)


def _next(
    run: _Run, history: list[Generation], before: Population, within: float
) -> tuple[Population, Generation]:
    """Return the closest of all, with simulations around the survivors, and what these cost."""
    began, near = time.monotonic(), before.distances <= within
    index, spent = len(history), sum(generation.simulations for generation in history)
    weights = before.weights[near] / before.weights[near].sum()
    mixture = run.kernel.around(before.u[near], weights)
    is_new = torch.zeros(run.particles, dtype=torch.bool)
    pool = before.u, before.x, before.distances, is_new
    lesson: list[tuple[Tensor, Tensor]] = []
    batch = simulated = drawn = failed = arrived = 0
    lacking = run.particles - int(near.sum())
    while True:
        left = run.budget - spent - simulated
        if left == 0 or simulated * run.least_acceptance > lacking:
            break
        if arrived >= lacking:
            done = pool[2][-1] <= run.tolerance
            if done or left >= simulated:  # or another generation can follow
                break
            size = left
        else:
            rate = (arrived + 1) / (simulated + 2)
            size = math.ceil(SPARE * (lacking - arrived) / rate)
            size = max(size, run.particles // 10)
            size = min(size, left, 4 * max(simulated, run.particles))
        size = min(size, MOST)
        u, theta, tried = _proposals(run, mixture, size, index, batch)
        block = _simulated(run, theta, index, batch)
        fine = block.codes == OK
        simulated, drawn, batch = simulated + size, drawn + tried, batch + 1
        failed += int((~fine).sum())
        if block.x is None:
            continue
        theta, x = theta[fine], block.x[fine].to(before.x)
        distances = before.distances_of(x)
        arrived += int((distances <= within).sum())
        if run.distance.adaptive and sum(len(part[0]) for part in lesson) < LEARN:
            lesson.append((theta, x))
        new = u[fine], x, distances, torch.ones(len(x), dtype=torch.bool)
        joined = [torch.cat(pair) for pair in zip(pool, new, strict=True)]
        kept = joined[2].argsort(stable=True)[: run.particles]
        pool = tuple(part[kept] for part in joined)
    u, x, distances, is_new = pool
    sources = (*before.sources, Source(mixture, simulated, simulated / drawn))
    theta, log_jacobian = run.prior.from_unconstrained(u)
    log_prior = run.prior.log_prob(theta).double() + log_jacobian
    weights = log_weights(log_prior, u, history[0].simulations, sources).softmax(dim=0)
    lessons = before.lessons
    if lesson:
        learned = tuple(torch.cat(parts)[:LEARN] for parts in zip(*lesson, strict=True))
        lessons = (*lessons, learned)
    population = replace(
        before, u=u, x=x, distances=distances, weights=weights, sources=sources, lessons=lessons
    )
    return population, _account(population, int(is_new.sum()), simulated, failed, began)


def _proposals(
    run: _Run, mixture: Mixture, n: int, index: int, batch: int
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"], int]:
    """Return n proposals in the prior's support, unconstrained and not, and how many it took."""
    rng, us, missing, drawn = torch_rng(run.seed, index, batch), [], n, 0
    for _ in range(TRIES):
        u, drawn = mixture.sample(missing, rng), drawn + missing
        us.append(u[run.prior.contains(run.prior.from_unconstrained(u)[0])])
        missing -= len(us[-1])
        if missing == 0:
            u = torch.cat(us)
            return u, run.prior.from_unconstrained(u)[0], drawn
    raise RuntimeError("proposals do not fall inside the prior's support")


def _simulated(run: _Run, theta: Tensor, index: int, batch: int) -> RowResults:
    return simulate_at(
        run.simulator,
        theta,
        seed=child(run.seed, index, batch, 1),
        workers=run.workers,
        timeout=run.timeout,
    )


def _account(
    population: Population, arrived: int, simulations: int, failed: int, began: float
) -> Generation:
    return Generation(
        tolerance=float(population.distances.max()),
        acceptance=arrived / simulations,
        ess=float(effective_sample_size(population.weights.log())),
        simulations=simulations,
        failed=failed,
        seconds=time.monotonic() - began,
    )
