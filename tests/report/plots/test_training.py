"""Training curves: every column, readable, whatever was recorded."""

from dataclasses import replace

import numpy as np
import pytest
from support import report_parts as parts

from lfi.report.blocks import embed
from lfi.report.plots import training_plot


def drawn(figure):
    return [
        line.get_label()
        for axes in figure.axes
        for line in axes.lines
        if not line.get_label().startswith("_")
    ]


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_every_history_has_a_panel(count):
    figure = training_plot([parts.history() for _ in range(count)])
    assert [axes.get_title() for axes in figure.axes] == [f"training {i + 1}" for i in range(count)]
    assert drawn(figure) == ["critic", "held-out", "kept"] * count
    embed(figure, "", "")


def test_histories_may_differ_in_their_columns():
    bare = replace(parts.history(), columns={}, best_step=None)
    figure = training_plot([parts.history(), parts.history(held_out=False), bare])
    assert drawn(figure) == ["critic", "held-out", "kept", "critic"]
    embed(figure, "", "")


def test_a_column_of_another_scale_has_its_own_panel():
    history = parts.history()
    steps = [step for step, _ in history.columns["critic"]]
    rate = tuple((step, 1e-3 * (1 - step / 3000)) for step in steps)
    figure = training_plot([replace(history, columns={**history.columns, "rate": rate})])
    assert [len(axes.lines) for axes in figure.axes] == [3, 2]  # each with its line at the best


def test_a_high_start_does_not_press_the_rest_flat():
    history = parts.history()
    points = history.columns["critic"]
    wild = ((0, 1e9), (1, np.inf), (2, np.nan), *points)
    figure = training_plot([replace(history, columns={"critic": wild})])
    late = np.array(points)[len(points) // 5 :, 1]
    low, high = figure.axes[0].get_ylim()
    assert high - low < 4 * (late.max() - late.min())
    assert low < late.min()
    assert late.max() < high


def test_decades_have_a_logarithmic_axis():
    points = tuple((i, 10.0 ** (-i / 20)) for i in range(100))
    history = replace(parts.history(), columns={"loss": points}, best_step=None)
    assert training_plot([history]).axes[0].get_yscale() == "log"
    assert training_plot([parts.history()]).axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("n", [1, 2])
def test_few_points_are_marked(n):
    history = replace(parts.history(), columns={"loss": ((0, 1.0), (1, 0.5))[:n]})
    embed(training_plot([history]), "", "")


def test_histories_need_a_title_each():
    with pytest.raises(ValueError, match="got 1 histories and 2 titles"):
        training_plot([parts.history()], ["a", "b"])
    with pytest.raises(ValueError, match="must not be empty"):
        training_plot([])
