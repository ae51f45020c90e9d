"""Verdicts: the limits that are cited, and the same words wherever they are read."""

from dataclasses import replace

import pytest
import torch
from support import report_parts as parts

from lfi.diagnostics.verdict import Grade, Verdict
from lfi.report.verdicts import (
    assess,
    c2st_verdict,
    chains_verdict,
    draws_verdict,
    ess_verdict,
    surrogate_verdict,
    unique_verdict,
    weights_verdict,
)

GOOD, PROBLEM, NOT_ASSESSED = Grade


@pytest.mark.parametrize("khat, state", [(0.7, GOOD), (0.71, PROBLEM), (1.2, PROBLEM)])
def test_pareto_k_has_its_limit_at_0_7(khat, state):
    assert weights_verdict(parts.draws(khat=khat)).state is state


@pytest.mark.parametrize("r_hat, state", [(1.0, GOOD), (1.05, GOOD), (1.06, PROBLEM)])
def test_r_hat_has_its_limit_at_1_05(r_hat, state):
    r_hat = torch.tensor([1.0, r_hat, 1.0], dtype=torch.float64)
    assert chains_verdict(parts.draws(r_hat=r_hat)).state is state


def test_what_is_no_number_is_a_problem():
    r_hat = torch.tensor([1.0, float("nan"), 1.0])
    assert chains_verdict(parts.draws(r_hat=r_hat)).state is PROBLEM
    assert weights_verdict(parts.draws(khat=float("nan"))).state is PROBLEM


def test_chains_excuse_a_high_pareto_k():
    draws = parts.draws(khat=1.5, r_hat=torch.ones(3))
    assert weights_verdict(draws).state is None
    assert draws_verdict(draws).state is GOOD


def test_rules_of_thumb_have_their_limits_where_they_say():
    assert [ess_verdict(ess).state for ess in (400.0, 399.0, 0.0)] == [GOOD, PROBLEM, PROBLEM]
    repeats = [unique_verdict(n, 100).state for n in (100, 90, 60, 10)]
    assert repeats == [GOOD, GOOD, None, PROBLEM]
    assert [c2st_verdict(c).state for c in (0.5, 0.6, 0.7, 0.9)] == [GOOD, GOOD, None, PROBLEM]


def test_every_problem_of_the_draws_is_named_with_what_to_do():
    assert draws_verdict(parts.draws(500)) == Verdict(GOOD, "posterior draws reliable")
    verdict = draws_verdict(parts.draws(500, ess=30.0, khat=1.2))
    assert verdict.text.startswith("effective sample size 30: small")
    assert "Pareto k-hat 1.20: above 0.7" in verdict.text
    assert "take more draws; take a sampler with chains" in verdict.advice
    assert surrogate_verdict(parts.fidelity(2, statistic=0.9)).advice


def test_an_assessment_says_of_each_result_what_it_says_of_itself():
    checks, predictive = parts.checks(), parts.predictive(p_value=0.001)
    said = assess(draws=parts.draws(), checks=checks, predictive=predictive)
    assert list(said.parts) == ["draws", "predictive", "calibration"]
    assert said.parts["calibration"] == checks.judgement
    assert said.overall.state is PROBLEM
    assert said.overall.text == f"Needs attention: {predictive.verdict}."
    lines = said.describe().splitlines()
    assert lines[1] == f"predictive   problem       {predictive.verdict}"
    assert lines[-2] == said.overall.text
    assert lines[-1] == f"What to do: {predictive.judgement.advice}."


def test_what_is_not_assessed_is_never_called_good():
    few = replace(parts.checks(), ess=3.0)
    overall = assess(draws=parts.draws(), checks=few).overall
    assert overall.state is NOT_ASSESSED and overall.ok is None
    assert overall.text == (
        "Not assessed in full: calibration not assessed: too few effective samples. "
        "No problem found in the rest: posterior draws reliable."
    )
    assert assess().overall == Verdict(NOT_ASSESSED, "Nothing was checked.")
