"""Calibration plots say what the tests in the tables say."""

import numpy as np
import pytest
import scipy.stats
import torch
from support import report_parts as parts

from lfi.report.blocks import embed
from lfi.report.plots import coverage_plot, rank_plot
from lfi.report.plots.calibration import _excess, uniform_band
from lfi.report.plots.style import PHONE


@pytest.mark.parametrize("power", [1.0, 1.1, 1.3])
@pytest.mark.parametrize("n", [20, 400])
def test_curve_leaves_the_band_just_where_the_test_fails(power, n):
    for seed in range(30):
        values = np.random.default_rng(seed).random(n) ** power
        _, excess = _excess(values)
        p_value = scipy.stats.kstest(values, "uniform", method="exact").pvalue
        assert (abs(excess).max() > uniform_band(n)) == (p_value < 0.01)


def test_excess_is_the_empirical_distribution_function_less_u():
    u, excess = _excess(np.array([0.75, 0.25]))
    np.testing.assert_allclose(u, [0, 0.25, 0.25, 0.75, 0.75, 1])
    np.testing.assert_allclose(excess, [0, -0.25, 0.25, -0.25, 0.25, 0])


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_every_parameter_has_a_panel_with_its_p_value(dim):
    checks = parts.checks(names=[f"theta_{i}" for i in range(dim)])
    figure = rank_plot(checks)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles == [f"{name}: p = {checks.p_values[name]:.2g}" for name in checks.names]
    embed(figure, "", "")


def test_panels_show_the_whole_of_a_bad_curve():
    figure = rank_plot(parts.checks(ranks=torch.rand(500, 3) ** 4))
    for axes in figure.axes:
        low, high = axes.get_ylim()
        values = axes.lines[-1].get_ydata()
        assert low <= values.min()
        assert values.max() <= high


def test_coverage_is_drawn_against_its_level():
    checks = parts.checks()
    figure = coverage_plot(checks)
    shown = [axes.lines[-1].get_xydata() for axes in figure.axes]
    found = (checks.coverage, checks.tarp_coverage, checks.tarp_given_x_coverage)
    for points, coverage in zip(shown, found, strict=True):
        expected = torch.stack([checks.levels, coverage], dim=1).numpy()
        np.testing.assert_array_equal(points, expected)
    embed(figure, "", "")


def test_narrow_figures_show_the_same_in_fewer_columns():
    checks = parts.checks()
    narrow = rank_plot(checks, width=PHONE)
    assert narrow.axes[0].get_title().startswith("shift\np = ")
    assert narrow.axes[0].get_subplotspec().get_gridspec().ncols == 2
    covered = coverage_plot(checks, width=PHONE)
    assert sum(axes.get_visible() for axes in covered.axes) == 3
    for figure in (narrow, covered):
        assert figure.get_figwidth() == PHONE
        embed(figure, "", "")
