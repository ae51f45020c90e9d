"""Limits of steps: what fits into the time is done, and what was done can be repeated."""

from dataclasses import replace

import pytest
from support.step_clock import StepClock

from lfi.training import StageSteps, StepLimit


@pytest.fixture
def clock(monkeypatch):
    return StepClock(monkeypatch)


def test_a_stage_is_planned_for_nine_tenths_of_its_time(clock):
    stage = StepLimit(seconds=100).part("a", share=1)
    clock.seconds = 10
    assert stage(10, 1_000) == 90
    clock.seconds = 90
    assert stage(60, 90) == 90  # slower than planned, but in time
    clock.seconds = 100
    assert stage(70, 90) == 70
    assert stage.record == {"a": StageSteps("a", 1_000, 90, 70)}


def test_a_stage_that_fits_is_left_as_it_is(clock):
    stage = StepLimit(seconds=100).part("a")
    clock.seconds = 4
    assert stage(1, 10) == 10
    clock.seconds = 99
    assert stage(10, 10) == 10  # late, but all is done
    assert not stage.record["a"].short and stage.left_out == ()


def test_a_stage_without_time_ends_at_its_first_validation(clock):
    stage = StepLimit(seconds=5).part("a", share=1)
    clock.seconds = 10
    assert stage(10, 1_000) == 10
    assert stage.record["a"].cut == 10


def test_parts_have_a_share_of_what_is_left_and_none_begins_late(clock):
    whole = StepLimit(seconds=100)
    first = whole.part("first")
    assert first.seconds == 50
    clock.seconds = 20
    assert whole.part("second").seconds == 40
    assert first.part("inner", share=1).seconds == 30
    clock.seconds = 100
    assert whole.part("third") is None
    needed = whole.part("fourth", needed=True)
    assert needed.seconds == 0 and needed.part("inner") is None
    assert whole.left_out == ("third: not trained", "fourth, inner: not trained")
    assert needed.left_out == ("inner: not trained",)


def test_without_a_limit_nothing_is_limited_or_recorded():
    limit = StepLimit.of(None, None)
    assert not limit.exists and limit.part("a") is limit
    assert limit(1, 10) == 10 and limit.record == {}


RECORD = (StageSteps("a", 100, 60, 40), StageSteps("b", 0, 0, 0), StageSteps("c", 9, 9))


def test_a_record_is_repeated_without_a_clock():
    limit = StepLimit.of(None, RECORD)
    first = limit.part("a")
    assert [first(done, steps) for done, steps in ((10, 100), (30, 60), (40, 60))] == [60, 60, 40]
    assert limit.part("b", needed=True) is None
    assert limit.part("c")(1, 9) == 9
    assert limit.stages == RECORD


def test_a_record_of_another_fit_is_refused():
    limit = StepLimit.of(None, RECORD)
    with pytest.raises(ValueError, match="stages: they tell of no 90 planned steps of 'a'"):
        limit.part("a")(10, 90)
    with pytest.raises(ValueError, match="stages: they tell of no 9 planned steps of 'd'"):
        limit.part("d")(1, 9)


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("inf"), float("nan")])
def test_minutes_are_positive_and_finite(minutes):
    with pytest.raises(ValueError, match="minutes must be"):
        StepLimit.of(minutes, None)


def test_stages_are_what_a_fit_has_recorded():
    with pytest.raises(TypeError, match="stages"):  # in tests, the check of types comes first
        StepLimit.of(None, ["a"])


def test_minutes_and_stages_together_are_refused():
    with pytest.raises(ValueError, match="minutes or stages, not both"):
        StepLimit.of(1.0, RECORD)


def test_what_was_done_is_said_in_words():
    cut, fewer, late = RECORD[0], replace(RECORD[0], cut=None), RECORD[1]
    assert cut.describe() == "a: 40 of 100 steps"
    assert fewer.describe() == "a: at most 60 of 100 steps"
    assert late.describe() == "b: not trained"
