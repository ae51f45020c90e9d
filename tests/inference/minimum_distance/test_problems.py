"""Distances of problems, and their gradients, against closed forms, differences and each other."""

import math

import pytest
import torch
from torch.distributions import LogNormal, Normal

import lfi
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances, fixed_by_data

MMD = lfi.discrepancies.MMD


def normal(theta, rng: torch.Generator):
    noise = torch.randn(len(theta), 1, generator=rng, dtype=theta.dtype)
    return theta[:, :1] + theta[:, 1:] * noise


def distances(discrepancy, points=32, differentiable=True, simulate=normal, **settings):
    prior = {"mean": Normal(0.0, 2.0), "sd": LogNormal(0.0, 0.5)}
    simulator = lfi.Simulator(simulate, prior=prior, differentiable=differentiable, **settings)
    return Distances(simulator, discrepancy, points)


def problems(data, weights=None):
    rows = torch.zeros(1 if weights is None else len(weights), dtype=torch.long)
    return DistanceProblems(data[None], rows, rows, weights)


@pytest.mark.parametrize(
    "discrepancy",
    [
        MMD(lfi.kernels.Gaussian(1.0)),
        MMD(lfi.kernels.Gaussian(1.0), lfi.discrepancies.Biased()),
        lfi.discrepancies.Energy(),
        lfi.discrepancies.SlicedWasserstein(),
        lfi.discrepancies.Sinkhorn(epsilon=1.0, tolerance=1e-9),
    ],
    ids=lambda discrepancy: type(discrepancy).__name__,
)
def test_gradients_are_differences_of_distances(discrepancy):
    one, u = distances(discrepancy), torch.tensor([[0.3, -0.2]])
    data = torch.randn(40, 1)
    found = one.gradient(problems(data), u, torch.ones(2), 3)
    for t in range(2):
        step = 1e-6 * torch.eye(2)[t]
        rise = one.value(problems(data), u + step, 3) - one.value(problems(data), u - step, 3)
        torch.testing.assert_close(found[:, t], rise / 2e-6, rtol=1e-4, atol=1e-6)


def test_without_derivatives_differences_give_the_gradients():
    discrepancy, u = MMD(lfi.kernels.Gaussian(1.0)), torch.tensor([[0.3, -0.2], [1.0, 0.0]])
    data = torch.randn(40, 1)
    both = DistanceProblems(data[None], torch.zeros(2).long(), torch.zeros(2).long())
    black = distances(discrepancy, differentiable=False)
    found = black.gradient(both, u, torch.full((2,), 1e-4), 3)
    # other random numbers: the mean of many is compared
    rounds = 100
    many = both.repeated(rounds), u.repeat_interleave(rounds, 0), torch.full((2,), 1e-3)
    means = [
        one.gradient(*many, 4).unflatten(0, (2, rounds)) for one in (black, distances(discrepancy))
    ]
    error = (sum(each.var(1) for each in means) / rounds).sqrt()
    assert found.shape == (2, 2)
    assert ((means[0].mean(1) - means[1].mean(1)).abs() < 5 * error).all()


def test_weighted_data_are_repeated_data():
    data, counts = torch.randn(10, 1), torch.arange(10) % 3 + 1
    repeated = data.repeat_interleave(counts, 0)
    u = torch.tensor([[0.3, -0.2]])
    for discrepancy in (MMD(lfi.kernels.Gaussian(1.0)), lfi.discrepancies.Energy()):
        one = distances(discrepancy)
        for of in (one.value, lambda *a, one=one: one.gradient(*a[:2], torch.ones(2), a[2])):
            weighted = of(problems(data, counts[None].double()), u, 3)
            torch.testing.assert_close(weighted, of(problems(repeated), u, 3))


def test_problems_in_groups_are_problems_alone(monkeypatch):
    monkeypatch.setattr("lfi.inference.minimum_distance.problems.ENTRIES", 40 * 40 * 3)
    data, u = torch.randn(2, 40, 1), torch.randn(7, 2) / 2
    rows = torch.arange(7) % 2
    weights = torch.rand(7, 40)
    many = DistanceProblems(data, rows, rows, weights)
    quiet = lambda theta: (
        theta[:, :1] + theta[:, 1:] * torch.linspace(-2, 2, 16).repeat(len(theta) // 16)[:, None]
    )
    one = distances(fixed_by_data(MMD(), data), 16, simulate=quiet)
    values, slopes = one.value(many, u, 1), one.gradient(many, u, torch.ones(2), 1)
    for i in range(7):
        alone = distances(fixed_by_data(MMD(), data[rows[i]][None]), 16, simulate=quiet)
        part = DistanceProblems(
            data[rows[i]][None], torch.tensor([0]), torch.tensor([0]), weights[i : i + 1]
        )
        torch.testing.assert_close(values[i : i + 1], alone.value(part, u[i : i + 1], 1))
        found = alone.gradient(part, u[i : i + 1], torch.ones(2), 1)
        torch.testing.assert_close(slopes[i : i + 1], found)


def test_simulations_that_are_not_finite_count_as_not_made():
    def gaps(theta, rng: torch.Generator):
        x = normal(theta, rng)
        return x * torch.where(torch.arange(len(x))[:, None] % 4 == 0, math.nan, 1.0)

    data, u = torch.randn(30, 1), torch.tensor([[0.3, -0.2]])
    mmd = MMD(lfi.kernels.Gaussian(1.0))
    one = distances(mmd, simulate=gaps)
    value, slope = (
        one.value(problems(data), u, 3),
        one.gradient(problems(data), u, torch.ones(2), 3),
    )
    assert (one.simulations, one.failed) == (64, 16)
    theta = one.simulator.prior.from_unconstrained(u)[0]
    x = gaps(theta.expand(32, 2), lfi.runtime.torch_rng(lfi.runtime.child(3, 0), 1, 0))
    kept = x[x.isfinite().all(1)]
    torch.testing.assert_close(value, mmd.of_q(data, kept)[None])
    assert slope.isfinite().all() and slope.abs().min() > 0


def test_a_problem_without_finite_simulations_is_infinitely_far_and_stays():
    one = distances(MMD(lfi.kernels.Gaussian(1.0)), simulate=lambda theta: theta[:, :1] / 0)
    two = problems(torch.randn(30, 1))
    assert one.value(two, torch.zeros(1, 2), 3).tolist() == [math.inf]
    assert one.gradient(two, torch.zeros(1, 2), torch.ones(2), 3).tolist() == [[0.0, 0.0]]


def test_trials_are_points():
    data, u = torch.randn(30, 1), torch.tensor([[0.3, -0.2]])
    mmd = MMD(lfi.kernels.Gaussian(1.0))
    one, trials = distances(mmd), distances(mmd, trials=8)
    torch.testing.assert_close(
        one.gradient(problems(data), u, torch.ones(2), 3),
        trials.gradient(problems(data), u, torch.ones(2), 3),
    )
    assert trials.simulations == 32


def test_a_discrepancy_without_a_gradient_is_refused():
    ranks = lambda p, q, weight_p=None, weight_q=None: (p - q.mean()).sign().mean((1, 2)).detach()
    with pytest.raises(ValueError, match="discrepancy: function has no gradient"):
        distances(ranks).gradient(problems(torch.randn(9, 1)), torch.zeros(1, 2), torch.ones(2), 1)


def test_a_simulator_that_only_says_it_is_differentiable_is_told():
    cut = distances(MMD(), simulate=lambda theta: normal(theta.detach(), torch.Generator()))
    with pytest.raises(ValueError, match="said to be differentiable, but no gradient"):
        cut.gradient(problems(torch.randn(9, 1)), torch.zeros(1, 2), torch.ones(2), 1)
