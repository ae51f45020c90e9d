"""Sequential ABC: populations of particles with decreasing tolerances.

The first population is drawn from the prior. Each later one proposes around the particles within
the tolerance that the schedule set, simulates whole batches until enough particles are within it,
and keeps the closest, as many as asked for, of all simulations so far. With the weights

    w proportional to p(theta) / sum_s n_s q_s(theta),

where population s simulated n_s proposals of the density q_s, q_0 being the prior, every population
is a sample of the posterior at its own tolerance, whatever was proposed. When what is left of the
budget is less than the population took, it is spent on the same population, the last.

Of simulations that are equally far and at the tolerance, as counts and yes or no are, a random
share is kept and weighs as much as all of them. If they still make up most of the last population,
and the closer particles alone have the larger effective sample size, those are returned. Where few
particles are within the next tolerance, proposals are made around all.

References:
    Beaumont et al., Adaptive approximate Bayesian computation, 2009. arXiv:0805.2256
    Lenormand, Jabot & Deffuant, 2013. arXiv:1111.1308 (keeping the closest of all)
    Prangle, 2017. arXiv:1507.00874 (adaptive distances: later populations lie within earlier ones)
"""

import math
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import Discrepancy
from lfi.inference.abc.accepted import ABCPosterior, PopulationSummary
from lfi.inference.abc.distances import Distance, DistanceFunction, finite_distances
from lfi.inference.abc.population import (
    Population,
    closest,
    load_population,
    save_population,
    settings_hash,
    stored_seed,
)
from lfi.inference.abc.proposals import (
    DefensiveMixture,
    GaussianMixture,
    PerturbationKernel,
    PopulationProposal,
    population_log_weights,
)
from lfi.inference.abc.rejection import distance_for
from lfi.inference.abc.schedules import DistanceQuantile, ToleranceSchedule
from lfi.numerics import effective_sample_size
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_share
from lfi.runtime import bar, child, fresh, numpy_rng, torch_rng
from lfi.simulation import Prior, Simulator, as_simulator, simulate_at
from lfi.simulation.records.results import OK, RowResults
from lfi.simulation.simulators.observed import complete_observation

MAX_BATCH = 2**14  # proposals simulated at a time
MAX_FIT = 20_000  # simulations of a population that an adaptive distance is fitted to
SAFETY = 1.1  # proposals per proposal expected to be needed
MAX_TRIES = 1_000  # batches of proposals without one inside the prior's support
MAX_RAISED = 1_000  # simulations of the prior without a success, before it is given up
FEW = 10  # particles for each parameter: fewer do not tell a covariance with its tails
PARTICLES = ("u", "x", "weights", "keys", "shares")  # what particles have besides distances
DEFAULT_SCHEDULE, DEFAULT_KERNEL = DistanceQuantile(0.5), DefensiveMixture()


@dataclass(frozen=True, eq=False)
class _Run:
    """The settings that all populations share."""

    simulator: Simulator
    x_obs: Tensor
    distance: Distance
    kernel: PerturbationKernel
    schedule: ToleranceSchedule
    particles: int
    budget: int
    tolerance: float
    min_acceptance: float
    workers: int
    timeout: float | None
    seed: int

    @property
    def prior(self) -> Prior:
        """The simulator's."""
        return self.simulator.prior

    def distance_from(self, theta: Tensor, x: Tensor) -> DistanceFunction:
        """Return the distance from the observation, fitted to simulations."""
        return self.distance.from_observation(self.x_obs.to(x), theta, x)

    def ends(self, latest: PopulationSummary, spent: int) -> bool:
        """Return whether a population is the last."""
        return (
            latest.tolerance <= self.tolerance
            or latest.acceptance < self.min_acceptance
            or self.budget - spent < latest.simulations
        )


@checked
def abc_smc(
    simulator: object,
    x_obs: Samples,
    *,
    discrepancy: Discrepancy | Distance | None = None,
    particles: int = 1_000,
    budget: int = 100_000,
    schedule: ToleranceSchedule = DEFAULT_SCHEDULE,
    kernel: PerturbationKernel = DEFAULT_KERNEL,
    tolerance: float = -math.inf,
    min_acceptance: float = 0.0,
    workers: int = 1,
    timeout: float | None = None,
    store: str | Path | None = None,
    seed: int | None = None,
    progress: bool = True,
) -> ABCPosterior:
    """Sample the posterior by sequential ABC, in populations of decreasing tolerance.

    It ends when a population is within `tolerance`, when fewer than `min_acceptance` of a
    population's simulations are accepted, when all distances are zero, or else when the budget is
    spent, to the last simulation.

    Args:
        simulator: A simulator, or a module with `prior` and `simulate`; it may fail at times.
        x_obs: The observation, (*event); for a discrepancy of samples (m, *event), any m.
        discrepancy: A discrepancy of samples, for data (n, trials, *event), such as
            `lfi.discrepancies.MMD()`; or a distance: `lfi.abc.Summaries()`,
            `lfi.abc.SemiAutomatic()`, `lfi.abc.FittedRatio(posterior)`. None takes the sliced
            Wasserstein distance of standardised data for a simulator of independent `trials`, whose
            order tells nothing, and `lfi.abc.Summaries()` else.
        particles: How many parameters each population holds.
        budget: The number of simulations in all, failed ones included.
        schedule: Chooses the next tolerance from a population.
        kernel: Perturbs particles: `lfi.abc.DefensiveMixture()`, `GlobalCovariance(scale)` or
            `LocalCovariance()`.
        tolerance: Where to end. With an adaptive distance it is one of the last population's.
        min_acceptance: Where to end, as new particles per simulation of a population.
        workers: How many processes simulate.
        timeout: How many seconds one call of the simulator may take.
        store: A file that keeps the latest population, so that a second call resumes where the
            first was interrupted and ends with the same numbers; None keeps nothing.
        seed: None takes fresh entropy, or the seed that the store has on record.
        progress: Show a bar on a terminal.

    Returns:
        The last population; its `history` summarises each. It holds fewer than `particles` where
        the budget ended before as many were closer than a large group at equal distances.

    Raises:
        ValueError: If particles or budget are too few, the observation does not fit, or the store
            belongs to another call.
        RuntimeError: If too few of the budget's simulations succeed, from the first error.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 3.0)}
        >>> noisy = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 2), prior=prior)
        >>> x_obs = torch.full((2,), 2.0)
        >>> accepted = lfi.abc_smc(noisy, x_obs, particles=200, budget=3_000, seed=1)
        >>> len(accepted), accepted.simulations, bool((accepted.mean - 2).abs() < 0.3)
        (200, 3000, True)
    """
    simulator = as_simulator(simulator)
    check_share("min_acceptance", min_acceptance, ends=True)
    if tolerance == math.inf:
        raise ValueError(f"tolerance must be a finite distance or -inf, got {tolerance}")
    if particles <= simulator.prior.dim or budget < particles:
        raise ValueError(
            f"particles must be more than the {simulator.prior.dim} parameters and no more than "
            f"the budget of {budget}, got {particles}"
        )
    x_obs = complete_observation(x_obs)
    distance = distance_for(discrepancy, simulator.independent_draws)
    plain = (distance, particles, budget, schedule, kernel, tolerance, min_acceptance)
    shared = settings_hash(simulator.identity, x_obs, *plain)
    seed = fresh(seed if store is None else stored_seed(store, shared, seed))
    ends = particles, budget, tolerance, min_acceptance
    run = _Run(simulator, x_obs, distance, kernel, schedule, *ends, workers, timeout, seed)
    found = None
    if store is not None:
        found = load_population(store, run.prior.dim, run.distance_from)
    before = sum(each.simulations for each in found[1]) if found else 0
    with bar(f"ABC by {simulator.name}", budget, progress, done=before) as advance:
        population, history = found or _first_population(run)
        spent = sum(each.simulations for each in history)
        advance(spent - before)
        while True:
            if store is not None:
                save_population(store, shared, seed, population, history)
            following = None if run.ends(history[-1], spent) else _next_tolerance(run, population)
            if following is None:  # or nothing is closer than the farthest particle
                break
            population, latest = _next_population(run, history, *following)
            history, spent = [*history, latest], spent + latest.simulations
            advance(latest.simulations, f"tolerance {latest.tolerance:.4g}")
    population, history[-1] = _without_ties(population, history[-1])
    return ABCPosterior(
        theta=run.prior.from_unconstrained(population.u)[0],
        weights=population.weights,
        distances=population.distances,
        tolerance=history[-1].tolerance,
        x=population.x,
        x_obs=run.x_obs.to(population.x),
        prior=run.prior,
        simulations=spent,
        failed=sum(each.failed for each in history),
        history=tuple(history),
    )


def _first_population(run: _Run) -> tuple[Population, list[PopulationSummary]]:
    """Return the closest of simulations from the prior, and their summary."""
    began, us, xs, simulated, count = time.monotonic(), [], [], 0, 0
    cause: Exception | None = None
    while True:
        left = run.budget - simulated
        if left == 0 or (count >= run.particles and left >= simulated):
            break
        if count == 0 and simulated >= MAX_RAISED:
            break
        size = left if count >= run.particles else min(run.particles - count, left, MAX_BATCH)
        size = size if count else min(size, MAX_RAISED)
        theta = run.prior.sample(size, seed=numpy_rng(run.seed, 0, len(us)))
        block = _simulated(run, theta, 0, len(us))
        simulated, valid, cause = simulated + size, block.codes == OK, cause or block.cause
        count += int(valid.sum())
        us.append(run.prior.to_unconstrained(theta[valid]).double())
        xs += [] if block.x is None else [block.x[valid]]
    if count < run.particles:
        raise RuntimeError(
            f"{count} of {simulated} simulations of {run.simulator.name} succeeded: "
            f"{run.particles} particles need as many" + (f"; it raised {cause!r}" if cause else "")
        ) from cause
    u, x = torch.cat(us), torch.cat(xs)
    data = run.prior.from_unconstrained(u[:MAX_FIT])[0], x[:MAX_FIT]
    distance = run.distance_from(*data)
    distances = finite_distances(distance, x)
    if int(distances.isfinite().sum()) < run.particles:
        raise RuntimeError("fewer simulations of the prior than particles have a distance")
    keys = torch.rand(len(u), dtype=torch.float64, generator=torch_rng(run.seed, 0, len(us), 2))
    rows = {"u": u, "x": x, "distances": distances, "keys": keys, "shares": torch.ones_like(keys)}
    kept = closest(rows, run.particles)
    weights = 1 / kept["shares"]
    fits = {"distance": distance, "earlier": (), "proposals": (), "fitted_to": (data,)}
    population = Population(**kept, weights=weights / weights.sum(), **fits)
    return population, [_summary(population, run.particles, simulated, simulated - count, began)]


def _next_tolerance(run: _Run, before: Population) -> tuple[Population, float] | None:
    """Return the population by the distance fitted anew, and the next tolerance."""
    if len(before.fitted_to) > len(before.earlier) + 1:  # the distance is adaptive
        latest = before.distance, float(before.distances.max())
        distance = run.distance_from(*before.fitted_to[-1])
        distances = finite_distances(distance, before.x)
        order = distances.argsort(stable=True)
        before = replace(
            before,
            **{name: getattr(before, name)[order] for name in PARTICLES},
            distances=distances[order],
            distance=distance,
            earlier=(*before.earlier, latest),
        )
    farthest = before.distances.max()
    closer = before.distances[before.distances < farthest]
    if farthest <= run.tolerance or (len(closer) == 0 and farthest <= 0):
        return None
    if len(closer) == 0:  # ties: any that is closer will do
        wanted = math.nextafter(float(farthest), -math.inf)
    else:
        wanted = min(run.schedule(before.distances, before.weights), float(closer.max()))
    return before, max(wanted, run.tolerance)


def _next_population(
    run: _Run, history: list[PopulationSummary], before: Population, within: float
) -> tuple[Population, PopulationSummary]:
    """Return the closest of all, with simulations around those within, and their summary."""
    began, inside = time.monotonic(), before.distances <= within
    index, spent = len(history), sum(each.simulations for each in history)
    enough = int(inside.sum()) >= min(FEW * run.prior.dim, max(1, run.particles // 4))
    centres = inside if enough else torch.ones_like(inside)
    weights = before.weights[centres] / before.weights[centres].sum()
    mixture = run.kernel.around(before.u[centres], weights)
    rows = {name: getattr(before, name) for name in ("distances", *PARTICLES) if name != "weights"}
    rows["is_new"] = torch.zeros(run.particles, dtype=torch.bool)
    data: list[tuple[Tensor, Tensor]] = []
    batch = simulated = drawn = failed = arrived = 0
    lacking = run.particles - int(inside.sum())
    while True:
        left = run.budget - spent - simulated
        if left == 0 or simulated * run.min_acceptance > lacking:
            break
        if arrived >= lacking:
            done = rows["distances"][-1] <= run.tolerance
            if done or left >= simulated:  # or another population can follow
                break
            size = left
        else:
            rate = (arrived + 1) / (simulated + 2)
            size = math.ceil(SAFETY * (lacking - arrived) / rate)
            size = max(size, run.particles // 10)
            size = min(size, left, 4 * max(simulated, run.particles))
        size = min(size, MAX_BATCH)
        u, theta, tried = _proposals(run, mixture, size, index, batch)
        block = _simulated(run, theta, index, batch)
        valid = block.codes == OK
        simulated, drawn, batch = simulated + size, drawn + tried, batch + 1
        failed += int((~valid).sum())
        if block.x is None:
            continue
        theta, x = theta[valid], block.x[valid].to(before.x)
        distances = before.distances_of(x)
        arrived += int((distances <= within).sum())
        if run.distance.adaptive and sum(len(part[0]) for part in data) < MAX_FIT:
            data.append((theta, x))
        new = {"u": u[valid], "x": x, "distances": distances}
        rng = torch_rng(run.seed, index, batch, 2)
        new["keys"] = torch.rand(len(x), dtype=torch.float64, generator=rng)
        new |= {
            "shares": torch.ones_like(new["keys"]),
            "is_new": torch.ones(len(x), dtype=torch.bool),
        }
        rows = closest({name: torch.cat([rows[name], new[name]]) for name in rows}, run.particles)
    is_new, u = rows.pop("is_new"), rows["u"]
    proposals = (*before.proposals, PopulationProposal(mixture, simulated, simulated / drawn))
    theta, log_jacobian = run.prior.from_unconstrained(u)
    log_prior = run.prior.log_prob(theta).double() + log_jacobian
    log_weights = population_log_weights(log_prior, u, history[0].simulations, proposals)
    weights = (log_weights - rows["shares"].log()).softmax(dim=0)
    fitted_to = before.fitted_to
    if data:
        joined = tuple(torch.cat(parts)[:MAX_FIT] for parts in zip(*data, strict=True))
        fitted_to = (*fitted_to, joined)
    changed = {"weights": weights, "proposals": proposals, "fitted_to": fitted_to}
    population = replace(before, **rows, **changed)
    return population, _summary(population, int(is_new.sum()), simulated, failed, began)


def _without_ties(
    population: Population, latest: PopulationSummary
) -> tuple[Population, PopulationSummary]:
    """Return the particles closer than ties of which only a share was kept, if they tell more."""
    closer = population.distances < population.distances[-1]
    if population.shares[-1] == 1 or not closer.any():
        return population, latest
    kept = {name: getattr(population, name)[closer] for name in ("distances", *PARTICLES)}
    kept["weights"] = kept["weights"] / kept["weights"].sum()
    ess = float(effective_sample_size(kept["weights"].log()))
    if ess <= latest.ess:
        return population, latest
    within = replace(population, **kept)
    return within, replace(latest, tolerance=float(kept["distances"][-1]), ess=ess)


def _proposals(
    run: _Run, mixture: GaussianMixture, n: int, index: int, batch: int
) -> tuple[Float[Tensor, "n dim"], Float[Tensor, "n dim"], int]:
    """Return n proposals in the prior's support, unconstrained and not, and how many it took."""
    rng, us, missing, drawn = torch_rng(run.seed, index, batch), [], n, 0
    for _ in range(MAX_TRIES):
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


def _summary(
    population: Population, arrived: int, simulations: int, failed: int, began: float
) -> PopulationSummary:
    return PopulationSummary(
        tolerance=float(population.distances.max()),
        acceptance=arrived / simulations,
        ess=float(effective_sample_size(population.weights.log())),
        simulations=simulations,
        failed=failed,
        seconds=time.monotonic() - began,
    )
