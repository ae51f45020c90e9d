"""Units of scored samples: columns of a table by their deviations, features as they are."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

import lfi
from lfi.comparison.scores.units import APART

SCORES = {
    "support_scores": lambda p, q, **given: lfi.scores.support_scores(p, q, **given).coverage,
    "frechet_distance": lfi.scores.frechet_distance,
    "kernel_distance": lambda p, q, **given: lfi.scores.kernel_distance(p, q, **given).statistic,
    "memorisation": lambda p, q, **given: torch.tensor(
        lfi.scores.memorisation(q[:40], p, q[40:], **given).z
    ),
}
UNITS = torch.tensor([1.0, 2_000.0, 1e-3])


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_standardised_scores_do_not_depend_on_units_nor_on_origins(score):
    p, q = torch.randn(100, 3), torch.randn(80, 3)
    here, there = (
        score(a * UNITS + shift * UNITS, b * UNITS + shift * UNITS, standardise=True)
        for a, b, shift in ((p, q, 0), (p / UNITS, q / UNITS, 7 / UNITS))
    )
    assert here == pytest.approx(float(there), abs=1e-9)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_deviations_apart_are_warned_of_unless_the_caller_has_chosen(score):
    p, q = torch.randn(100, 3), torch.randn(80, 3)
    with pytest.warns(UserWarning, match="standardise=True"):
        raw = score(p * UNITS, q * UNITS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert score(p * UNITS, q * UNITS, standardise=False) == raw
        score(p * UNITS, q * UNITS, standardise=True)
        score(p * torch.tensor([1.0, 0.5 * APART, 1.0]), q)  # deviations vary by some per cent
        score(p * torch.tensor([1.0, 0.0, 1.0]), q)  # a constant column has no unit


def test_a_column_that_only_the_data_keep_constant_stays_in_its_unit():
    p, q = torch.randn(50, 2), torch.randn(50, 2)
    p[:, 1], q[:, 1] = 3.0, 4.0
    found = lfi.scores.frechet_distance(p, q, standardise=True)
    beside = lfi.scores.frechet_distance(p[:, :1], q[:, :1], standardise=True)
    assert found == pytest.approx(float(beside) + 1.0)  # the means are one apart


def test_batches_are_standardised_each_by_its_own_data():
    p, q = torch.randn(2, 60, 3), torch.randn(2, 50, 3)
    p[1], q[1] = p[0] * UNITS, q[0] * UNITS
    both = lfi.scores.support_scores(p, q, standardise=True)
    assert both.density[0] == both.density[1] and both.coverage[0] == both.coverage[1]


def table(x, kind):
    return pd.DataFrame({"x": x, "kind": kind})


def test_frames_with_text_are_scored_and_tested_whatever_the_order_of_columns():
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b"], 200)
    p = table(rng.normal(size=200), kind)
    same = table(rng.normal(size=200), rng.permutation(kind))[["kind", "x"]]
    other = table(rng.normal(size=200), np.where(kind == "a", "b", "c"))
    assert lfi.mmd_test(p, same, permutations=199, seed=1).p_value > 0.01
    assert lfi.mmd_test(p, other, permutations=199, seed=1).p_value == 0.005
    assert lfi.scores.support_scores(p, same).coverage > 0.8
    assert lfi.scores.support_scores(p, other).precision < 0.8  # of those of kind c none is inside


def test_frames_of_other_columns_are_refused():
    p = table([1.0, 2.0], ["a", "b"])
    with pytest.raises(ValueError, match=r"q must have the columns \['x', 'kind'\] of p"):
        lfi.mmd_test(p, p.rename(columns={"x": "y"}))
    with pytest.raises(ValueError, match="'kind' has 1 missing entries"):
        lfi.mmd_test(p, table([1.0, 2.0], ["a", None]))
