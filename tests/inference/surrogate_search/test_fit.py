"""Search through a surrogate: exact answers of closed forms, its budget, failures, resumption."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Gamma, Normal

import lfi
from lfi.samplers import HMC
from simulators import lynx_hare

REFERENCE = Path(__file__).parents[2] / "reference" / "lynx_hare.npz"
A = torch.tensor([[1.0, 0.5], [-0.5, 2.0], [0.3, 0.3]], dtype=torch.float64)
WIDE, NOISE = 5.0, 0.5  # deviations of the prior and of the noise
X_OBS = A @ torch.tensor([4.0, -3.0], dtype=torch.float64)
PRIOR = {
    name: Normal(*torch.tensor([0.0, WIDE], dtype=torch.float64)) for name in ("slope", "level")
}
METHOD = lfi.SurrogateLikelihood(
    proposal=None,
    width=16,
    layers=1,
    couplings=1,
    gaussian_steps=30,
    settings=lfi.TrainSettings(steps=10),
)
QUIET = {"method": METHOD, "seed": 1, "progress": False}


def linear(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Three numbers, linear in two parameters but for noise."""
    return theta @ A.T + NOISE * torch.randn(len(theta), 3, generator=rng, dtype=theta.dtype)


def exact():
    """The posterior's mean and deviations, and its largest standard error by 600 simulations.

    A mean of x at the posterior has an error of about NOISE (3 / 600)^(1/2), of the regression's
    three coefficients, which moves the posterior by (3 / 600)^(1/2) of its deviation a direction.
    """
    precision = A.T @ A / NOISE**2 + torch.eye(2, dtype=A.dtype) / WIDE**2
    covariance = precision.inverse()
    return covariance @ A.T @ X_OBS / NOISE**2, covariance.diagonal().sqrt(), (3 / 600) ** 0.5


def search(simulate=linear, x_obs=X_OBS, **options):
    simulator = lfi.Simulator(simulate, prior=options.pop("prior", PRIOR))
    return lfi.search(simulator, x_obs, **{"budget": 600, **QUIET, **options})


@cache
def whole():
    """A search of 600 simulations in three rounds, which several tests look at."""
    return search()


def same(one, other):
    """Assert that two searches have found the same."""
    assert torch.equal(one.theta, other.theta)
    assert one.rounds == other.rounds
    assert torch.equal(one.draw(50, seed=3).theta, other.draw(50, seed=3).theta)


def test_of_a_linear_gaussian_model_the_optimum_and_the_posterior_are_exact():
    found = whole()
    mean, sd, error = exact()
    draws = found.draw(4_000, seed=2).theta
    assert ((found.theta - mean).abs() < 4 * error * sd).all()
    assert ((draws.mean(0) - mean).abs() < 4 * error * sd).all()
    # a deviation of 600 residuals has a relative error of 1/35, of which the draws' is the like
    assert ((draws.std(0) / sd - 1).abs() < 4 / 35).all()
    assert found.simulations == 600
    assert found.settled
    assert "settled" in repr(found)


def test_its_posterior_goes_where_a_simulator_goes():
    simulator = lfi.Simulator(linear, prior=PRIOR)
    theta = exact()[0][None]
    told = lfi.fidelity(whole().posterior, simulator, theta=theta, n=300, seed=3)
    # a mean of the surrogate's is off by (3 / 600)^(1/2) of a deviation, and 300 data are of each
    error = (3 / 600 + 2 / 300) ** 0.5 * NOISE
    assert ((told.means[0] - told.means[1]).abs() < 4 * error).all()


def test_the_posterior_by_hamiltonian_monte_carlo_is_the_same():
    mean, sd, error = exact()
    draws = whole().draw(2_000, seed=2, sampler=HMC(chains=64))
    assert draws.sampler == "hmc"
    assert ((draws.theta.mean(0) - mean).abs() < 4 * error * sd).all()


def test_counts_without_a_derivative_have_their_exact_posterior():
    prior = {"rate": Gamma(*torch.tensor([4.0, 0.5], dtype=torch.float64))}
    count = lambda theta, rng: rng.poisson(theta, (len(theta), 8))
    x_obs = np.array([9, 14, 11, 12, 8, 13, 10, 15])
    found = search(count, x_obs, prior=prior, budget=1_500)
    exact = Gamma(4.0 + x_obs.sum(), 0.5 + 8)
    draws = found.draw(4_000, seed=2).theta[:, 0]
    # eight curves, of some five weights each, by 1,500 counts: (5 / 1,500)^(1/2) of a deviation
    # each, and the width of a bin of whole numbers, whose density 8 points average, is a tenth more
    assert (draws.mean() - exact.mean).abs() < 0.3 * exact.stddev
    assert (draws.std() / exact.stddev - 1).abs() < 0.2


@pytest.mark.slow
def test_lynxes_and_hares_as_a_black_box_have_their_known_posterior():
    with np.load(REFERENCE) as file:
        reference = torch.from_numpy(file["samples"]).double()
    mean, sd = reference.mean(0), reference.std(0)
    found = lfi.search(lynx_hare, lynx_hare.x_obs, budget=5_000, seed=1, progress=False)
    draws = found.draw(4_000, seed=2).theta.double()
    assert found.simulations == 5_000
    assert ((found.theta.double() - mean).abs() < sd).all()
    # of seeds 1 and 2 the benchmark has .14 and .15, .05 and .10; three times that is told apart
    assert ((draws.mean(0) - mean).abs() < 0.5 * sd).all()
    assert ((draws.std(0) / sd - 1).abs() < 0.35).all()


def test_the_budget_counts_true_calls_and_is_spent():
    rows = []

    def counted(theta, rng: torch.Generator):
        rows.append(len(theta))
        return linear(theta, rng)

    found = search(counted, budget=301, rounds=2)
    assert sum(rows) == found.simulations == 301
    assert [each.simulations for each in found.rounds] == [150, 151]
    assert "301 of 301 simulations in 2 rounds, 0 failed" in found.describe()


def test_later_rounds_simulate_where_the_posterior_is():
    seen = []

    def watched(theta, rng: torch.Generator):
        seen.append(theta)
        return linear(theta, rng)

    search(watched)
    mean, sd, _ = exact()
    first, last = seen[0], seen[-1]
    assert (first.std(0) > 0.8 * WIDE).all()
    # draws of the posterior that are moved by half its deviation, so 1.12 times as wide
    assert ((last - mean).abs().mean(0) < 1.5 * sd).all()


def test_failed_simulations_are_counted_and_corrected_for():
    def fragile(theta, rng: torch.Generator):
        x = linear(theta, rng)
        return torch.where(theta[:, :1] > 0, x, torch.nan)

    found = search(fragile, rounds=2)
    mean, sd, error = exact()
    assert 100 < found.failed < 200  # about half of the first 300, which are draws of the prior
    assert sum(each.failed for each in found.rounds) == found.failed
    assert ((found.theta - mean).abs() < 6 * error * sd).all()


@pytest.mark.slow
def test_a_round_with_too_few_valid_simulations_is_followed_by_more_of_the_prior():
    def rare(theta, rng: torch.Generator):
        return torch.where((theta[:, :1] - 4).abs() < 3, linear(theta, rng), torch.nan)

    found = search(rare, budget=800, rounds=4)  # about a third of the prior runs
    assert len(found.rounds) < 4
    assert found.rounds[0].simulations > 200
    assert found.simulations == 800


def interrupted(at, batched=True):
    """A simulator that is interrupted at its n-th call."""
    calls = []

    def simulate(theta, rng: torch.Generator):
        calls.append(len(theta))
        if len(calls) == at:
            raise KeyboardInterrupt
        return linear(theta if batched else theta[None], rng)[slice(None) if batched else 0]

    return simulate


@pytest.mark.parametrize("at", [1, 3])
def test_an_interrupted_search_goes_on_and_ends_with_the_same_numbers(at, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        same_simulator(interrupted(at), monkeypatch, store=tmp_path)
    same(same_simulator(linear, monkeypatch, store=tmp_path), whole())
    if at == 3:  # and then nothing is called
        same(same_simulator(interrupted(1), monkeypatch, store=tmp_path), whole())


def same_simulator(simulate, monkeypatch, **options):
    """Search with another function, which counts as the same simulator."""
    simulator = lfi.Simulator(simulate, prior=PRIOR)
    monkeypatch.setattr(simulator, "identity", "the same")
    return lfi.search(simulator, X_OBS, budget=600, **{**QUIET, **options})


def test_rows_of_a_round_are_kept_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr("lfi.inference.surrogate_search.record.SECONDS", 0.0)
    one = lambda at: lfi.Simulator(interrupted(at, False), prior=PRIOR, batched=False)

    def run(at, store):
        simulator = one(at)
        monkeypatch.setattr(simulator, "identity", "the same")
        return lfi.search(simulator, X_OBS, budget=200, store=store, **QUIET)

    whole = run(0, None)
    with pytest.raises(KeyboardInterrupt):
        run(150, tmp_path)
    kept = lfi.runtime.read(tmp_path / "round_1_simulations.lfi")
    assert len(kept.tensors["theta"]) == 128  # two groups of 64
    same(run(73, tmp_path), whole)  # the 72 that were left


@pytest.mark.slow
def test_equal_seeds_find_the_same_for_any_number_of_workers():
    one = interrupted(0, False)
    simulator = lfi.Simulator(one, prior=PRIOR, batched=False)
    alone, beside = (
        lfi.search(simulator, X_OBS, budget=200, workers=workers, **QUIET) for workers in (1, 2)
    )
    same(alone, beside)


def test_files_bring_it_back(tmp_path):
    found = search(budget=200)
    found.save(tmp_path / "found.lfi")
    again = lfi.load(tmp_path / "found.lfi")
    same(again, found)
    assert again.x_obs.equal(found.x_obs)
    assert repr(again) == repr(found)


def test_a_trace_tells_how_the_posterior_narrowed():
    found = whole()
    made, means, deviations = zip(*found.trace("slope"), strict=True)
    assert made == (200, 400, 600)
    assert means[-1] == found.rounds[-1].mean[0]
    assert deviations[-1] == found.rounds[-1].sd[0]
    with pytest.raises(ValueError, match="name must be one of slope, level, got 'height'"):
        found.trace("height")


def test_one_round_says_that_it_cannot_tell_whether_it_has_settled():
    found = search(budget=200)
    assert len(found.rounds) == 1
    assert not found.settled
    assert "cannot tell" in found.describe()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"budget": 99}, "budget must be at least 100"),
        ({"budget": 500, "rounds": 6}, "budget: 500 simulations are too few for 6 rounds, need at"),
        ({"x_obs": [1.0, 2.0]}, "x_obs has shape .2,., but one simulation's x has .3,."),
        ({"x_obs": [1.0, 2.0, np.nan]}, r"x_obs: 1 of 3 entries are missing \(NaN\)"),
    ],
)
def test_what_cannot_be_is_refused(options, says):
    with pytest.raises(ValueError, match=says):
        search(**options)


def test_a_store_of_another_search_is_refused(tmp_path):
    search(budget=200, store=tmp_path)
    with pytest.raises(ValueError, match="another budget: use another folder"):
        search(budget=300, store=tmp_path)


def test_a_damaged_store_says_so(tmp_path):
    search(budget=200, store=tmp_path)
    file = tmp_path / "round_1_simulations.lfi"
    (tmp_path / "round_1.lfi").unlink()
    file.write_bytes(file.read_bytes()[:-8] + 8 * b"\xff")
    with pytest.raises(ValueError, match="round_1_simulations.lfi is .*damaged"):
        search(budget=200, store=tmp_path)


def test_a_black_box_that_never_runs_is_refused():
    def broken(theta, rng: torch.Generator):
        raise ZeroDivisionError("nothing to divide by")

    with pytest.raises(RuntimeError, match="none of the first 200 simulations succeeded"):
        search(broken)


def test_a_black_box_that_hardly_runs_is_refused():
    def rare(theta, rng: torch.Generator):
        return torch.where(theta[:, :1] > 2.5 * WIDE, linear(theta, rng), torch.nan)

    with pytest.raises(ValueError, match="of 600 simulations of rare succeeded, too few"):
        search(rare)
