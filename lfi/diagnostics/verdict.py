"""Verdicts: whether a result can be relied on, in words, and what to do where it cannot.

A verdict is one of three: good, a problem, or not assessed, where too little is known to tell.
Whatever is shown of a result (on a terminal, in files, on a page) is its one verdict.
"""

from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum

from lfi.runtime import Described


class Grade(Enum):
    """What a verdict comes to; the values are the words that files and pages use."""

    GOOD = "good"
    PROBLEM = "problem"
    NOT_ASSESSED = "not assessed"


@dataclass(frozen=True)
class Verdict:
    """A state, its words, and what to do; `state` None is a fact from which nothing follows."""

    state: Grade | None
    text: str
    advice: str = ""

    @property
    def ok(self) -> bool | None:
        """True where it is good, False for a problem, None where neither is known."""
        return {Grade.GOOD: True, Grade.PROBLEM: False}.get(self.state) if self.state else None


class Judged(Described):
    """A result with one verdict, which all that is said of it follows."""

    @property
    @abstractmethod
    def judgement(self) -> Verdict:
        """The verdict."""

    @property
    def ok(self) -> bool:
        """Whether the verdict is good: neither a problem nor not assessed."""
        return self.judgement.state is Grade.GOOD

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        return self.judgement.text


def overall_verdict(*verdicts: Verdict | None) -> Verdict:
    """Return one verdict over several: problems, what is not assessed, or what is good.

    Example:
        >>> overall_verdict(Verdict(Grade.GOOD, "draws reliable"),
        ...                 Verdict(Grade.NOT_ASSESSED, "calibration not assessed", "raise draws"))
        Verdict(state=<Grade.NOT_ASSESSED: 'not assessed'>, text='Not assessed in full:
        calibration not assessed. No problem found in the rest: draws reliable.',
        advice='raise draws')
    """
    by_state = {
        state: [each for each in verdicts if each is not None and each.state is state]
        for state in Grade
    }
    problems, unknown = by_state[Grade.PROBLEM], by_state[Grade.NOT_ASSESSED]
    good = "; ".join(each.text for each in by_state[Grade.GOOD])
    advice = "; ".join(dict.fromkeys(each.advice for each in problems + unknown if each.advice))
    if problems:
        text = f"Needs attention: {'; '.join(each.text for each in problems + unknown)}."
        return Verdict(Grade.PROBLEM, text, advice)
    if unknown:
        text = f"Not assessed in full: {'; '.join(each.text for each in unknown)}."
        text += f" No problem found in the rest: {good}." if good else ""
        return Verdict(Grade.NOT_ASSESSED, text, advice)
    if good:
        return Verdict(Grade.GOOD, f"No problem found: {good}.")
    return Verdict(Grade.NOT_ASSESSED, "Nothing was checked.")
