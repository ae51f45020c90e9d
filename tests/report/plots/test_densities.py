"""Densities and regions of draws, against closed forms on quantiles: samples without noise."""

import numpy as np
import pytest
import scipy.stats

from lfi.report.plots.densities import (
    density,
    joint_density,
    region_levels,
    window,
)


def quantiles(law, n=20_000):
    return law.ppf((np.arange(n) + 0.5) / n)


# Densities.


@pytest.mark.parametrize(
    "law, lower, upper",
    [
        (scipy.stats.norm(3.0, 0.5), -np.inf, np.inf),
        (scipy.stats.expon(), 0.0, np.inf),
        (scipy.stats.uniform(-1, 3), -1.0, 2.0),
        (scipy.stats.truncnorm(-0.8, np.inf, 0.4, 0.5), 0.0, np.inf),
    ],
)
def test_density_is_the_laws_own(law, lower, upper):
    values = quantiles(law)
    grid = np.linspace(*window(values, lower, upper), 301)
    found = density(values, grid, lower=lower, upper=upper)
    # A Gaussian of width h biases by h^2 f'' / 2 inside, and by h f' at a reflecting bound:
    # with h below 0.16 sd, a few percent of the highest density at most, and 12% at a bound.
    h = 1.06 * values.std() * len(values) ** -0.2
    edges = min(abs(grid - lower).min(), abs(grid - upper).min()) < h
    tolerance = (0.16 if edges else 0.04) * law.pdf(grid).max()
    np.testing.assert_allclose(found, law.pdf(grid), atol=tolerance)
    inside = (grid > lower + 3 * h) & (grid < upper - 3 * h)
    np.testing.assert_allclose(found[inside], law.pdf(grid)[inside], atol=0.04 * found.max())


def test_density_counts_draws_outside_the_grid():
    values = quantiles(scipy.stats.norm())
    grid = np.linspace(0.0, 8.0, 801)
    assert abs(np.trapezoid(density(values, grid), grid) - 0.5) < 0.005


def test_density_is_zero_outside_the_support():
    grid = np.linspace(-1, 1, 11)
    found = density(quantiles(scipy.stats.expon()), grid, lower=0.0)
    assert (found[grid < -1e-12] == 0).all()
    assert (found[grid > 0.1] > 0).all()


def test_equal_draws_have_a_window_and_a_density():
    values = np.full(100, 5.0)
    low, high = window(values)
    assert low < 5.0 < high
    assert np.isfinite(density(values, np.linspace(low, high, 101))).all()


def test_window_stays_within_the_support():
    low, high = window(quantiles(scipy.stats.expon()), 0.0, np.inf)
    assert low == 0.0
    assert high > scipy.stats.expon.ppf(0.99)


# Regions.


def test_regions_hold_their_share_of_the_draws():
    rng = np.random.default_rng(1)
    n = 20_000
    x = rng.normal(size=n)
    y = 0.8 * x + 0.6 * rng.normal(size=n)  # correlation 0.8: density falls with the distance d
    across, up, cells = joint_density(x, y, (-4.0, 4.0), (-4.0, 4.0))
    levels = region_levels(cells)
    distance = x**2 + ((y - 0.8 * x) / 0.6) ** 2  # chi-squared with two degrees of freedom
    for mass, level in zip((0.95, 0.8, 0.5), levels, strict=True):
        inside = cells >= level
        assert abs(cells[inside].sum() - mass) < 0.01
        rows = np.clip(np.searchsorted(up, y), 0, len(up) - 1)
        columns = np.clip(np.searchsorted(across, x), 0, len(across) - 1)
        ellipse = distance <= scipy.stats.chi2(2).ppf(mass)
        # The region and the exact ellipse differ by cells at the rim and by the smoothing.
        assert (inside[rows, columns] != ellipse).mean() < 0.06
    assert levels == sorted(levels)


def test_joint_density_is_indexed_by_y_and_then_x():
    x, y = np.full(1000, 1.0), np.full(1000, -1.0)
    across, up, cells = joint_density(x, y, (-2.0, 2.0), (-2.0, 2.0))
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert abs(across[column] - 1) < 0.1
    assert abs(up[row] + 1) < 0.1
