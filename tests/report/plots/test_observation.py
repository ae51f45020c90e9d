"""Plots of observations show what the tests say."""

import numpy as np
import pytest
from support import report_parts as parts

from lfi.report.blocks import embed
from lfi.report.plots import local_plot, observation_plot
from lfi.report.plots.style import DATA, POSTERIOR
from lfi.simulation.simulators.labels import data_labels


def points(axes, colour):
    lines = [line for line in axes.lines if line.get_color() == colour]
    return np.concatenate([line.get_xydata() for line in lines]) if lines else np.empty((0, 2))


@pytest.mark.parametrize("failed", [(), (1,), (0, 1, 2)])
def test_every_statistic_is_drawn_in_the_colour_of_its_verdict(failed):
    checks = parts.local(failed=failed)
    figure = local_plot(checks)
    (axes,) = figure.axes
    assert set(points(axes, DATA)[:, 0].astype(int)) == set(failed)
    assert len(points(axes, POSTERIOR)) == 3 - len(failed)
    embed(figure, "", "")


def test_the_bar_ends_where_the_test_begins_to_fail():
    checks = parts.local(failed=[2])
    (axes,) = local_plot(checks).axes
    for i, bar in enumerate(axes.patches):
        assert (bar.get_height() < checks.statistic[i]) == (i in checks.failed)


def test_entries_outside_all_simulations_stand_out_of_their_bars():
    checks = parts.observation(failed=[0])
    figure = observation_plot(checks)
    (axes,) = figure.axes
    found = points(axes, DATA)
    for place, value in found:
        bar = axes.patches[int(place)]
        inside = bar.get_y() <= value <= bar.get_y() + bar.get_height()
        assert inside == (int(place) not in checks.outside())
    assert len(found) == 14
    embed(figure, "", "")


@pytest.mark.parametrize("event", [(1,), (3, 4), (300,)])
def test_data_of_any_shape_are_drawn(event):
    (axes,) = observation_plot(parts.observation(event=event)).axes
    assert len(points(axes, DATA)) == min(200, np.prod(event))


def test_many_observations_are_cut():
    (axes,) = local_plot(parts.local(m=60)).axes
    assert len(points(axes, POSTERIOR)) == 40


def test_entries_stand_at_their_days():
    labels = data_labels("boys", ("day", range(1, 15)))
    (axes,) = observation_plot(parts.observation(), labels=labels).axes
    assert sorted(points(axes, DATA)[:, 0]) == list(range(1, 15))
    assert axes.get_xlabel() == "day"
