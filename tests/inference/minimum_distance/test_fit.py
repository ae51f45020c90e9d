"""Minimum-distance estimates against closed forms, and what is said of them."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import LogNormal, Normal, Uniform

import lfi
from lfi.inference import ParametricBootstrap, PosteriorBootstrap
from lfi.inference.minimum_distance.curvature import curvature_at, mean_gradient
from lfi.inference.minimum_distance.fit import PROBES, _Fit
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.inference.minimum_distance.replicates import Centre, solve_replicates
from lfi.runtime import silent
from simulators import lotka_volterra

QUIET = {"seed": 1, "progress": False}
BANDWIDTH = 1.0
MMD = lfi.discrepancies.MMD(lfi.kernels.Gaussian(BANDWIDTH))


def shifted(theta, rng: torch.Generator):
    return theta + torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype)


def location(differentiable=True, **settings):
    prior = {"mean": Normal(0.0, 3.0)}
    return lfi.Simulator(shifted, prior=prior, differentiable=differentiable, **settings)


def closest(x, weights):
    """Means of normals of deviation 1 with the least MMD to weighted x, (n,) and (b, n), exactly.

    Only E k(x, y) = exp(-(x - mean)^2 / (2 (b^2 + 1))) / (1 + 1/b^2)^(1/2) depends on the mean.
    """
    mean = torch.zeros(len(weights), 1)
    for _ in range(300):
        k = weights * torch.exp(-((x - mean) ** 2) / (2 * (BANDWIDTH**2 + 1)))
        mean = (k * x).sum(1, keepdim=True) / k.sum(1, keepdim=True)
    return mean


def sample(n=100, odd=0.1):
    """Quantiles of Normal(0.5, 1), of which some lie far away."""
    x = Normal(0.5, 1.0).icdf((torch.arange(n) + 0.5) / n)
    x[torch.randperm(n)[: round(odd * n)]] += 8.0
    return x


def test_replicates_are_the_minima_of_their_weighted_data():
    n, b = 50, 60
    x = sample(n)
    weights = PosteriorBootstrap(b).problems(location(), x[None, :, None], torch.zeros(1, 1), 3)
    one = torch.zeros(1, dtype=torch.long)
    centre = DistanceProblems(x[None, :, None], one, one)
    u, scale = closest(x, torch.ones(1, n)), torch.tensor([3.0])
    distances = Distances(location(), MMD, 16)
    inverse, least, _ = curvature_at(distances, centre, u, scale, rounds=50, seed=1)
    gradient = mean_gradient(distances, centre, u, scale, 2_000, 2)
    which = torch.zeros(b, dtype=torch.long)
    found = solve_replicates(
        distances,
        weights,
        Centre(centre, u, gradient, inverse, which),
        scale,
        scale,
        steps=12,
        seed=2,
        advance=silent,
    )
    exact = closest(x, weights.weights)
    assert (found.u - exact).square().mean().sqrt() < 0.25 * exact.std()  # noise of simulations
    assert 0.8 < least < 1  # less three standard errors of 50 rounds
    # the curvature of -2 E k: its second derivative at the minimum
    z = (x - u[0]) ** 2 / (BANDWIDTH**2 + 1)
    k = torch.exp(-z / 2) / math.sqrt(1 + 1 / BANDWIDTH**2) / (BANDWIDTH**2 + 1)
    torch.testing.assert_close(1 / inverse[0, 0, 0], 2 * (k * (1 - z)).mean(), rtol=0.1, atol=0.0)


def test_data_with_pseudo_points_meet_the_simulations_of_those_without(monkeypatch):
    monkeypatch.setattr("lfi.inference.minimum_distance.problems.ENTRIES", 20 * 8 * 5)
    x, one, b = sample(20)[None, :, None], torch.zeros(1, dtype=torch.long), 12
    bootstrap = PosteriorBootstrap(b, concentration=1.0, pseudo=10)
    replicates = bootstrap.problems(location(), x, torch.zeros(1, 1), 3)
    # pseudo-points that weigh nothing: the minima are those of the data, whatever is simulated
    data = torch.cat([torch.ones(b, 20), torch.zeros(b, 10)], 1)
    found = solve_replicates(
        Distances(location(), MMD, 8),
        replace(replicates, weights=data),
        Centre(
            DistanceProblems(x, one, one),
            torch.ones(1, 1),
            torch.zeros(1, 1),
            torch.ones(1, 1, 1),
            torch.zeros(b, dtype=torch.long),
        ),
        torch.ones(1),
        torch.ones(1),
        steps=2,
        seed=2,
        advance=silent,
    )
    torch.testing.assert_close(found.u, torch.ones(b, 1))


def test_an_estimate_is_the_closest_and_its_draws_are_of_the_bootstrap():
    x = sample(60)
    found = lfi.fit_minimum_distance(
        location(),
        x[:, None],
        discrepancy=MMD,
        steps=50,
        points=16,
        starts=2,
        bootstrap=60,
        **QUIET,
    )
    exact = closest(x, torch.ones(1, 60))
    of_bootstrap = closest(x, torch.distributions.Dirichlet(torch.ones(60)).sample((2_000,))).std()
    assert (
        found.theta - exact[0]
    ).abs() < 0.4 * of_bootstrap  # simulations have 1/200 of its variance
    assert float(found.draws.theta.std()) == pytest.approx(
        float(of_bootstrap), rel=5 / math.sqrt(120)
    )
    assert found.converged, found
    assert str(found).startswith("converged\n  mean  ")
    assert found.draws.sampler == "posterior bootstrap"
    low, high = found.interval(0.9)[0]
    assert (
        (found.draws.theta > low) & (found.draws.theta < high)
    ).double().mean() == pytest.approx(0.9, abs=0.02)


def quick(simulator, x, **settings):
    few = {"steps": 10, "starts": 1, "points": 8, "bootstrap": 4} | QUIET
    return lfi.fit_minimum_distance(simulator, x, **few | settings)


def test_several_data_sets_are_fitted_together():
    x = torch.stack([sample(30, 0.0), sample(30, 0.0) + 4])[..., None]
    first, second = quick(location(), x, steps=60, points=16)
    assert first.draws.theta.shape == second.draws.theta.shape == (4, 1)
    # within the noise of estimates and of simulations: 5 errors of a mean of 30
    assert (first.theta - 0.5).abs() < 0.9 and (second.theta - 4.5).abs() < 0.9


def test_a_black_box_is_fitted_too():
    counts = lambda theta, rng: torch.from_numpy(rng.poisson(theta.numpy()).astype(float))
    simulator = lfi.Simulator(counts, prior={"rate": LogNormal(1.0, 1.0)})
    x = torch.poisson(torch.full((60, 1), 5.0))
    found = quick(
        simulator, x, steps=60, starts=2, points=16, discrepancy=lfi.discrepancies.Energy()
    )
    # the energy distance loses little to the mean: 5 of its errors
    assert (found.theta - x.mean()).abs() < 5 * (5 / 60) ** 0.5


def features(x):
    return torch.cat([torch.tanh(x + 1), torch.tanh(x - 1)], dim=-1)


LEARNED = lfi.discrepancies.MMD(lfi.kernels.Learned(features, lfi.kernels.Gaussian()))


@pytest.mark.parametrize(
    ("discrepancy", "differentiable"),
    [
        (lfi.discrepancies.ClassifierDiscrepancy(), False),
        (LEARNED, True),
        (lfi.discrepancies.LearnedDivergence(), True),
        (lfi.discrepancies.LearnedDivergence(), False),
        (lfi.discrepancies.LearnedDivergence(lfi.losses.KL()), True),
    ],
    ids=["classifier", "learned kernel", "critic", "critic, black box", "critic of KL"],
)
def test_a_location_is_recovered_by_a_distance_that_is_learned(discrepancy, differentiable):
    n, truth = 100, 0.5
    x = torch.randn(n, 1) + truth
    simulator = location(differentiable)
    found = quick(simulator, x, discrepancy=discrepancy, steps=100, points=n, bootstrap=None)
    # in 20 data sets the classifier's root mean square error was 1.4 / sqrt(n), the mean's is 1
    assert abs(float(found.theta) - truth) < 4 * 1.4 / math.sqrt(n)


def test_a_classifier_s_accuracy_has_no_gradient_to_go_by():
    with pytest.raises(ValueError, match="ClassifierDiscrepancy has no gradient"):
        quick(
            location(), sample(30)[:, None], discrepancy=lfi.discrepancies.ClassifierDiscrepancy()
        )


def test_parameters_keep_the_prior_s_bounds():
    simulator = lfi.Simulator(shifted, prior={"mean": Uniform(0.0, 1.0)}, differentiable=True)
    found = quick(simulator, sample(30)[:, None] + 3, steps=40)
    assert 0.9 < found.theta < 1
    assert ((found.draws.theta > 0) & (found.draws.theta < 1)).all()


def test_simulations_are_counted():
    rows = []

    def counted(theta, rng: torch.Generator):
        rows.append(len(theta))
        return shifted(theta, rng)

    prior = {"mean": Normal(0.0, 3.0)}
    for differentiable in (True, False):
        rows.clear()
        simulator = lfi.Simulator(counted, prior=prior, differentiable=differentiable)
        found = quick(simulator, sample(10)[:, None], bootstrap=ParametricBootstrap(4))
        # besides, those for the shape of x, and the data sets of the bootstrap
        assert found.simulations == sum(rows) - PROBES - 4 * 10


@pytest.mark.parametrize("concentration", [0.0, 1e6])
def test_a_concentrated_bootstrap_is_drawn_to_the_prior_predictive(concentration):
    bootstrap = PosteriorBootstrap(4, concentration=concentration, pseudo=30)
    data = torch.full((1, 5, 1), 7.0)
    problems = bootstrap.problems(location(), data, torch.zeros(1, 1), 1)
    weights = problems.weights / problems.weights.sum(1, keepdim=True)
    known = weights[:, :5].sum(1)
    assert (known > 0.99).all() if concentration == 0 else (known < 0.01).all()
    assert problems.data.shape[1] == (5 if concentration == 0 else 35)


def test_a_parametric_bootstrap_simulates_its_data():
    problems = ParametricBootstrap(200).problems(
        location(), torch.zeros(1, 50, 1), torch.full((1, 1), 2.0), 1
    )
    assert problems.data.shape == (200, 50, 1)
    assert (problems.data.mean() - 2).abs() < 5 / math.sqrt(200 * 50)
    trials = ParametricBootstrap(2).problems(
        location(trials=3), torch.zeros(1, 50, 1), torch.full((1, 1), 2.0), 1
    )
    assert trials.data.shape == (2, 50, 1)


def test_a_step_may_take_more_points_than_there_are_data():
    found = quick(location(), sample(10)[:, None], points=100)
    assert found.theta.isfinite().all() and found.noise < 1


def test_draws_that_do_not_differ_are_noise_and_are_saved(tmp_path):
    def still(theta, rng: torch.Generator):
        return torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype) + 0 * theta

    simulator = lfi.Simulator(still, prior={"none": Normal(0.0, 1.0)}, differentiable=True)
    found = quick(simulator, sample(10)[:, None])
    assert found.noise == math.inf and "makes up all of the draws' deviation" in str(found)
    found.save(tmp_path / "estimate.lfi")
    assert str(lfi.load(tmp_path / "estimate.lfi")) == str(found)


def test_a_minimum_that_no_start_has_found_is_none():
    found = quick(location(), sample(10)[:, None], starts=2, bootstrap=None)
    for same in ([True, False], [False, False]):
        starts = replace(found.starts, same=torch.tensor(same))
        assert not replace(found, starts=starts).converged
    assert "only 0 of 2 starts" in str(replace(found, starts=starts))


def test_a_bootstrap_of_data_that_are_never_finite_is_refused():
    gone = lfi.Simulator(lambda theta: theta * math.nan, prior={"mean": Normal(0.0, 1.0)})
    with pytest.raises(ValueError, match="no data point of 3 of 3 data sets that gone simul"):
        ParametricBootstrap(3).problems(gone, torch.zeros(1, 5, 1), torch.zeros(1, 1), 1)


def test_equal_seeds_give_equal_fits():
    x = sample(10)[:, None]
    one, again = quick(location(), x), quick(location(), x)
    assert torch.equal(one.theta, again.theta)
    assert torch.equal(one.draws.theta, again.draws.theta)
    assert not torch.equal(one.theta, quick(location(), x, seed=2).theta)


def test_what_speaks_against_a_fit_is_said():
    flat = lambda theta, rng: theta[:, :1].numpy() + rng.normal(size=(len(theta), 1))
    prior = {"mean": Normal(0.0, 1.0), "none": Normal(0.0, 1.0)}
    found = quick(lfi.Simulator(flat, prior=prior), sample(10)[:, None], bootstrap=None)
    assert not found.converged
    assert "the distance hardly changes along one direction" in str(found)
    gaps = lambda theta: theta + torch.where(torch.rand(theta.shape) < 0.5, math.nan, 0.0)
    prior = {"mean": Normal(0.0, 1.0)}
    found = quick(lfi.Simulator(gaps, prior=prior), sample(10)[:, None] / 10, bootstrap=None)
    assert "of the simulations were not finite" in str(found)


def test_a_saved_fit_is_the_same(tmp_path):
    for bootstrap in (3, None):
        found = quick(location(), sample(10)[:, None], bootstrap=bootstrap)
        found.save(tmp_path / "estimate.lfi")
        again = lfi.load(tmp_path / "estimate.lfi")
        assert str(again) == str(found)
        assert torch.equal(again.theta, found.theta)
        if bootstrap:
            assert torch.equal(again.interval(), found.interval())
        else:
            with pytest.raises(ValueError, match="no draws"):
                again.interval()


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(5), r"expected \(n, 1\) data points, or several data sets \(k, n, 1\)"),
        (torch.zeros(5, 2), "one data point of shifted has shape"),
        (torch.zeros(1, 1), "at least 2 data points"),
        (torch.tensor([[math.nan], [0.0]]), "not finite"),
    ],
)
def test_data_that_do_not_fit_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        quick(location(), x)


def test_a_simulator_that_raises_at_most_of_the_prior_is_fitted_where_it_does_not():
    def fragile(theta, rng: torch.Generator):
        if (theta < 2).any():
            raise ValueError("too small")
        return shifted(theta, rng)

    prior = {"mean": Normal(0.0, 3.0)}  # of which 25% does not raise
    found = quick(lfi.Simulator(fragile, prior=prior), sample(5)[:, None] + 5, bootstrap=None)
    assert found.theta > 2 and found.failed > 0


def fit_of(x, discrepancy=MMD):
    distances = Distances(location(), discrepancy, 16)
    return _Fit(distances, x[None, :, None], torch.tensor([3.0]), 1, silent)


def test_a_descent_from_far_beyond_the_kernel_arrives():
    x = sample(100, 0.0)
    far, one = torch.full((1, 1), 15.0), fit_of(x)
    # no slope: the kernel of the nearest is about exp(-8^2 / 2), and rounding errors remain
    assert one.distances.gradient(one.problems, far, torch.ones(1), 1).abs() < 1e-12
    went = one._descended(one.problems, far, 150)
    # of the last 60 steps of 16 points: 5 errors of a mean of 960, and of steps that still fall
    assert (went.u - 0.5).abs() < 5 / math.sqrt(960) + 0.1


def test_newton_steps_that_lead_farther_are_not_taken():
    one, found = fit_of(sample(100, 0.0)), torch.tensor([[0.5]])
    uphill, downhill, width = (
        torch.full((1, 1, 1), -50.0),
        torch.full((1, 1, 1), 3.0),
        torch.ones(1),
    )
    refused, _ = one._polished(one.distances, found, uphill, width)
    assert torch.equal(refused, found)
    taken, _ = one._polished(one.distances, found + 0.2, downhill, width)
    # to the noise of 100 points' simulations, 200 for each
    assert (taken - 0.5).abs() < 0.05


@pytest.mark.slow
def test_predators_and_preys_rates_are_recovered_through_their_equations():
    logarithms = lambda x: x.clamp(min=1e-10).log()
    simulator = lfi.simulation.as_simulator(lotka_volterra).with_summary(logarithms)
    truth = lotka_volterra.true_parameters[0].to(simulator.prior.dtype)
    x = simulator(truth.expand(20, -1), seed=11)
    found = lfi.fit_minimum_distance(
        simulator, x, steps=100, points=8, bootstrap=None, seed=11, progress=False
    )
    log_mean = lambda u: lotka_volterra.populations(u.exp()[None])[0].log()
    slope = torch.autograd.functional.jacobian(log_mean, truth.double().log())
    information = len(x) * slope.T @ slope / lotka_volterra.error**2
    miss = (found.theta.double() / truth).log()
    # of least squares it is chi-squared of 4, below 23.5 with probability 0.9999; the median
    # bandwidth is wide in 20 dimensions, so that the MMD's minimum is nearly theirs
    assert miss @ information @ miss < 23.5


def test_a_simulator_that_is_never_finite_is_refused():
    never = lfi.Simulator(lambda theta: theta * math.nan, prior={"mean": Normal(0.0, 1.0)})
    with pytest.raises(ValueError, match="no simulation of never was finite"):
        quick(never, sample(30)[:, None])
