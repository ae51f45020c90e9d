"""The look of figures: numbers as text, ticks, and settings that are put back."""

import matplotlib
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lfi.report.plots.style import (
    PAGE,
    PHONE,
    legend_above,
    new_figure,
    number,
    plain,
    power_of_ten,
    scaled_ticks,
    shown_unit,
    styled,
    with_unit,
)


def test_settings_are_the_librarys_inside_and_the_callers_again_outside():
    with matplotlib.rc_context({"font.size": 31.0, "axes.grid": True}):
        with styled():
            assert matplotlib.rcParams["font.size"] == 9.0
            assert not matplotlib.rcParams["axes.grid"]
        assert matplotlib.rcParams["font.size"] == 31.0
        assert matplotlib.rcParams["axes.grid"]


@pytest.mark.parametrize("text", ["$5", "from $1 to $2", "a_b^c", r"\frac", "100%", "β"])
def test_text_is_drawn_as_it_is_written(text):
    figure = Figure(figsize=(2, 1))
    drawn = figure.text(0.5, 0.5, plain(text))
    FigureCanvasAgg(figure).draw()
    assert drawn._preprocess_math(drawn.get_text()) == (text, False)


@pytest.mark.parametrize(
    "value, scale, text",
    [
        (1.73312, 0.0512, "1.733"),
        (-0.0001, 0.5, "0.00"),  # no minus zero
        (123.4, 30.0, "123"),
        (0.00001234, None, "1.23e-05"),
        (5.0, 0.0, "5"),
        (1.5e-9, 1e-10, "1.5e-09"),
        (2.0, float("nan"), "2"),
    ],
)
def test_numbers_have_the_digits_of_their_scale(value, scale, text):
    assert number(value, scale) == text


@pytest.mark.parametrize("exponent", [-7, -4, 0, 5, 12])
def test_ticks_are_short_whatever_the_magnitude(exponent):
    low, high = -1.0 * 10.0**exponent, 3.2 * 10.0**exponent
    with new_figure(3, 2) as figure:
        axes = figure.subplots()
        axes.set_xlim(low, high)
        power = scaled_ticks(axes.xaxis, power_of_ten(low, high), 5)
        FigureCanvasAgg(figure).draw()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert 2 <= len(labels) <= 6
    assert all(len(label) <= 4 for label in labels)
    assert power == {-7: "10⁻⁷", -4: "10⁻⁴", 0: "", 5: "10⁵", 12: "10¹²"}[exponent]


def test_a_unit_of_one_is_no_unit():
    assert [with_unit("a", unit) for unit in ("m", "1", "", None)] == ["a (m)", "a", "a", "a"]
    assert [shown_unit(unit) for unit in ("m", "1", None)] == ["m", "", ""]


def test_a_legend_of_a_narrow_figure_has_two_columns():
    for width, columns in ((PAGE, 4), (PHONE, 2)):
        with new_figure(width, 2) as figure:
            axes = figure.subplots()
            for name in "abcd":
                axes.plot([0, 1], label=name)
            legend_above(figure)
        assert figure.legends[0]._ncols == columns
