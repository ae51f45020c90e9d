"""Tables: the right numbers, and verdicts that follow the rules they cite."""

from dataclasses import replace

import torch
from support import report_parts as parts

from lfi.diagnostics.verdict import Grade
from lfi.report.tables import (
    MAX_COLUMNS,
    checks_table,
    correlation_table,
    fidelity_table,
    marginal_table,
    observation_table,
    predictive_table,
    quantile_table,
    sampler_table,
)
from lfi.simulation.simulators.labels import data_labels

GOOD, PROBLEM, NOT_ASSESSED = Grade


def column(table, name):
    return [row[table.header.index(name)] for row in table.rows]


def verdicts(table):
    return [row[-1].state for row in table.rows]


def test_marginals_are_those_of_the_draws():
    theta = torch.tensor([[0.0, 10.0], [1.0, 10.5], [2.0, 11.0]])
    table = marginal_table(theta, ["a", "b"])
    assert column(table, "parameter") == ["a", "b"]
    assert column(table, "mean") == ["1.00", "10.50"]
    assert column(table, "sd") == ["0.82", "0.41"]
    assert column(table, "94% interval") == ["0.00 to 2.00", "10.00 to 11.00"]


def test_optional_columns_appear_where_there_is_something_in_them():
    draws = parts.draws()
    bare = marginal_table(draws.theta, draws.names)
    full = marginal_table(
        draws.theta,
        draws.names,
        prior_theta=10 * draws.theta,
        units={"shift": "m"},
        r_hat=torch.tensor([1.0, 1.001, 1.02]),
    )
    assert set(full.header) - set(bare.header) == {
        "prior sd",
        "sd / prior sd",
        "R-hat",
        "unit",
    }
    assert column(full, "sd / prior sd") == ["0.1"] * 3
    assert column(full, "R-hat") == ["1.000", "1.001", "1.020"]
    assert column(full, "unit") == ["m", "", ""]


def test_equal_draws_have_a_row():
    table = marginal_table(torch.ones(5, 1), ["a"], prior_theta=torch.ones(5, 1))
    assert table.rows[0][:4] == ("a", "1", "0", "1 to 1")
    assert correlation_table(torch.ones(5, 2), ["a", "b"]).rows[1][1] == "–"


def test_chains_have_rows_of_their_own():
    bare = column(sampler_table(parts.draws()), "sampling")
    chains = column(
        sampler_table(
            parts.draws(r_hat=torch.ones(3), acceptance=0.4, sampler="differential evolution")
        ),
        "sampling",
    )
    assert set(chains) - set(bare) == {"largest R-hat", "acceptance"}


def test_draws_without_weights_show_no_pareto_k():
    rows = column(sampler_table(parts.draws(sampler="smc", khat=None)), "sampling")
    assert "effective sample size" in rows
    assert "Pareto k-hat" not in rows


def test_checks_fail_in_the_table_where_they_fail():
    checks = parts.checks(ranks=torch.rand(500, 3) ** torch.tensor([1.0, 2.0, 1.0]))
    table = checks_table(checks)
    failed = [
        name
        for name, good in zip(checks.p_values, verdicts(table), strict=False)
        if good is PROBLEM
    ]
    assert tuple(failed) == checks.failed
    assert "drift" in failed
    assert "0.01 shared by 6 tests" in table.caption


def test_with_too_few_effective_samples_no_test_is_called_good():
    table = checks_table(replace(parts.checks(), ess=3.0))
    assert set(verdicts(table)) == {NOT_ASSESSED}
    assert "raise `importance_samples`" in table.rows[-1][-1].text


def test_predictive_table_repeats_the_verdict():
    assert verdicts(predictive_table(parts.predictive(p_value=0.4)))[0] is GOOD
    assert verdicts(predictive_table(parts.predictive(p_value=0.001)))[0] is PROBLEM
    assert "3 simulations failed" in predictive_table(parts.predictive()).caption


def test_fidelity_has_a_row_per_parameter_vector_and_their_mean():
    fidelity = parts.fidelity(5)
    table = fidelity_table(fidelity)
    assert column(table, "C2ST") == ["0.530"] * 6
    assert column(table, "shift") == [f"{v:.3g}" for v in fidelity.theta[:, 0].tolist()] + ["mean"]
    assert {len(row) for row in table.rows} == {len(table.header)}


def test_quantiles_are_those_of_the_draws():
    theta = torch.arange(41.0)[:, None]
    table = quantile_table(theta, ["a"], {"a": "m"})
    assert table.header == ("parameter", "2.5%", "25%", "50%", "75%", "97.5%", "unit")
    assert table.rows == [("a", "1", "10", "20", "30", "39", "m")]


def test_correlations_are_those_of_the_draws():
    a, b = torch.tensor([-1.0, 1.0, -1.0, 1.0]), torch.tensor([-1.0, -1.0, 1.0, 1.0])
    table = correlation_table(torch.stack([a, b, 3 * a + 4 * b], 1), ["a", "b", "c"])
    assert table.header == ("parameter", "(1)", "(2)", "(3)")
    assert table.rows[2] == ("(3) c", "0.60", "0.80", "1")
    assert table.rows[0] == ("(1) a", "1", "", "")


def test_of_many_parameters_the_strongest_correlations_are_listed():
    theta = torch.randn(500, MAX_COLUMNS + 1)
    theta[:, 3] = -theta[:, 7]
    table = correlation_table(theta, [f"p{i}" for i in range(MAX_COLUMNS + 1)])
    assert table.rows[0] == ("p3", "p7", "-1.00")


def test_entries_outside_are_called_by_their_names():
    labels = data_labels("boys", ("day", range(1, 15)))
    assert observation_table(parts.observation(failed=[0]), labels).rows[0][2] == "day 4, day 5"
    named = data_labels(tuple("abcdefghijklmn"))
    assert observation_table(parts.observation(failed=[0]), named).rows[0][2] == "d, e"
