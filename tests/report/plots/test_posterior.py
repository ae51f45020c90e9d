"""The pair plot: what stands in which panel."""

import numpy as np
import pytest
import torch
from support import report_parts as parts

from lfi.report.blocks import embed
from lfi.report.plots import pair_plot
from lfi.report.plots.style import PHONE, PRIOR


def curve(axes, colour):
    return next(line for line in axes.lines if line.get_color() == colour)


@pytest.mark.parametrize("dim", [1, 2, 3, 6, 10])
def test_grid_is_a_lower_triangle(dim):
    names = [f"theta_{i}" for i in range(dim)]
    figure = pair_plot(parts.draws(300, names).theta, names)
    assert len(figure.axes) == dim * (dim + 1) // 2
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()] == names
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == names[1:]
    assert embed(figure, "", "").wide.startswith("<svg")


def test_of_many_parameters_the_first_ten_are_shown():
    names = [f"theta_{i}" for i in range(12)]
    assert len(pair_plot(parts.draws(300, names).theta, names).axes) == 55


def test_prior_curve_is_the_priors_density():
    draws = parts.draws()
    figure = pair_plot(draws.theta, draws.names, prior=parts.prior(), seed=1)
    x, y = curve(figure.axes[0], PRIOR).get_data()
    exact = torch.distributions.Normal(0.0, 3.0).log_prob(torch.from_numpy(x)).exp().numpy()
    # 50,000 draws and a bandwidth h of 0.36: standard error sqrt(f / (2 n h sqrt(pi))).
    error = np.sqrt(exact / (2 * 50_000 * 0.36 * np.sqrt(np.pi)))
    assert (abs(y - exact) < 5 * error + 0.01 * exact).all()  # and a bias below 1%


def test_a_truncated_prior_is_a_dotted_curve_beside_the_own_one():
    draws = parts.draws()
    narrow = parts.prior().truncate([-2.0, -10.0, 0.0], [2.0, 10.0, 9.0])
    options = {"prior": parts.prior(), "truncated": narrow, "seed": 1}
    axes = pair_plot(draws.theta.clamp(-1.9, 1.9), draws.names, **options).axes[0]
    own, cut = (line for line in axes.lines if line.get_color() == PRIOR)
    assert own.get_linestyle() == "-" and cut.get_linestyle() != "-"
    law, middle = torch.distributions.Normal(0.0, 3.0), abs(own.get_xdata()) < 1
    exact = law.log_prob(torch.from_numpy(own.get_xdata())).exp().numpy()
    mass = float(law.cdf(torch.tensor(2.0)) - law.cdf(torch.tensor(-2.0)))
    # 50,000 draws, bandwidths above 0.1: standard errors below 2% of either density, five times
    assert (abs(own.get_ydata() / exact - 1)[middle] < 0.1).all()
    assert (abs(cut.get_ydata() * mass / exact - 1)[middle] < 0.1).all()
    legend = pair_plot(draws.theta, draws.names, **options).legends[0]
    assert "truncated prior" in [text.get_text() for text in legend.get_texts()]


def test_prior_curve_is_repeated_by_its_seed():
    draws = parts.draws()
    figures = [pair_plot(draws.theta, draws.names, prior=parts.prior(), seed=s) for s in (1, 1, 2)]
    first, again, other = (curve(figure.axes[0], PRIOR).get_ydata() for figure in figures)
    assert (first == again).all()
    assert (first != other).any()


def test_axes_stay_within_the_support():
    draws = parts.draws()
    figure = pair_plot(draws.theta, draws.names, prior=parts.prior(), seed=1)
    assert figure.axes[-1].get_xlim()[0] == 0.0


def test_reference_and_truth_are_shown_and_in_sight():
    draws = parts.draws()
    truth = torch.tensor([9.0, 0.0, 1.0])
    figure = pair_plot(draws.theta, draws.names, reference=draws.theta[:500] + 1, truth=truth)
    assert figure.axes[0].get_xlim()[1] > 9.0
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"posterior", "reference", "truth"} <= set(labels)


def test_units_and_powers_of_ten_stand_in_the_labels():
    draws = parts.draws()
    scale = torch.tensor([1e-6, 1.0, 1.0])
    figure = pair_plot(draws.theta * scale, draws.names, units=parts.units)
    labels = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert labels == ["shift (10⁻⁶ m)", "drift (m/s)", "noise"]


@pytest.mark.parametrize("n", [1, 5, 150])
def test_few_draws_are_points(n):
    draws = parts.draws(n)
    figure = pair_plot(draws.theta, draws.names)
    assert len(figure.axes[1].lines[0].get_xdata()) == n
    embed(figure, "", "")


def test_equal_draws_can_be_drawn():
    embed(pair_plot(torch.ones(500, 2), ["a", "b"]), "", "")


@pytest.mark.parametrize("names, n", [(["a"], 10), (["a", "b"], 0)])
def test_names_must_fit_and_draws_exist(names, n):
    with pytest.raises(ValueError, match="names must name the columns of theta"):
        pair_plot(torch.zeros(n, 2), names)


def test_a_narrow_figure_of_many_parameters_has_their_marginals_alone():
    names = [f"theta_{i}" for i in range(5)]
    options = {"prior": None, "truth": torch.zeros(5), "width": PHONE}
    figure = pair_plot(parts.draws(300, names).theta, names, **options)
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_visible()] == names
    assert figure.get_figwidth() == PHONE
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["posterior", "truth"]
    three = pair_plot(parts.draws(300).theta, parts.names, width=PHONE)
    assert len(three.axes) == 6
    assert three.get_figwidth() == PHONE


def test_labels_that_do_not_fit_lose_their_unit_and_then_their_end():
    names = ["rate", "a" * 60]
    units = {"rate": "1/(thousand lynx pelts in a year and a day)"}
    figure = pair_plot(torch.randn(300, 2), names, units=units, width=PHONE)
    rate, long = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert rate == "rate"
    assert long.startswith("aaaa") and long.endswith("…") and len(long) < 30
