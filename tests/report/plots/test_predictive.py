"""Bands over the index of x, for x of any shape."""

import numpy as np
import pytest
from support import report_parts as parts

from lfi.report.blocks import embed
from lfi.report.plots import predictive_plot, surrogate_plot
from lfi.report.plots.layout import MAX_ENTRIES
from lfi.report.plots.predictive import MAX_SERIES, MAX_THETAS, residuals_of
from lfi.report.plots.style import PAGE, PHONE
from lfi.simulation.simulators.labels import data_labels

each_event = pytest.mark.parametrize("event", [(), (1,), (4,), (14,), (3, 5), (30, 200)])


@each_event
def test_predictions_of_any_shape_are_drawn(event):
    figure = predictive_plot(parts.predictive(event))
    embed(figure, "", "")
    flattened = "flattened from" in figure.axes[-1].get_xlabel()
    assert flattened == (len(event) > 1)


@each_event
def test_surrogates_of_any_shape_are_drawn(event):
    embed(surrogate_plot(parts.fidelity(3, event)), "", "")


def test_every_datum_is_drawn_once():
    predictive = parts.predictive((50,))
    points = [
        line for line in predictive_plot(predictive).axes[0].lines if line.get_marker() == "o"
    ]
    drawn = np.concatenate([line.get_xydata() for line in points])
    order = drawn[:, 0].argsort()
    np.testing.assert_array_equal(drawn[order, 0], np.arange(50))
    np.testing.assert_array_equal(drawn[order, 1], predictive.x_obs.numpy())


def test_a_datum_outside_the_band_is_filled():
    predictive = parts.predictive((14,))
    predictive.x_obs[5] = 1e3
    labels = {line.get_label(): line for line in predictive_plot(predictive).axes[0].lines}
    assert 5 in labels["data outside 90%"].get_xdata()
    assert labels["data outside 90%"].get_markerfacecolor() != "white"


def test_a_very_long_series_is_thinned_and_says_so():
    figure = predictive_plot(parts.predictive((MAX_ENTRIES * 2 + 1,), n=20))
    assert "(one in 3 shown)" in figure.axes[-1].get_xlabel()


@pytest.mark.parametrize("thetas", [1, 4, 7, 20])
def test_every_parameter_vector_has_a_panel_with_its_accuracy(thetas):
    fidelity = parts.fidelity(thetas, (14,), n=50)
    titles = [axes.get_title() for axes in surrogate_plot(fidelity).axes if axes.get_visible()]
    assert titles == ["C2ST 0.53"] * min(thetas, MAX_THETAS)


def test_failed_simulations_are_left_out():
    fidelity = parts.fidelity(1, (14,))
    lines = {line.get_label(): line for line in surrogate_plot(fidelity).axes[0].lines}
    mean = fidelity.x_simulator[0].nanmean(dim=0).numpy()
    np.testing.assert_allclose(lines["simulator, mean"].get_ydata(), mean)


def test_residuals_are_the_data_in_units_of_the_band_around_the_median():
    bands = np.array([[0.0, 1.0, 2.0, 3.0, 10.0]]).T.repeat(4, axis=1)
    residual = residuals_of(np.array([0.0, 2.0, 10.0, 18.0]), bands)
    np.testing.assert_allclose(residual, [-1.0, 0.0, 1.0, 2.0])
    flat = np.ones((5, 3))
    np.testing.assert_array_equal(
        residuals_of(np.array([0.0, 1.0, 2.0]), flat), [-np.inf, 0, np.inf]
    )


def test_residuals_leave_their_band_where_the_data_leave_theirs():
    predictive = parts.predictive((14,))
    predictive.x_obs[5] = 1e3
    main, below = predictive_plot(predictive).axes
    for axes in (main, below):
        outside = next(line for line in axes.lines if line.get_label() == "data outside 90%")
        assert 5 in outside.get_xdata()
    shown = np.concatenate([line.get_ydata() for line in below.lines if line.get_marker() == "o"])
    low, high = below.get_ylim()
    assert low <= shown.min() and shown.max() <= high


def test_series_have_panels_with_their_names_units_and_axis():
    labels = data_labels(("hares", "lynxes"), ("year", range(1900, 1910)), "thousands")
    predictive = parts.predictive((10, 2))
    figure = predictive_plot(predictive, labels=labels)
    assert [axes.get_title() for axes in figure.axes[::2]] == [
        "hares (thousands)",
        "lynxes (thousands)",
    ]
    assert figure.axes[-1].get_xlabel() == "year"
    drawn = np.concatenate(
        [line.get_xydata() for line in figure.axes[2].lines if line.get_marker() == "o"]
    )
    order = drawn[:, 0].argsort()
    np.testing.assert_array_equal(drawn[order, 0], np.arange(1900, 1910))
    np.testing.assert_array_equal(drawn[order, 1], predictive.x_obs[:, 1].numpy())


def test_series_with_gaps_have_panels_of_what_was_observed():
    labels = data_labels(("hares", "lynxes"), ("year", range(1900, 1904)))
    observed = np.array([[1, 1], [0, 1], [0, 1], [1, 1]], dtype=bool)
    predictive = parts.predictive((6,))
    figure = predictive_plot(predictive, labels=labels.of_observed(observed))
    for axes, years, entries in (
        (figure.axes[0], [1900, 1903], [0, 4]),
        (figure.axes[2], [1900, 1901, 1902, 1903], [1, 2, 3, 5]),
    ):
        drawn = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
        drawn = np.concatenate(drawn)[np.concatenate(drawn)[:, 0].argsort()]
        assert drawn[:, 0].tolist() == years
        assert drawn[:, 1].tolist() == predictive.x_obs[entries].tolist()


def test_one_named_series_has_its_name_on_its_axis():
    labels = data_labels("boys in bed", ("day", range(1, 15)))
    main, below = predictive_plot(parts.predictive((14,)), labels=labels).axes
    assert (main.get_ylabel(), below.get_xlabel()) == ("boys in bed", "day")
    first = surrogate_plot(parts.fidelity(2, (14,), n=20), labels=labels)
    assert first.get_supylabel() == "boys in bed"
    assert first.get_supxlabel().startswith("day")


def test_named_numbers_have_histograms_of_their_own():
    labels = data_labels(("mean", "sd"), x_units=("m", "m"))
    figure = predictive_plot(parts.predictive((2,)), labels=labels)
    assert [axes.get_xlabel() for axes in figure.axes] == ["mean (m)", "sd (m)"]
    compared = surrogate_plot(parts.fidelity(1, (2,), n=50), labels=labels).axes[0]
    assert [tick.get_text() for tick in compared.get_xticklabels()] == ["mean", "sd"]


def test_of_many_series_the_first_are_shown():
    labels = data_labels(None, ("day", range(3)))
    figure = predictive_plot(parts.predictive((3, MAX_SERIES + 2)), labels=labels)
    assert len(figure.axes) == 2 * MAX_SERIES


def test_series_beside_each_other_are_not_joined_by_lines():
    labels = data_labels(("a", "b"), ("day", range(10)))
    axes = surrogate_plot(parts.fidelity(1, (10, 2), n=50), labels=labels).axes[0]
    mean = next(line for line in axes.lines if line.get_label() == "simulator, mean")
    assert np.isnan(mean.get_xdata()).sum() == 1
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]


@each_event
def test_narrow_figures_have_fewer_columns(event):
    for figure in (
        predictive_plot(parts.predictive(event), width=PHONE),
        surrogate_plot(parts.fidelity(3, event), width=PHONE),
    ):
        assert figure.get_figwidth() == PHONE
        embed(figure, "", "")


@pytest.mark.parametrize("count, steep, shown", [(3, False, 3), (12, True, 12), (12, True, 6)])
def test_names_below_an_axis_do_not_run_into_each_other(count, steep, shown):
    labels = data_labels([f"subject {i}" for i in range(count)], ("day", range(10)))
    width = PAGE if shown == count else 1.9
    axes = surrogate_plot(parts.fidelity(1, (10, count), n=20), labels=labels, width=width).axes[0]
    ticks = axes.get_xticklabels()
    assert len(ticks) == shown
    assert all((tick.get_rotation() > 0) == steep for tick in ticks)
