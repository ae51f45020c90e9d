"""Verdicts over several: problems come first, then what is not assessed, then what is good."""

from lfi.diagnostics.verdict import Grade, Verdict, overall_verdict

GOOD = Verdict(Grade.GOOD, "a")
FACT = Verdict(None, "b")
BAD = Verdict(Grade.PROBLEM, "c", "do this")
UNKNOWN = Verdict(Grade.NOT_ASSESSED, "d", "do that")


def test_what_is_good_is_said_once_and_facts_are_left_out():
    assert overall_verdict(GOOD, FACT, None, GOOD) == Verdict(Grade.GOOD, "No problem found: a; a.")


def test_problems_come_before_what_is_not_assessed_and_what_to_do_is_said_once():
    overall = overall_verdict(GOOD, UNKNOWN, BAD, BAD)
    assert overall == Verdict(Grade.PROBLEM, "Needs attention: c; c; d.", "do this; do that")


def test_what_is_not_assessed_is_not_good():
    overall = overall_verdict(GOOD, UNKNOWN)
    assert overall.state is Grade.NOT_ASSESSED and overall.ok is None
    assert overall.text == "Not assessed in full: d. No problem found in the rest: a."
    assert overall_verdict(FACT).state is overall_verdict().state is Grade.NOT_ASSESSED
