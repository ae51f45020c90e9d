"""Departures: on quantiles of a normal law, biases and widths are what they were made to be."""

import pytest
import torch
from torch.distributions import Normal

from lfi.diagnostics.departures import coverage_departure, parameter_departure, what_to_do

EXACT = Normal(torch.zeros((), dtype=torch.float64), 1.0)
Z = EXACT.icdf((torch.arange(2_000, dtype=torch.float64) + 0.5) / 2_000)  # without noise


@pytest.mark.parametrize(
    "bias, width, words, overconfident",
    [
        (0.0, 0.5, "too narrow (true values spread 2.00 times as wide)", True),
        (0.0, 2.0, "too wide (true values spread 0.50 times as wide)", False),
        (0.3, 1.0, "biased high (by 0.30 sd)", True),
        (-0.3, 1.0, "biased low (by 0.30 sd)", True),
        (0.4, 2.0, "biased high (by 0.20 sd) and too wide (true values spread 0.50 times as wide)",
         False),
        (0.01, 1.01, "of another shape than the true values", False),
    ],
)  # fmt: skip
def test_words_are_those_of_a_posterior_that_was_moved_and_scaled(
    bias, width, words, overconfident
):
    """The posterior is N(bias, width^2), the truth N(0, 1): its sd is the unit of the bias."""
    departure = parameter_departure(EXACT.cdf((Z - bias) / width), ess=1e4)
    assert departure.words == words
    assert departure.overconfident is overconfident


def test_quartiles_beyond_all_samples_are_lower_limits():
    # a quartile of true values lies 3.4 sd away, beyond the last of ten samples
    words = parameter_departure(EXACT.cdf(5 * Z), ess=10.0).words
    assert "or more times as wide" in words
    assert "or more" not in parameter_departure(EXACT.cdf(5 * Z), ess=1e6).words


def test_sizes_of_regions_are_told_where_they_differ_most():
    u = EXACT.cdf(Z)
    assert coverage_departure(u.sqrt()).words == (
        "regions too small (50% regions hold 25% of the true values)"
    )
    large = coverage_departure(u.square())
    assert large.words == "regions too large (50% regions hold 71% of the true values)"
    assert not large.overconfident


def test_what_to_do_depends_on_whether_it_is_overconfident():
    narrow, wide = what_to_do(True), what_to_do(False)
    assert narrow.startswith("fit to more simulations (a larger budget)")
    assert "lfi.fit_rounds" in wide and "lfi.fit_rounds" not in narrow
    assert "or take another method" in narrow and "or take another method" in wide
