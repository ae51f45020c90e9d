"""Intervals of draws, against closed forms on quantiles: samples without noise."""

import numpy as np
import pytest
import scipy.stats

from lfi.numerics.intervals import highest_density_interval


def quantiles(law, n=20_000):
    return law.ppf((np.arange(n) + 0.5) / n)


@pytest.mark.parametrize("mass", [0.5, 0.94])
def test_interval_of_a_normal_is_central(mass):
    found = highest_density_interval(quantiles(scipy.stats.norm(1.0, 2.0))[:, None], mass)
    expected = scipy.stats.norm(1.0, 2.0).interval(mass)
    # One draw more or less at either end moves it by 1 / (n density), here below 3e-3.
    np.testing.assert_allclose(found[0], expected, atol=3e-3)


def test_interval_of_an_exponential_starts_at_zero():
    found = highest_density_interval(quantiles(scipy.stats.expon())[:, None], 0.9)
    np.testing.assert_allclose(found[0], [0.0, np.log(10)], atol=3e-3)


def test_intervals_of_columns_are_independent():
    columns = np.stack([quantiles(scipy.stats.norm()), -quantiles(scipy.stats.expon())], axis=1)
    together = highest_density_interval(columns, 0.8)
    apart = [highest_density_interval(column[:, None], 0.8)[0] for column in columns.T]
    np.testing.assert_array_equal(together, np.stack(apart))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_interval_of_few_draws_lies_within_them(n):
    low, high = highest_density_interval(np.arange(float(n))[:, None], 0.94)[0]
    assert 0 <= low <= high <= n - 1


@pytest.mark.parametrize("mass", [0.0, 1.0, 94.0])
def test_interval_needs_a_share(mass):
    with pytest.raises(ValueError, match="mass must lie between 0 and 1"):
        highest_density_interval(np.zeros((3, 1)), mass)
