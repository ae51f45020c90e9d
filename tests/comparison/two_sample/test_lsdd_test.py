"""The permutation test by density difference: exact, quick, and finds what it should."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from lfi.comparison import LSDD, lsdd_test
from lfi.comparison.two_sample.permutation import TwoSampleTest, pool


def normal(n, d=2, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, (n, d))


def test_the_statistic_is_the_distance_among_those_of_relabelled_samples():
    a, b = normal(12), normal(12, mean=0.5, seed=1)
    lsdd = LSDD(width=0.9, ridge=0.01)
    result = lsdd_test(a, b, discrepancy=lsdd, permutations=50, standardise=False, seed=3)
    pooled = pool(a, b, standardise=False, seed=3)
    pooled.rng.permutation(24)  # what draws the centres: here, all points are
    labels = pooled.relabellings(50).bool()
    # of equal sizes, all points share the penalty alike in both
    values = torch.stack([lsdd(pooled.rows[own], pooled.rows[~own]) for own in labels.T])
    z = (values - values.mean()) / values.std()
    assert result.statistic == pytest.approx(float(z[0]))
    assert result.p_value == (1 + int((z[1:] >= z[0] - 1e-9).sum())) / 51


def test_what_is_returned():
    a, b = normal(60), normal(40, mean=2.0, seed=1)
    result = lsdd_test(a, b, permutations=99, seed=1)
    assert isinstance(result, TwoSampleTest)
    assert (result.n_p, result.n_q, result.permutations, result.seed) == (60, 40, 99, 1)
    assert result.p_value == 0.01
    words = "density difference, 9 widths and 11 ridges, coordinates over their deviations"
    assert result.compared == words
    fixed = lsdd_test(a, b, discrepancy=LSDD(0.5, 0.1), permutations=99, standardise=False)
    assert fixed.compared == "density difference, 1 widths and 1 ridges"


def test_its_level_is_kept():
    """p <= 0.05 and 0.2 in 200 pairs of one distribution, but for one time in two million."""
    p_values = []
    for i in range(200):
        rng = np.random.default_rng(i)
        a, b = rng.exponential(size=(15, 1)), rng.exponential(size=(20, 1))
        p_values.append(lsdd_test(a, b, permutations=19, seed=i).p_value)
    for level in (0.05, 0.2):
        found = sum(p <= level for p in p_values)
        assert binom.isf(1 - 3e-7, 200, level) <= found <= binom.isf(3e-7, 200, level)


@pytest.mark.slow
def test_its_level_is_kept_over_a_thousand_repetitions():
    """Five standard errors of a binomial proportion, and its power beside it."""
    level, power = 0, 0
    for i in range(1000):
        a, b = normal(40, seed=3 * i), normal(30, seed=3 * i + 1)
        level += lsdd_test(a, b, permutations=99, seed=i).p_value <= 0.05
        if i < 100:
            power += lsdd_test(a, b + 0.8, permutations=99, seed=i).p_value <= 0.05
    assert abs(level / 1000 - 0.05) < 5 * (0.05 * 0.95 / 1000) ** 0.5
    assert power > 60


def test_a_bump_that_moves_no_moment_is_found():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(300, 1))
    b = np.where(rng.random((300, 1)) < 0.3, 0.05 * rng.normal(size=(300, 1)), a[::-1])
    assert lsdd_test(a, b, permutations=199, seed=1).p_value < 0.02


def test_units_do_not_matter_and_seeds_repeat():
    a, b = normal(30), normal(25, mean=0.3, seed=1)
    units = np.array([1e-3, 1e4])
    first = lsdd_test(a, b, permutations=99, seed=5)
    again = lsdd_test(a * units + 7, b * units + 7, permutations=99, seed=5)
    assert again.p_value == first.p_value
    assert again.statistic == pytest.approx(first.statistic, rel=1e-6)
    fresh = lsdd_test(a, b, permutations=99)
    assert lsdd_test(a, b, permutations=99, seed=fresh.seed) == fresh


def test_many_points_share_a_few_centres():
    a, b = normal(2000), normal(1500, mean=0.2, seed=1)
    few = LSDD(centres=50)
    assert lsdd_test(a, b, discrepancy=few, permutations=99, seed=1).p_value == 0.01


def test_points_that_never_vary_are_no_evidence():
    assert lsdd_test(np.ones((10, 2)), np.ones((9, 2)), permutations=19, seed=1).p_value == 1


def test_what_cannot_be_compared_is_named():
    a = normal(10)
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        lsdd_test(a, a, permutations=0)
    with pytest.raises(ValueError, match="q: 1 rows are too few, need at least 2"):
        lsdd_test(a, a[:1])
    with pytest.raises(ValueError, match="events of one shape"):
        lsdd_test(a, normal(10, 3))
    with pytest.raises(ValueError, match="p: 10 of 10 rows are not finite"):
        lsdd_test(a * np.nan, a)


def test_relabellings_that_differ_by_rounding_count_as_equal():
    a, b = np.zeros((4, 1)), np.array([[0.0], [0.0], [0.0], [1.0]])  # one is odd, in either sample
    assert lsdd_test(a, b, permutations=199, seed=1).p_value == 1.0
