"""The figure of generators' losses draws what they are, and names every line."""

import itertools
import math

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from support.comparisons import DIVERGENCES, RELATIVE

import lfi
from lfi.comparison import (
    DirectGenerator,
    Divergence,
    Hinge,
    Misclassification,
    Relativistic,
    ReverseKL,
    TotalVariation,
    WithPrior,
)
from lfi.report.plots import losses_plot
from lfi.report.plots.losses import DEFAULT, LARGEST, SMALLEST, _apart

ALL = {repr(loss): loss for loss in (*DIVERGENCES, *RELATIVE, Hinge())}


def drawn(figure):
    """The lines of both panels, by name."""
    return [
        {line.get_label(): line.get_xydata().T for line in axes.lines if line.get_label()[0] != "_"}
        for axes in figure.axes
    ]


def texts(axes):
    return [text for text in axes.texts if text.get_text()]


@pytest.mark.parametrize("name", ALL)
def test_lines_are_the_loss_and_its_derivative(name):
    loss = ALL[name]
    objective, gradient = drawn(losses_plot({name: loss}))
    assert list(objective) == list(gradient) == [name]
    (r, values), (again, sizes) = objective[name], gradient[name]
    np.testing.assert_array_equal(r, again)
    np.testing.assert_allclose([r[0], r[-1]], [SMALLEST, LARGEST])
    h, zero = torch.tensor(r).log(), torch.zeros(1)
    expected = torch.stack([loss.generator(zero, x[None]) for x in h])
    expected = expected - loss.generator(zero, zero)
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9)
    # the derivative by central differences of what is drawn, whose error is of second order
    differences = -np.gradient(values, h.numpy())[1:-1]
    np.testing.assert_allclose(sizes[1:-1], differences, rtol=1e-2, atol=1e-6)


def test_a_divergences_gradient_is_that_of_its_conjugate():
    _, gradient = drawn(losses_plot())
    for name, loss in DEFAULT.items():
        assert isinstance(loss, Divergence)
        r, sizes = gradient[name]
        h = torch.tensor(r).log().requires_grad_()
        (expected,) = torch.autograd.grad(loss.conjugate(h).sum(), h)
        np.testing.assert_allclose(sizes, expected, rtol=1e-9)


def test_at_small_ratios_gradients_are_powers_that_the_labels_name():
    figure = losses_plot()
    _, gradient = drawn(figure)
    powers = {
        name: np.log(y[10] / y[0]) / np.log(r[10] / r[0]) for name, (r, y) in gradient.items()
    }
    expected = {"Pearson χ²": 2, "KL": 1, "minimax GAN": 1, "Hellinger²": 0.5, "reverse KL": 0}
    expected |= {"non-saturating GAN": 0, "Jeffreys": 0, "Neyman χ²": -1}
    assert {name: pytest.approx(power, abs=0.01) for name, power in expected.items()} == powers
    labels = {text.get_text() for text in texts(figure.axes[1])}
    for name, power in expected.items():
        shown = {0: "1", 1: "r"}.get(power, f"r^{{{power}}}")
        assert rf"{name} $\propto {shown}$" in labels


@pytest.mark.parametrize("losses", [None, ALL, {"one": ReverseKL()}], ids=["default", "all", "one"])
def test_every_line_has_a_name_and_names_do_not_overlap(losses):
    figure = losses_plot(losses)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    wide, high = canvas.get_width_height()
    for axes, names in zip(figure.axes, drawn(figure), strict=True):
        labels = [text for text in texts(axes) if not text.get_text().startswith("r ≪")]
        assert len(labels) == len(names)
        boxes = [Text.get_window_extent(text) for text in labels]  # without the lines to curves
        for box in boxes:
            assert box.x0 >= 0
            assert box.x1 <= wide
            assert box.y0 >= 0
            assert box.y1 <= high
        for one, other in itertools.combinations(boxes, 2):
            beside = min(one.x1, other.x1) <= max(one.x0, other.x0)
            # lines of text touch by the white space of their boxes, in pixels
            assert beside or min(one.y1, other.y1) - max(one.y0, other.y0) < 2


def test_other_losses_of_generators_are_drawn_too():
    losses = {
        "prior": WithPrior(ReverseKL(), 0.2),
        "direct": DirectGenerator(ReverseKL()),
        "$5 loss": Relativistic(),
    }
    objective, _ = drawn(losses_plot(losses))
    r, values = objective["direct"]
    np.testing.assert_allclose(values, -np.log(r), atol=1e-9)
    r, values = objective[r"\$5 loss"]
    np.testing.assert_allclose(values, np.logaddexp(0, -np.log(r)) - math.log(2), atol=1e-9)


def test_long_names_are_cut():
    figure = losses_plot({"a" * 60: ReverseKL()})
    assert texts(figure.axes[0])[1].get_text() == "a" * 23 + "…"


@pytest.mark.parametrize("flat", [TotalVariation(), Misclassification()], ids=repr)
def test_a_flat_loss_is_refused_by_name(flat):
    with pytest.raises(ValueError, match="'nothing to learn' is flat"):
        losses_plot({"nothing to learn": flat})


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="there is none to draw"):
        losses_plot({})


def test_the_figure_is_at_the_front_door():
    assert lfi.plots.losses_plot is losses_plot


@pytest.mark.parametrize(
    "wanted, placed",
    [
        ([], []),
        ([0.3], [0.3]),
        ([0.0, 1.0], [0.0, 1.0]),
        ([0.0, 0.0, 0.0], [-0.25, 0.0, 0.25]),
        ([0.0, 0.2, 0.9], [-0.025, 0.225, 0.9]),
    ],
)
def test_labels_move_as_little_as_they_must(wanted, placed):
    assert _apart(wanted, 0.25) == pytest.approx(placed)
