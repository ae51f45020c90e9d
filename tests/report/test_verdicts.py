"""Verdicts: the limits that are cited, and the same words wherever they are read."""

import pytest
import torch
from support import report_parts as parts

from lfi.report.verdicts import (
    Verdict,
    c2st_verdict,
    draws_verdict,
    ess_verdict,
    khat_verdict,
    overall_verdict,
    r_hat_verdict,
    unique_verdict,
)


@pytest.mark.parametrize("khat, good", [(0.69, True), (0.8, False), (1.2, False)])
def test_pareto_k_has_its_limit_at_0_7(khat, good):
    assert khat_verdict(khat, chains=False).good is good


def test_chains_excuse_a_high_pareto_k():
    assert khat_verdict(1.5, chains=True).good is None
    draws = parts.draws(khat=1.5, r_hat=torch.ones(3))
    assert draws_verdict(draws).good


def test_rules_of_thumb_have_their_limits_where_they_say():
    assert [ess_verdict(ess).good for ess in (400.0, 399.0, 0.0)] == [True, False, False]
    assert [r_hat_verdict(r_hat).good for r_hat in (1.0, 1.009, 1.011)] == [True, True, False]
    assert r_hat_verdict(float("nan")).good is False
    assert [unique_verdict(n, 100).good for n in (100, 90, 60, 10)] == [True, True, None, False]
    assert [c2st_verdict(c).good for c in (0.5, 0.6, 0.7, 0.9)] == [True, True, None, False]


def test_every_problem_of_the_draws_is_named():
    assert draws_verdict(parts.draws(500)) == Verdict(True, "posterior draws reliable")
    text = draws_verdict(parts.draws(500, ess=30.0, khat=1.2)).text
    assert (
        text.startswith("effective sample size 30: small") and "Pareto k-hat 1.20: above 1" in text
    )


def test_problems_come_before_what_is_good_and_facts_are_left_out():
    good, fact, bad = Verdict(True, "a"), Verdict(None, "b"), Verdict(False, "c")
    assert overall_verdict(good, fact, good).text == "No problem found: a; a."
    assert overall_verdict(good, fact, bad, None).text == "Needs attention: c."
    assert overall_verdict(fact) == overall_verdict() == Verdict(None, "Nothing was checked.")
