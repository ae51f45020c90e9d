"""Limits of a fit's steps: by the clock, or by the steps that an earlier fit took under the clock.

Training asks its limit after each validation how many steps there are in all. The first answer of
the clock shortens a stage, and with it the schedule of its learning rate, to what fits into its
time; a later one ends it where time is up. Every answer is recorded, and a fit that is given the
record in place of the clock takes the same steps.

A part of a fit has a share of the time that is left, and what it does not use goes to the next. A
part for which none is left is not begun.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lfi.numerics.checks import check_instance, check_positive

PLANNED = 0.9  # of a stage's time, for which its steps are planned: later ones may take longer


@dataclass(frozen=True)
class StageSteps:
    """What a fit with limited time did in one stage of training.

    Attributes:
        name: The stage's, after those of what it is a part of.
        planned: The most steps without a limit; 0 of what was not begun.
        steps: The most steps with it, over which the learning rate went.
        cut: The step at which time was up, 0 of what was not begun; None where there was enough.
    """

    name: str
    planned: int
    steps: int
    cut: int | None = None

    @property
    def short(self) -> bool:
        """Whether steps were left out."""
        return self.cut is not None or self.steps < self.planned

    def describe(self) -> str:
        """Return what was done, in words.

        Example:
            >>> StageSteps("PosteriorFlow, splines", 1_500, 600, None).describe()
            'PosteriorFlow, splines: at most 600 of 1,500 steps'
        """
        if self.cut == 0:
            return f"{self.name}: not trained"
        if self.cut is None:
            return f"{self.name}: at most {self.steps:,} of {self.planned:,} steps"
        return f"{self.name}: {self.cut:,} of {self.planned:,} steps"


def now() -> float:
    """Return the time of a clock in seconds."""
    return time.monotonic()


@dataclass(eq=False)
class StepLimit:
    """A limit of a fit or of a part of it: none, the clock or a record.

    Attributes:
        name: The part's, after those of what it is a part of; "" of the whole.
        seconds: How many it may take from `begin`, in seconds of `now`; infinite without the clock.
        given: The record to repeat, by name; None without.
        record: What has been done so far in all parts, by name.
    """

    name: str = ""
    seconds: float = math.inf
    given: Mapping[str, StageSteps] | None = None
    record: dict[str, StageSteps] = field(default_factory=dict)
    begin: float = field(default_factory=lambda: now())

    @classmethod
    def of(cls, minutes: float | None, stages: Sequence[StageSteps] | None) -> "StepLimit":
        """Return the limit that a user asks for.

        Raises:
            TypeError: If a stage is something else.
            ValueError: If minutes are not positive and finite, or both are given.

        Example:
            >>> StepLimit.of(None, None).exists, StepLimit.of(2, None).seconds
            (False, 120.0)
        """
        check_positive("minutes", minutes, optional=True)
        if minutes is not None and stages is not None:
            raise ValueError(
                "give minutes or stages, not both: stages are repeated without a clock"
            )
        if stages:  # a fit without a limit has none
            for stage in stages:
                check_instance("stages", stage, StageSteps, "of `StageSteps`")
            return cls(given={stage.name: stage for stage in stages})
        return cls() if minutes is None else cls(seconds=60.0 * minutes)

    @property
    def exists(self) -> bool:
        """Whether anything is limited."""
        return self.given is not None or self.seconds < math.inf

    @property
    def left(self) -> float:
        """The seconds left."""
        return self.begin + self.seconds - now()

    @property
    def stages(self) -> tuple[StageSteps, ...]:
        """What has been done, in order."""
        return tuple(self.record.values())

    @property
    def left_out(self) -> tuple[str, ...]:
        """What there was no time for in this part, in words."""
        inside = f"{self.name}, " if self.name else ""
        parts = (part for part in self.stages if part.short and part.name.startswith(inside))
        return tuple(part.describe().removeprefix(inside) for part in parts)

    def with_seconds(self, seconds: float) -> "StepLimit":
        """Return the limit with a clock that begins now and an empty record."""
        return replace(self, seconds=seconds, record={}, begin=now())

    def part(self, name: str, *, share: float = 0.5, needed: bool = False) -> "StepLimit | None":
        """Return the limit of a part of the fit, or None if it is not to be begun.

        By the clock it has a share of the time left. It is always begun if it is `needed`, and then
        takes one validation's steps at least.
        """
        if not self.exists:
            return self
        whole = f"{self.name}, {name}" if self.name else name
        if self.given is None:
            begins = needed or self.left > 0
        else:
            known = self.given.get(whole)
            begins = known is None or known.cut != 0
        if not begins:
            self.record[whole] = StageSteps(whole, 0, 0, 0)
            return None
        return StepLimit(whole, share * max(self.left, 0.0), self.given, self.record)

    def __call__(self, done: int, steps: int) -> int:
        """Return how many steps training takes in all, when some of `steps` are done."""
        if not self.exists:
            return steps
        stage = self._timed(done, steps) if self.given is None else self._repeated(steps)
        self.record[self.name] = stage
        return stage.steps if stage.cut is None or done < stage.cut else stage.cut

    def _timed(self, done: int, steps: int) -> StageSteps:
        """Return what the clock makes of a stage, planned when it is asked for the first time."""
        seconds, stage = now() - self.begin, self.record.get(self.name)
        if stage is None:
            stage = StageSteps(self.name, steps, steps)
            fitting = int(min(steps, PLANNED * self.seconds * done / seconds if seconds else steps))
            if done < fitting:
                return replace(stage, steps=fitting)
            return replace(stage, cut=None if done == steps else done)
        over = seconds >= self.seconds and done < stage.steps
        return replace(stage, cut=done) if over else stage

    def _repeated(self, steps: int) -> StageSteps:
        """Return what the record says of a stage; ValueError if that is of another fit."""
        assert self.given is not None
        stage, begun = self.given.get(self.name), self.name in self.record
        if stage is None or not (begun or stage.planned == steps):
            raise ValueError(
                f"stages: they tell of no {steps:,} planned steps of {self.name!r}: give those of "
                "the same method, fitted to the same simulations"
            )
        return stage


UNLIMITED = StepLimit()
