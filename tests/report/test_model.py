"""The model's section: what it says of itself, its priors and its data."""

import numpy as np
import pytest
import torch
from support import report_parts as parts

import lfi
from lfi.report.model import data_sentence, description_blocks, model_section
from lfi.simulation import DataLabels

DESCRIPTION = """One,
and two:

    a = b
      + c

References:
    A.
    B.
"""


def column(table, name):
    return [row[table.header.index(name)] for row in table.rows]


def test_priors_have_their_laws_and_quantiles():
    prior = parts.prior()
    section = model_section(None, prior, prior.sample(50_000, seed=1), units=parts.units)
    (table,) = section.blocks
    assert column(table, "prior") == [
        "shift ~ Normal(mean 0, sd 3)",
        "drift ~ Normal(mean 1, sd 2)",
        "noise ~ Exponential(mean 1)",
    ]
    assert column(table, "unit") == ["m", "m/s", ""]
    # the 97.5% quantile of n draws of a normal law has a standard error of 2.7 sd / sqrt(n), here
    # 0.036, and the median of an exponential one of mean / sqrt(n), 0.0045: five times, rounded
    low, high = map(float, column(table, "central 95%")[0].split(" to "))
    assert (low, high) == (pytest.approx(-5.88, abs=0.24), pytest.approx(5.88, abs=0.24))
    assert float(column(table, "median")[2]) == pytest.approx(0.693, abs=0.03)


def test_a_description_is_paragraphs_and_formulas():
    blocks = description_blocks(DESCRIPTION)
    assert [(block.text, block.formula) for block in blocks] == [
        ("One, and two:", False),
        ("a = b\n  + c", True),
        ("References: A. B.", False),
    ]
    assert description_blocks("") == []


@pytest.mark.parametrize(
    "x_obs, text",
    [
        (torch.tensor(2.5), "Data: one number, 2.5."),
        (torch.zeros(14), "Data: 14 numbers."),
        (torch.zeros(14, 1), "Data: 14 numbers."),
        (torch.zeros(3, 4), "Data: 3 × 4 numbers."),
    ],
)
def test_data_are_counted(x_obs, text):
    assert data_sentence(x_obs, DataLabels()) == text


def test_data_of_the_simulator_are_said_to_be_so():
    x_obs = torch.tensor([1.0, 2.0])
    simulate = lambda theta: theta[:, :1] + torch.randn(len(theta), 2)
    simulator = lfi.Simulator(simulate, prior=parts.prior(), name="beds", x_obs=x_obs)
    prior, theta = simulator.prior, simulator.prior.sample(1000, seed=1)
    sentences = [
        model_section(simulator, prior, theta, units={}, x_obs=x, data=data).blocks[-2].text
        for x, data in ((x_obs, None), (x_obs + 1, None), (x_obs, "a.csv"))
    ]
    assert sentences == [
        "Data: 2 numbers, from x_obs of beds.",
        "Data: 2 numbers.",
        "Data: 2 numbers, from a.csv.",
    ]


def test_the_data_sentence_says_what_is_missing():
    labels = DataLabels(("a", "b")).of_observed(np.array([[True, False], [True, True]]))
    assert data_sentence(torch.zeros(3), labels, "x.csv") == (
        "Data: 3 numbers, a, b, from x.csv. Missing, and left out of all simulations shown here: "
        "1 of 4 entries."
    )
