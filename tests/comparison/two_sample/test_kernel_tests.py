"""MMD and energy tests: against relabelling one by one, their level and what they see."""

import itertools

import numpy as np
import pytest
import torch
from support.two_samples import PAIRS

from lfi.comparison import (
    MMD,
    Energy,
    Gaussian,
    Laplace,
    Learned,
    Linear,
    Quantile,
    RationalQuadratic,
    TwoSampleTest,
    energy_kernel,
    energy_test,
    mmd_test,
)
from lfi.comparison.two_sample import kernel_tests, permutation
from lfi.comparison.two_sample.kernel_tests import squared_mmds
from lfi.comparison.two_sample.permutation import Groups, pool

KERNELS = [Gaussian(0.7), Laplace(1.2), RationalQuadratic(), Linear(), energy_kernel]
both = pytest.mark.parametrize("test", [mmd_test, energy_test])


def singly(pooled, n, labels):
    """Relabellings of single points."""
    return Groups(pooled, n, ((len(pooled), 1),), labels)


def every_relabelling(n, m):
    columns = [
        [float(i in chosen) for i in range(n + m)]
        for chosen in itertools.combinations(range(n + m), n)
    ]
    return torch.tensor(columns).T


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("n, m", [(3, 4), (2, 2), (4, 2)])
def test_statistics_are_squared_mmds_and_their_deviation_is_that_of_all_relabellings(kernel, n, m):
    pooled = torch.randn(n + m, 2)
    labels = every_relabelling(n, m)
    kernel = kernel.fixed(pooled, pooled) if hasattr(kernel, "fixed") else kernel
    values, deviation = squared_mmds(kernel, singly(pooled, n, labels))
    chosen = labels.T > 0
    expected = torch.stack([MMD(kernel)(pooled[a], pooled[~a]) for a in chosen])
    torch.testing.assert_close(values[0], expected)
    torch.testing.assert_close(deviation, values.std(dim=1, correction=0), rtol=1e-9, atol=0)
    torch.testing.assert_close(values.mean(dim=1), torch.zeros(1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("side", [256, 70, 7])
@pytest.mark.parametrize(
    "n, m, most, parts",
    [
        (45, 60, 512, ((105, 1),)),  # each point
        (45, 60, 30, ((11, 4), (1, 1), (15, 4))),  # of four points, and one that is left over
        (4, 90, 30, ((4, 1), (26, 1), (1, 64))),  # of the larger sample as many as there is room
        (100, 101, 12, ((5, 17), (1, 15), (5, 17), (1, 16))),  # larger than a tile of seven
    ],
)
def test_relabelled_groups_have_the_squared_mmds_of_their_points(
    n, m, most, parts, side, monkeypatch
):
    monkeypatch.setattr(permutation, "MAX_GROUPS", most)
    monkeypatch.setattr(permutation, "MIN_GROUPS", 4)
    p, q, kernel = torch.randn(n, 2), torch.randn(m, 2), Gaussian(torch.tensor([0.1, 1.0]))
    groups = pool(p, q, standardise=False, seed=1).grouped(20)
    assert groups.parts == parts
    sizes = torch.tensor([size for count, size in parts for _ in range(count)])
    chosen = groups.labels.repeat_interleave(sizes, dim=0).T > 0
    assert (chosen.sum(dim=1) == n).all()
    values, _ = squared_mmds(kernel, groups, 2 * side**2)
    expected = [MMD(kernel)(groups.rows[each], groups.rows[~each]) for each in chosen]
    torch.testing.assert_close(values, torch.stack(expected, dim=1))
    torch.testing.assert_close(values[:, 0], MMD(kernel)(p, q))


def test_relabelled_groups_keep_the_level_in_whatever_order_points_come(monkeypatch):
    """Groups of neighbours in sorted samples would differ from each other as their places do."""
    monkeypatch.setattr(permutation, "MAX_GROUPS", 10)
    monkeypatch.setattr(permutation, "MIN_GROUPS", 4)
    draw = lambda rng: [np.sort(x, axis=0) for x in normal(rng)]
    run = lambda a, b, seed: energy_test(a, b, permutations=19, seed=seed)
    rate = rejections(run, draw, 100, 0.5).mean()
    assert abs(rate - 0.5) < 5 * (0.25 / 100) ** 0.5


def test_many_points_are_compared_in_float32(monkeypatch):
    a, b = torch.randn(600, 2), torch.randn(500, 2) + 0.1
    exact = mmd_test(a, b, permutations=20, seed=1)
    monkeypatch.setattr(kernel_tests, "MANY", 30)
    many = mmd_test(a, b, permutations=20, seed=1)
    assert many.statistic == pytest.approx(exact.statistic, rel=1e-3)
    assert many.p_value == exact.p_value


@pytest.mark.parametrize("many", [10_000, 10])
@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("test", [mmd_test, energy_test])
def test_rounding_does_not_decide_among_ties(test, d, many, monkeypatch):
    monkeypatch.setattr(kernel_tests, "MANY", many)  # in float32 too
    odd = (torch.arange(20) == 0).double()[:, None].expand(-1, d)  # one, in either sample
    assert test(odd, torch.zeros(20, d), permutations=50, seed=1).p_value == 1.0


def test_of_one_kernel_the_statistic_is_its_mmd_in_deviations():
    a, b = torch.randn(30, 2), torch.randn(20, 2) + 1
    kernel = Gaussian(0.8)
    result = mmd_test(a, b, kernels=(kernel,), standardise=False, permutations=999, seed=1)
    pooled = torch.cat([a, b])
    labels = torch.cat([torch.ones(30, 1), torch.zeros(20, 1)])
    _, deviation = squared_mmds(kernel, singly(pooled, 30, labels))
    assert result.statistic == pytest.approx(float(MMD(kernel)(a, b) / deviation), rel=1e-10)
    assert result.p_value == 0.001
    assert result.compared == "MMD, Gaussian"


@pytest.mark.parametrize("d", [1, 3])
def test_the_energy_statistic_is_the_energy_distance(d):
    a, b = torch.randn(30, d), torch.randn(20, d) + 1
    result = energy_test(a, b, standardise=False, permutations=99, seed=1)
    assert result.statistic == pytest.approx(float(Energy()(a, b)), rel=1e-10)


def test_on_a_line_sorting_gives_the_statistics_of_pairs():
    pooled = torch.randint(0, 9, (40, 1)).double()
    labels = pool(pooled[:15], pooled[15:], standardise=False, seed=1).relabellings(50)
    by_pairs, _ = squared_mmds(energy_kernel, singly(pooled, 15, labels))
    sorted_ = kernel_tests._sorted_energy(pooled[:, 0], 15, labels)
    torch.testing.assert_close(sorted_, by_pairs[0], rtol=1e-11, atol=1e-13)


@both
@pytest.mark.parametrize("d", [1, 2])
def test_few_relabellings_count_equal_ones_as_equal(test, d):
    """Of 3 against 3 points all 20 relabellings come up, two of them as extreme as the truth."""
    a, b = torch.zeros(3, d) + 0.1 * torch.randn(3, d), 5 + 0.1 * torch.randn(3, d)
    result = test(a, b, permutations=20_000, seed=1)
    # a share of 2 in 20, of 20,000 draws
    assert abs(result.p_value - 0.1) < 5 * (0.09 / 20_000) ** 0.5


@both
def test_samples_of_equal_points_say_nothing(test):
    for d in (1, 2):
        assert test(torch.ones(5, d), torch.ones(4, d), seed=1, permutations=50).p_value == 1


def p_values(test, draw, repetitions):
    draws = (draw(np.random.default_rng((7, r))) for r in range(repetitions))
    return np.array([test(*samples, r).p_value for r, samples in enumerate(draws)])


def rejections(test, draw, repetitions, level=0.05):
    return p_values(test, draw, repetitions) <= level


def normal(rng):
    return rng.normal(size=(20, 2)), rng.normal(size=(15, 2))


def line(rng):
    return rng.exponential(size=(12, 1)), rng.exponential(size=(30, 1))


def counts(rng):
    return rng.poisson(2, size=(20, 1)), rng.poisson(2, size=(15, 1))


@pytest.mark.parametrize(
    "test, draw",
    [
        pytest.param(mmd_test, normal, marks=pytest.mark.slow),
        (energy_test, normal),
        (energy_test, line),
    ],
    ids=lambda value: value.__name__,
)
def test_of_equal_distributions_one_in_twenty_is_rejected(test, draw):
    run = lambda a, b, seed: test(a, b, permutations=99, seed=seed)
    found = p_values(run, draw, 500)
    for level in (0.05, 0.5):  # one in two is known to a fifth of itself, one in twenty barely
        rate = (found <= level).mean()
        assert abs(rate - level) < 5 * (level * (1 - level) / 500) ** 0.5


@both
def test_of_equal_counts_at_most_one_in_twenty_is_rejected(test):
    run = lambda a, b, seed: test(a, b, permutations=99, seed=seed)
    assert rejections(run, counts, 200).mean() < 0.05 + 5 * (0.05 * 0.95 / 200) ** 0.5


def differences(name, repetitions):
    """How often the aggregated test rejects, less how often the median bandwidth's does."""
    draw = lambda rng: PAIRS[name](rng, 200)
    many = lambda a, b, seed: mmd_test(a, b, permutations=99, seed=seed)
    median = lambda a, b, seed: mmd_test(a, b, kernels=(Gaussian(),), permutations=99, seed=seed)
    many, median = (rejections(test, draw, repetitions).astype(float) for test in (many, median))
    return many - median


@pytest.mark.slow
@pytest.mark.parametrize("name", ["checkerboard", "bump"])
def test_many_bandwidths_see_what_the_median_is_too_wide_for(name):
    """Measured over 60 pairs of samples: tests/benchmarks/two_sample_tests.py has more."""
    gain = differences(name, 60)
    assert gain.mean() > 5 * gain.std() / 60**0.5


@both
def test_units_do_not_matter_unless_they_are_to(test):
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + [0.9, 0]
    units = np.array([1.0, 1000.0])
    same = (
        test(a, b, seed=1, permutations=199),
        test(a * units, b * units, seed=1, permutations=199),
    )
    assert same[0].p_value == same[1].p_value == 0.005
    hidden = test(a * units, b * units, seed=1, permutations=199, standardise=False)
    assert hidden.p_value > 0.05


@both
def test_results_say_what_was_done(test):
    a, b = torch.randn(10, 2, 3), np.random.default_rng(1).normal(size=(8, 2, 3))
    result = test(a, b, permutations=19, seed=5)
    assert isinstance(result, TwoSampleTest)
    assert (result.n_p, result.n_q, result.permutations, result.seed) == (10, 8, 19, 5)
    assert result == test(a, b, permutations=19, seed=5)
    assert round(result.p_value * 20) == pytest.approx(result.p_value * 20)
    fresh = test(a, b, permutations=19)
    assert fresh == test(a, b, permutations=19, seed=fresh.seed)
    expected = {
        mmd_test: "MMD, 6 Gaussian and 6 Laplace kernels, coordinates over their deviations",
        energy_test: "energy distance, coordinates over their deviations",
    }
    assert result.compared == expected[test]


def test_kernels_are_the_users_choice():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(60, 2)), rng.normal(size=(60, 2)) + 1
    learned = Learned(torch.nn.Linear(2, 1, dtype=torch.float64), Gaussian(Quantile(0.2)))
    kernels = (Gaussian(torch.tensor([0.5, 1.0])), learned, lambda x, y: x @ y.mT)
    result = mmd_test(a, b, kernels=kernels, permutations=99, seed=1)
    assert result.p_value == 0.01
    assert result.compared.startswith("MMD, Gaussian, Learned, function, coordinates")


@both
def test_samples_that_cannot_be_compared_are_refused(test):
    a = torch.randn(5, 2)
    for bad, message in [
        (torch.randn(5, 3), "p and q must hold events of one shape"),
        (torch.randn(1, 2), "q: 1 rows are too few, need at least 2"),
        (torch.full((3, 2), torch.nan), "q: 3 of 3 rows are not finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            test(a, bad)
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        test(a, a, permutations=0)


@both
def test_huge_values_are_told_apart(test):
    a, b = 1e200 * torch.randn(40, 2).double(), 1e201 * torch.randn(40, 2).double()
    assert test(a, b, permutations=19, seed=1).p_value == 0.05
    assert test(a, torch.randn(40, 2).double(), permutations=19, seed=1).p_value == 0.05


def test_no_kernels_are_refused():
    with pytest.raises(ValueError, match="kernels must have at least one, got none"):
        mmd_test(torch.randn(5, 2), torch.randn(5, 2), kernels=())
