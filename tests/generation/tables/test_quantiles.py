"""Columns of numbers by their quantiles: there and back, bounds, repeated values, and tails."""

import numpy as np
import pytest
import scipy.stats

from lfi.generation.tables.quantiles import (
    MAX_KNOTS,
    REACH,
    QuantileColumn,
    decimals_of,
)

N = 2_000
RNG = np.random.default_rng(0)
GRID = (np.arange(N) + 0.5) / N
LAWS = {
    "normal": (scipy.stats.norm(3.0, 2.0).ppf(GRID), {"decimals": None}),
    "log-normal": (scipy.stats.lognorm(1.0).ppf(GRID), {"decimals": None, "positive": True}),
    "two modes": (np.concatenate([GRID, 10 + GRID]), {"decimals": None}),
    "counts": (scipy.stats.poisson(3.0).ppf(GRID), {"decimals": 0, "positive": True}),
    "a share of zeros": (np.maximum(0.0, GRID - 0.3), {"decimals": None, "positive": True}),
    "cents": (np.round(5 * GRID, 2), {"decimals": 2, "positive": True}),
    "one value": (np.full(N, 4.2), {"decimals": 1}),
}


@pytest.mark.parametrize("data, options", LAWS.values(), ids=LAWS)
def test_data_come_back_from_their_codes(data, options):
    column = QuantileColumn.of(data, **options)
    back = column.decode(column.encode(data, np.random.default_rng(1)))
    # of more data than knots, the map is linear between every other one of them
    spacing = np.diff(np.sort(data)).max() if options["decimals"] is None else 1e-9
    inner = np.abs(data - np.median(data)) < np.abs(data - np.median(data)).max()
    assert np.abs(back - data)[inner].max(initial=0.0) <= spacing


@pytest.mark.parametrize("name", ["normal", "log-normal", "two modes", "counts", "cents"])
def test_codes_of_data_are_standard_normal(name):
    data, options = LAWS[name]
    z = QuantileColumn.of(data, **options).encode(data, np.random.default_rng(1))[:, 0]
    # noise moves ranks within a value only: less than the half-width .03 of a 5% test's band
    assert scipy.stats.kstest(z, "norm").statistic < 1.36 / N**0.5


@pytest.mark.parametrize("data, options", LAWS.values(), ids=LAWS)
def test_normal_codes_become_the_law_of_the_data(data, options):
    column = QuantileColumn.of(data, **options)
    drawn = column.decode(scipy.stats.norm.ppf(GRID)[:, None])
    levels = np.unique(data)
    at = levels if len(levels) < 50 else np.quantile(data, GRID[::50])
    distance = max(abs((drawn <= v + 1e-9).mean() - (data <= v + 1e-9).mean()) for v in at)
    # knots are 1/MAX_KNOTS apart, and grids 1/N
    assert distance <= 1 / MAX_KNOTS + 2 / N


def test_nothing_is_negative_and_zero_comes_only_where_zeros_were():
    far = np.linspace(-2 * REACH, 2 * REACH, 999)[:, None]
    for data, options in LAWS.values():
        if options.get("positive"):
            drawn = QuantileColumn.of(data, **options).decode(far)
            assert (drawn >= 0).all() and ((drawn > 0).all() or (data == 0).any())


def test_whole_and_rounded_values_stay_whole_and_rounded():
    z = np.random.default_rng(1).normal(size=(500, 1))
    for name, decimals in (("counts", 0), ("cents", 2)):
        drawn = QuantileColumn.of(LAWS[name][0], **LAWS[name][1]).decode(z)
        assert (drawn == drawn.round(decimals)).all()


def test_values_go_on_beyond_the_data_unless_these_end_at_a_bound():
    z = np.array([[-5.0], [5.0]])
    low, high = QuantileColumn.of(LAWS["normal"][0], decimals=None).decode(z)
    # a normal law goes on as it was: 3 - 5 x 2 and 3 + 5 x 2, the slope being that of its tenth
    assert low == pytest.approx(-7.0, abs=0.5) and high == pytest.approx(13.0, abs=0.5)
    scale = np.concatenate([np.zeros(100), 100 * GRID, np.full(100, 100.0)])
    assert QuantileColumn.of(scale, decimals=None).decode(z).tolist() == [0.0, 100.0]


def test_decimals_are_those_of_all_values():
    assert decimals_of(np.array([3, 4])) == 0
    assert decimals_of(np.array([3.5, 4.25])) == 2
    assert decimals_of(np.array([np.pi])) is None
    assert decimals_of(np.array([1e-9, 1.0])) is None
