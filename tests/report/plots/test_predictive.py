"""Bands over the index of x, for x of any shape."""

import numpy as np
import pytest
from support import report_parts as parts

from lfi.report.plots import predictive_plot, surrogate_plot
from lfi.report.plots.predictive import MAX_ENTRIES, MAX_THETAS
from lfi.report.sections import embed

each_event = pytest.mark.parametrize("event", [(), (1,), (4,), (14,), (3, 5), (30, 200)])


@each_event
def test_predictions_of_any_shape_are_drawn(event):
    figure = predictive_plot(parts.predictive(event))
    embed(figure, "", "")
    flattened = "flattened from" in figure.axes[0].get_xlabel()
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
    assert "(one in 3 shown)" in figure.axes[0].get_xlabel()


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
