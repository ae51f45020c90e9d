"""Sequential ABC: populations, budgets and tolerances to the letter, and weights that are right."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.abc_models import EXPONENTIAL, MODELS, NORMAL, counted, fails
from torch.distributions import Beta, Normal, Uniform

import lfi
from lfi.inference import (
    DefensiveMixture,
    DistanceQuantile,
    ESSFraction,
    GlobalCovariance,
    LocalCovariance,
)
from lfi.inference.abc.accepted import PopulationSummary
from lfi.inference.abc.population import Population, closest
from lfi.inference.abc.smc import (
    _first_population,
    _next_population,
    _next_tolerance,
    _Run,
    _without_ties,
)

MEAN = lfi.abc.Summaries(
    lambda x: x.mean(dim=1), scale=lambda s, s_obs: torch.ones_like(s_obs), adaptive=False
)
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)


def run(model, **changes):
    arguments = {
        "discrepancy": lfi.discrepancies.Energy(),
        "particles": 300,
        "budget": 4_000,
        "seed": 1,
    }
    return lfi.abc_smc(model, NORMAL.x_obs, **(arguments | changes))


def assert_ranks_are_uniform(model, accepted):
    """Theta given its own data is exact: weighted ranks have mean 1/2 and mean square 1/3."""
    ranks, weights = model.ranks(accepted.theta, accepted.x), accepted.weights
    for power, exact in ((1, 1 / 2), (2, 1 / 3), (4, 1 / 5)):
        value = ranks**power
        error = (weights.square() @ (value - exact).square()).sqrt()
        assert abs(weights @ value - exact) < 5 * error


@pytest.mark.parametrize("budget", [300, 599, 900, 2_501, 4_000])
def test_the_budget_is_spent_to_the_last_simulation(budget):
    simulator, counts = counted(NORMAL)
    accepted = run(simulator, budget=budget)
    # every call is of 20 trials for each parameter vector
    assert sum(counts) == 20 * budget
    assert accepted.simulations == budget
    assert sum(generation.simulations for generation in accepted.history) == budget


def test_populations_and_tolerances_are_as_they_say():
    accepted = run(NORMAL.simulator)
    assert len(accepted) == 300
    assert accepted.distances.max() == accepted.tolerance == accepted.history[-1].tolerance
    assert (accepted.distances.diff() >= 0).all()
    tolerances = [generation.tolerance for generation in accepted.history]
    assert len(tolerances) > 3
    assert tolerances == sorted(set(tolerances), reverse=True)
    assert accepted.history[0].acceptance == 300 / accepted.history[0].simulations
    for generation in accepted.history:
        came = generation.acceptance * generation.simulations  # the others survive from before
        assert came == pytest.approx(round(came)) and 0 < came <= 300.001
        assert 1 <= generation.ess <= 300.001
        assert generation.seconds > 0
    again = lfi.discrepancies.Energy()(accepted.x, NORMAL.x_obs.to(accepted.x))
    torch.testing.assert_close(again.double(), accepted.distances)
    assert accepted.weights.sum().item() == pytest.approx(1)
    assert accepted.ess == pytest.approx(accepted.history[-1].ess)


@pytest.mark.parametrize(
    "schedule", [DistanceQuantile(0.3), DistanceQuantile(0.7), ESSFraction(0.4)]
)
def test_no_population_is_wider_than_its_schedule_asked(schedule):
    seen = []

    class Spy:
        def __call__(self, distances, weights):
            seen.append(schedule(distances, weights))
            return seen[-1]

    accepted = run(NORMAL.simulator, schedule=Spy())
    found = [generation.tolerance for generation in accepted.history[1:]]
    # all but the last, which ends with the budget
    assert all(t <= asked for t, asked in list(zip(found, seen, strict=True))[:-1])


def test_it_ends_within_the_tolerance_and_not_before():
    accepted = run(NORMAL.simulator, tolerance=0.05, budget=50_000)
    *before, last = [generation.tolerance for generation in accepted.history]
    assert last <= 0.05 < min(before)
    assert accepted.simulations < 50_000


def test_it_ends_where_too_few_are_accepted():
    accepted = run(NORMAL.simulator, min_acceptance=0.3, budget=50_000)
    *before, last = [generation.acceptance for generation in accepted.history]
    assert last < 0.3 <= min(before)
    assert accepted.acceptance == last
    assert accepted.simulations < 50_000


def test_it_ends_where_distances_cannot_shrink():
    same = lfi.Simulator(lambda theta: torch.ones(len(theta), 1), prior={"a": Normal(0.0, 1.0)})
    accepted = lfi.abc_smc(same, torch.ones(1), particles=50, budget=1_000, seed=1)
    assert len(accepted.history) == 1
    assert accepted.simulations == 50


def test_ties_go_on_while_there_is_budget():
    same = lfi.Simulator(lambda theta: torch.ones(len(theta), 1), prior={"a": Normal(0.0, 1.0)})
    accepted = lfi.abc_smc(same, torch.zeros(1), particles=50, budget=1_000, seed=1)
    assert accepted.simulations == 1_000
    assert len(accepted) == 50
    few = lfi.abc_smc(same, torch.zeros(1), particles=2, budget=40, seed=1)
    assert few.simulations == 40 and len(few) == 2


def rare(theta: np.ndarray, rng):
    return (rng.random((len(theta), 1)) < theta).astype(float)


@pytest.mark.parametrize(
    ("particles", "budget"), [(50, 2_000), (100, 20_000), (500, 5_000), (500, 20_000)]
)
def test_a_rare_event_has_the_posterior_of_its_tolerance(particles, budget):
    """Beta(1, 99) and one success: Beta(2, 99) at tolerance 0, the prior at tolerance 1."""
    simulator = lfi.Simulator(rare, prior={"p": Beta(1.0, 99.0)})
    exact = {0.0: Beta(2.0, 99.0), 1.0: Beta(1.0, 99.0)}
    arguments = {"particles": particles, "budget": budget}
    runs = [lfi.abc_smc(simulator, torch.ones(1), seed=s, **arguments) for s in range(10)]
    assert all(run.weights.isfinite().all() for run in runs)
    for tolerance, law in exact.items():
        found = [run for run in runs if run.tolerance == tolerance]
        if found:
            # survivors are few and of large weight: their effective size is half of what it seems
            error = law.stddev / math.sqrt(sum(run.ess for run in found) / 2)
            assert abs(sum(run.mean.item() for run in found) / len(found) - law.mean) < 5 * error
    if budget == 20_000:  # 200 successes of the prior alone
        assert all(run.tolerance == 0 for run in runs)


def test_ties_that_are_kept_weigh_as_much_as_all():
    """At a tolerance of 1, half of the prior is 0 away and half 1, whatever was kept of it."""

    def sides(theta, rng: torch.Generator):
        return (theta > 0).to(theta)

    simulator = lfi.Simulator(sides, prior={"a": Normal(0.0, 1.0)})
    rows = {"u": torch.zeros(400, 1), "distances": (torch.arange(400) % 2).double()}
    rows |= {"keys": torch.rand(400, dtype=torch.float64), "shares": torch.ones(400).double()}
    kept = closest(rows, 250)
    weights = 1 / kept["shares"]
    # 50 of 200 ties stand for all of them; the 51st of their keys has a relative error of 1/7
    assert weights[:200].sum() == 200
    assert abs(weights[200:].sum() - 200) < 5 * 200 / math.sqrt(51)
    accepted = lfi.abc_smc(simulator, torch.ones(1), particles=50, budget=50, seed=1)
    assert accepted.weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("particles", [100, 2_000])
def test_a_simulator_that_always_raises_ends_early_with_its_error(particles):
    calls = []

    def broken(theta):
        calls.append(len(theta))
        raise FileNotFoundError("no such table")

    simulator = lfi.Simulator(broken, prior={"a": Normal(0.0, 1.0)}, batched=False)
    with pytest.raises(RuntimeError, match="it raised FileNotFoundError") as caught:
        lfi.abc_smc(simulator, torch.zeros(1), particles=particles, budget=100_000, seed=1)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert len(calls) == 1_000


def test_equal_seeds_give_equal_numbers():
    one, two, other = (run(NORMAL.simulator, budget=1_500, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.theta, two.theta)
    assert torch.equal(one.weights, two.weights)
    assert not torch.equal(one.theta, other.theta)


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    run(NORMAL.simulator, budget=900)
    assert torch.equal(before, torch.get_rng_state())


@each_model
@pytest.mark.parametrize(
    "kernel", [DefensiveMixture(), GlobalCovariance(), LocalCovariance()], ids=repr
)
@pytest.mark.parametrize(
    "discrepancy",
    [
        lfi.discrepancies.MMD(),
        lfi.discrepancies.Wasserstein1D(),
        lfi.discrepancies.Moments(covariances=True),
        lfi.discrepancies.ClassifierDiscrepancy(),
    ],
    ids=lambda discrepancy: type(discrepancy).__name__,
)
def test_theta_is_exact_given_the_accepted_data(model, kernel, discrepancy):
    accepted = lfi.abc_smc(
        model.simulator,
        model.x_obs,
        discrepancy=discrepancy,
        kernel=kernel,
        particles=500,
        budget=5_000,
        seed=1,
    )
    assert_ranks_are_uniform(model, accepted)


@each_model
def test_the_posterior_is_exact_as_the_tolerance_vanishes(model):
    """The tolerance is one of the mean, which is sufficient: what it costs has a bound."""
    x_obs = model.x_obs[:20] * model.x_obs.mean() / model.x_obs[:20].mean()  # 20 trials
    accepted = lfi.abc_smc(
        model.simulator, x_obs, discrepancy=MEAN, particles=500, budget=20_000, seed=1
    )
    at = lambda mean: model.posterior(mean.expand(1, 20, 1))
    exact = at(x_obs.mean())
    # Theta is a mixture of posteriors given means within the tolerance. Their means and
    # distribution functions are monotone in the mean of the data: the ends are the extremes.
    ends = [at(x_obs.mean() + sign * accepted.tolerance) for sign in (-1, 1)]
    shift = max(abs(end.mean().item() - exact.mean().item()) for end in ends)
    theta, weights = accepted.theta[:, 0].double(), accepted.weights
    away = theta - exact.mean().item()
    error = (weights.square() @ away.square()).sqrt()  # of a weighted mean
    assert abs(weights @ away) < 5 * error + shift
    # bounded functions in place of the variance, whose estimate by few weights is not normal
    ranks = torch.as_tensor(exact.cdf(theta.numpy()))
    moved = max(abs(torch.as_tensor(end.cdf(theta.numpy())) - ranks).max() for end in ends)
    for power in (1, 2, 4):
        value, expected = ranks**power, 1 / (power + 1)
        error = (weights.square() @ (value - expected).square()).sqrt()
        assert abs(weights @ value - expected) < 5 * error + power * moved
    # It does vanish: of the last n proposals, at most 3 posterior variances wide and with data of
    # one more, a mean has a density of 0.2 / sd at the observed, and 500 within e of it are 0.4 n
    # e / sd; their number has a relative error of 500^(-1/2).
    n = accepted.history[-1].simulations
    assert shift / exact.std().item() < 500 / (0.4 * n) * (1 + 5 / math.sqrt(500))


def test_a_scale_that_adapts_keeps_the_weights_right():
    summary = lambda x: torch.stack([x.mean(dim=(1, 2)), x.std(dim=(1, 2))], dim=1)
    x_obs = NORMAL.x_obs[:20]
    for distance in (lfi.abc.Summaries(summary), lfi.abc.SemiAutomatic(summary, adaptive=True)):
        accepted = lfi.abc_smc(
            NORMAL.simulator, x_obs, discrepancy=distance, particles=500, budget=5_000, seed=1
        )
        assert_ranks_are_uniform(NORMAL, accepted)


def test_both_modes_are_kept():
    def simulate(theta, rng: torch.Generator):
        return theta.abs() + 0.2 * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    two = lfi.Simulator(simulate, prior={"a": Normal(0.0, 3.0)})
    for kernel in (DefensiveMixture(), GlobalCovariance(), LocalCovariance()):
        accepted = lfi.abc_smc(two, torch.tensor([2.0]), kernel=kernel, budget=10_000, seed=1)
        right = (accepted.theta[:, 0] > 0).double()
        # survivors are resampled ten times: their share walks, as if of ess / 10 draws
        error = math.sqrt(0.25 / (accepted.ess / len(accepted.history)))
        assert abs(accepted.weights @ right - 0.5) < 5 * error


def test_particles_stay_in_the_prior_and_pile_at_its_edge():
    def simulate(theta, rng: torch.Generator):
        return theta + 0.3 * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    edge = lfi.Simulator(simulate, prior={"a": Uniform(0.0, 1.0)})
    accepted = lfi.abc_smc(edge, torch.tensor([0.0]), budget=20_000, seed=1)
    assert ((accepted.theta > 0) & (accepted.theta < 1)).all()
    theta = (torch.arange(10_000) + 0.5) / 10_000  # the exact posterior, by quadrature
    near = torch.special.ndtr((accepted.tolerance - theta) / 0.3)
    near = near - torch.special.ndtr((-accepted.tolerance - theta) / 0.3)
    # the distance is in units of its spread, which is at least a tenth and at most one
    mean = lambda w: (w * theta).sum() / w.sum()
    exact = mean(torch.exp(-theta.square() / 0.18))
    error = (accepted.weights.square() @ (accepted.theta[:, 0] - exact).square().double()).sqrt()
    assert abs(accepted.mean - exact) < 5 * error + abs(mean(near) - exact)


def test_failures_are_rejected_and_counted():
    simulator = lfi.Simulator(fails, prior={"p": Uniform(0.0, 1.0)})
    accepted = lfi.abc_smc(simulator, torch.zeros(1), particles=2_000, budget=30_000, seed=1)
    assert accepted.failed > 1_000
    assert len(accepted) == 2_000
    assert abs(accepted.mean.item() - 1 / 3) < 5 * math.sqrt(1 / 18 / 2_000)


def test_too_many_failures_are_said():
    simulator = lfi.Simulator(fails, prior={"p": Uniform(0.9, 1.0)})
    with pytest.raises(RuntimeError, match="simulations of fails succeeded"):
        lfi.abc_smc(simulator, torch.zeros(1), particles=100, budget=200, seed=1)


@pytest.mark.parametrize(("particles", "budget"), [(1, 100), (200, 100)])
def test_too_few_particles_or_simulations_are_refused(particles, budget):
    with pytest.raises(ValueError, match="particles must be more than"):
        run(NORMAL.simulator, particles=particles, budget=budget)


def test_a_simulator_of_one_vector_that_raises_is_served():
    def one(theta, rng):
        if theta[0] > 1:
            raise ValueError("too large")
        return theta + rng.normal()

    simulator = lfi.Simulator(one, prior={"a": Normal(0.0, 1.0)}, batched=False)
    accepted = lfi.abc_smc(simulator, torch.ones(1), particles=100, budget=600, seed=1)
    assert accepted.simulations == 600
    assert accepted.failed > 0
    assert (accepted.theta <= 1).all()


@pytest.mark.slow  # two fresh Pythons for every batch
def test_workers_change_nothing():
    arguments = {"particles": 50, "budget": 150}
    alone, two = (run(EXPONENTIAL.simulator, workers=n, **arguments) for n in (1, 2))
    assert torch.equal(alone.theta, two.theta)
    assert torch.equal(alone.x, two.x)


# One step, exactly.


def population_of(distances, weights, shares=None, **changes):
    """A population of particles whose number is their parameter, and their data."""
    n = len(distances)
    parts = {
        "u": torch.arange(n, dtype=torch.float64)[:, None],
        "x": torch.arange(n, dtype=torch.float64)[:, None],
        "distances": torch.tensor(distances, dtype=torch.float64),
        "weights": torch.tensor(weights, dtype=torch.float64),
        "keys": torch.linspace(0, 1, n, dtype=torch.float64),
        "shares": torch.tensor(shares or [1.0] * n, dtype=torch.float64),
        "distance": lambda x: x[:, 0],
        "earlier": (),
        "proposals": (),
        "fitted_to": ((torch.zeros(1, 1), torch.zeros(1, 1)),),
    }
    return Population(**(parts | changes))


def summary_of(ess, tolerance=2.0):
    return PopulationSummary(tolerance, 0.5, ess, 10, 0, 0.1)


def test_ties_of_which_a_share_was_kept_are_left_out_where_the_closer_tell_more():
    parts = [0.0, 0.5, 1.0, 2.0], [0.1, 0.1, 0.2, 0.6], [1.0, 1.0, 1.0, 0.2]
    population = population_of(*parts)
    without, latest = _without_ties(population, summary_of(1 / 0.42))
    assert without.u[:, 0].tolist() == [0.0, 1.0, 2.0]
    torch.testing.assert_close(without.weights, torch.tensor([0.25, 0.25, 0.5]))
    assert (latest.tolerance, latest.ess) == (1.0, pytest.approx(8 / 3))
    assert (latest.simulations, latest.acceptance) == (10, 0.5)
    one = population_of([0.0, 2.0], [0.5, 0.5], [1.0, 0.2])
    for kept, ess in (
        (population, 2.7),  # they tell less
        (one, 1.0),  # as much
        (population_of(*parts[:2]), 1 / 0.42),  # no ties are missing
        (population_of([2.0, 2.0], [0.5, 0.5], [0.2, 0.2]), 0.1),  # nothing is closer
    ):
        before = summary_of(ess)
        assert _without_ties(kept, before) == (kept, before)


def steps(distance=MEAN, schedule=None, **changes):
    """The settings of a run in which nothing is simulated, unless there is another simulator."""
    schedule = schedule or DistanceQuantile(0.5)
    plain = {"simulator": NORMAL.simulator, "x_obs": torch.zeros(1, dtype=torch.float64)}
    plain |= {"kernel": GlobalCovariance(), "workers": 1, "timeout": None, "seed": 1}
    plain |= {"particles": 3, "budget": 9, "tolerance": -math.inf, "min_acceptance": 0.0}
    return _Run(distance=distance, schedule=schedule, **(plain | changes))


def test_the_next_tolerance_is_the_schedules_and_closer_than_the_farthest():
    population, seen = population_of([0.0, 1.0, 2.0, 2.0], [0.1, 0.2, 0.3, 0.4]), []

    def schedule(distances, weights):
        seen.append((distances.tolist(), weights.tolist()))
        return 0.5

    assert _next_tolerance(steps(schedule=schedule), population) == (population, 0.5)
    assert seen == [([0.0, 1.0, 2.0, 2.0], [0.1, 0.2, 0.3, 0.4])]
    far = lambda distances, weights: 9.0
    assert _next_tolerance(steps(schedule=far), population) == (population, 1.0)
    assert _next_tolerance(steps(schedule=schedule, tolerance=0.7), population)[1] == 0.7
    assert _next_tolerance(steps(tolerance=2.0), population) is None
    ties = population_of([2.0, 2.0], [0.5, 0.5])
    assert _next_tolerance(steps(), ties)[1] == math.nextafter(2.0, 0.0)
    assert _next_tolerance(steps(), population_of([0.0, 0.0], [0.5, 0.5])) is None
    below = population_of([-1.0, 0.0], [0.5, 0.5])  # as estimates of squares may be
    assert _next_tolerance(steps(), below)[1] == -1.0


class Turned:
    """A distance that is fitted anew: from the mean of what it is fitted to."""

    adaptive = True

    def from_observation(self, x_obs, theta, x):
        at = x.mean()
        return lambda data: (data[:, 0] - at).abs()


def test_a_distance_fitted_anew_sorts_the_particles_and_keeps_the_one_before():
    fits = tuple((torch.zeros(2, 1), torch.tensor([[1.0], [at]])) for at in (3.0, 9.0, 5.0))
    old, first = (lambda x: x[:, 0]), (lambda x: x[:, 0], 9.0)
    changes = {"distance": old, "earlier": (first,), "fitted_to": fits}
    before = population_of([0.0, 1.0, 2.0], [0.2, 0.3, 0.5], [0.7, 0.8, 0.9], **changes)
    after, tolerance = _next_tolerance(steps(Turned()), before)
    assert after.distances.tolist() == [1.0, 2.0, 3.0]  # from 3, and 2 is closest
    assert after.u[:, 0].tolist() == [2.0, 1.0, 0.0]
    assert after.weights.tolist() == [0.5, 0.3, 0.2]
    assert after.shares.tolist() == [0.9, 0.8, 0.7]
    assert after.earlier == (first, (old, 2.0))
    assert tolerance == 1.0
    again = replace(after, distances=torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64))
    assert _next_tolerance(steps(Turned()), again)[0] is again  # no newer data


def test_what_failed_of_the_first_population_is_simulated_again_and_no_more():
    sizes = []

    def simulate(theta, rng: torch.Generator):
        sizes.append(len(theta))
        failing = torch.arange(len(theta))[:, None] < (4 if len(sizes) == 1 else 0)
        return torch.where(failing, torch.nan, theta)

    simulator = lfi.Simulator(simulate, prior={"p": Uniform(0.0, 1.0)})
    lfi.abc_smc(simulator, torch.zeros(1), particles=10, budget=60, seed=1)
    assert sizes[:2] == [10, 4]


def test_every_failure_is_counted():
    failed = []

    def simulate(theta, rng: torch.Generator):
        x = torch.where(torch.rand(theta.shape, generator=rng) < 0.3, torch.nan, theta)
        failed.append(int(x.isnan().sum()))
        return x

    simulator = lfi.Simulator(simulate, prior={"p": Uniform(0.0, 1.0)})
    accepted = lfi.abc_smc(simulator, torch.zeros(1), particles=20, budget=200, seed=1)
    assert accepted.failed == sum(failed) == sum(each.failed for each in accepted.history)
    assert sum(each.failed for each in accepted.history[1:]) > 0


@pytest.mark.parametrize(("budget", "first"), [(50, 50), (99, 99), (100, 50)])
def test_the_first_population_takes_what_is_left_of_too_small_a_budget(budget, first):
    """And weighs its ties by the share that was kept of them."""

    def sides(theta, rng: torch.Generator):
        return (theta > 1).to(theta)

    simulator = lfi.Simulator(sides, prior={"a": Normal(0.0, 1.0)})
    given = {"particles": 50, "budget": budget, "x_obs": torch.ones(1, dtype=torch.float64)}
    begin = time.monotonic()
    population, (summary,) = _first_population(steps(simulator=simulator, **given))
    assert 0 < summary.seconds <= time.monotonic() - begin
    assert (summary.simulations, len(population.u)) == (first, 50)
    share = population.shares[-1].item()
    assert (share < 0.9) == (first == 99)
    assert set(population.shares.tolist()) == {1.0, share}
    per_share = population.weights * population.shares
    torch.testing.assert_close(per_share, per_share[:1].expand(50))


def test_no_random_number_is_taken_twice(monkeypatch):
    """Of parameters, data, and what breaks ties, in every batch of every population."""
    seen = {name: set() for name in ("u", "x", "keys")}

    def spy(rows, n):
        for name, values in seen.items():
            values.update(rows[name].flatten().tolist())
        return closest(rows, n)

    def noise(theta, rng: torch.Generator):
        return torch.rand(theta.shape, generator=rng, dtype=torch.float64)

    monkeypatch.setattr("lfi.inference.abc.smc.closest", spy)
    simulator = lfi.Simulator(noise, prior={"a": Normal(0.0, 1.0)})
    lfi.abc_smc(simulator, torch.zeros(1), particles=20, budget=500, seed=1)
    assert {name: len(values) for name, values in seen.items()} == dict.fromkeys(seen, 500)


def population_within(inside, particles, dim=1):
    """A population of distances 0, 1, ... that weigh 1, 2, ..., and its tolerance of so many."""
    weights = torch.arange(1.0, particles + 1, dtype=torch.float64)
    u = torch.randn(particles, dim, dtype=torch.float64)
    weights = (weights / weights.sum()).tolist()
    return population_of(list(range(particles)), weights, u=u), inside - 1.0


class Batches:
    """A simulator whose batches have so many data at a distance each, the others far away."""

    def __init__(self, *arriving, at=1.0):
        self.arriving, self.at, self.theta, self.x = arriving, at, [], []

    def __call__(self, theta):
        x = torch.full((len(theta), 1), 1e6, dtype=torch.float64)
        x[: self.arriving[len(self.x)]] = self.at
        self.theta.append(theta)
        self.x.append(x)
        return x

    def follow(self, within, *, dim=1, **changes):
        """Return the population that follows and what has been simulated in each batch."""
        prior = dict.fromkeys("ab"[:dim], Normal(0.0, 1.0))
        run = steps(simulator=lfi.Simulator(self, prior=prior), **changes)
        before, tolerance = within
        found, latest = _next_population(run, [summary_of(2.0)], before, tolerance)
        assert latest.simulations == sum(map(len, self.x))
        return found, [len(x) for x in self.x]


@pytest.mark.parametrize(
    ("particles", "dim", "inside", "enough"),
    [  # a quarter of all, or ten for each parameter, but one at least
        (8, 1, 2, True),
        (8, 1, 1, False),
        (7, 1, 1, True),
        (100, 2, 20, True),
        (100, 2, 19, False),
        (60, 1, 10, True),
        (60, 1, 9, False),
    ],
)
def test_proposals_are_around_the_particles_within_if_they_are_enough(
    particles, dim, inside, enough
):
    given, around = population_within(inside, particles, dim), []

    class Spy:
        def around(self, u, weights):
            around.extend((u, weights))
            return GlobalCovariance().around(u, weights)

    changes = {"particles": particles, "kernel": Spy(), "budget": 10_000}
    Batches(particles, at=0.0).follow(given, dim=dim, **changes)
    rows = slice(inside if enough else particles)
    assert torch.equal(around[0], given[0].u[rows])
    torch.testing.assert_close(around[1], given[0].weights[rows] / given[0].weights[rows].sum())


@pytest.mark.parametrize(
    ("inside", "arriving", "changes", "sizes"),
    [
        # As many as Laplace's rule, (arrived + 1) / (simulated + 2), expects to be needed and a
        # tenth more: 1.1 x 6 x 2, 1.1 x 6 x 16 but at most four times 14, 1.1 x 3 x 72 / 4.
        (2, (0, 3, 3), {}, [14, 56, 60]),
        # 1.1 x 2 are less than a tenth of the particles
        (119, (1,), {"particles": 120}, [12]),
        # 10 were simulated before. A population more has to be as large; what is less is spent,
        (2, (6,), {"budget": 38}, [14]),
        (2, (6, 0), {"budget": 37}, [14, 13]),
        # unless all are within the last tolerance.
        (2, (6,), {"budget": 37, "tolerance": 1.0}, [14]),
        (2, (6, 0), {"budget": 37, "tolerance": 0.9}, [14, 13]),
        # 7 are lacking of 16 simulations, which is no less than the least share
        (1, (0, 0), {"min_acceptance": 7 / 16}, [16, 64]),
        (1, (0,), {"min_acceptance": 8 / 16}, [16]),
    ],
)
def test_batches_are_as_large_as_what_is_lacking(inside, arriving, changes, sizes):
    given = population_within(inside, changes.get("particles", 8))
    at = 0.9 if changes.get("tolerance") == 0.9 else inside - 1.0
    changes = {"particles": 8, "budget": 10_000} | changes
    assert Batches(*arriving, at=at).follow(given, **changes)[1] == sizes


@pytest.mark.parametrize("distance", [Turned(), MEAN], ids=["adaptive", "fixed"])
def test_an_adaptive_distance_is_fitted_to_the_first_simulations_of_a_population(
    distance, monkeypatch
):
    monkeypatch.setattr("lfi.inference.abc.smc.MAX_FIT", 20)
    given, batches = population_within(2, 8), Batches(0, 6)
    changes = {"particles": 8, "budget": 150, "distance": distance}
    found, sizes = batches.follow(given, **changes)
    assert sizes == [14, 56]
    assert found.fitted_to[:1] == given[0].fitted_to
    assert len(found.fitted_to) == 1 + distance.adaptive
    if distance.adaptive:
        for made, fitted in zip((batches.theta, batches.x), found.fitted_to[1], strict=True):
            assert torch.equal(fitted, torch.cat(made)[:20].to(fitted))
