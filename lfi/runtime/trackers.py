"""Trackers, which are told the numbers of trainings while they run (`lfi.training.trackers`)."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from lfi.runtime.calls import warn_caller
from lfi.runtime.stages import logger, stage_path


@runtime_checkable
class Tracker(Protocol):
    """What is told the numbers of trainings, the columns of their histories, as they come."""

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Note values.

        Args:
            step: How many steps of the training are done.
            values: By the stages' names and the column's, such as "fitting the ratio/held-out".
        """
        ...


_trackers: ContextVar[tuple[Tracker, ...]] = ContextVar("lfi_trackers", default=())


@dataclass(eq=False)
class GuardedTracker:
    """A tracker that is told nothing more once it has raised: training goes on without it."""

    tracker: Tracker
    broken: bool = False

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Tell the tracker."""
        if self.broken:
            return
        try:
            self.tracker.track(step, values)
        except Exception as error:  # of whatever kind: a full disk, say
            self.broken = True
            name = type(self.tracker).__name__
            text = f"{name} is told no more numbers of training, as it raised {error!r}"
            warn_caller(text, RuntimeWarning)


@contextmanager
def told_to(*trackers: Tracker) -> Iterator[None]:
    """Tell trackers the numbers of what trains inside, besides those that are told already."""
    token = _trackers.set((*_trackers.get(), *trackers))
    try:
        yield
    finally:
        _trackers.reset(token)


def track(step: int, values: Mapping[str, float], within: tuple[str, ...] = ()) -> None:
    """Tell the trackers, if there are any, values of a training by the names of their columns."""
    trackers = _trackers.get()
    if trackers and values:
        stages = (*stage_path(), *within)
        named = {"/".join((*stages, column)): value for column, value in values.items()}
        for tracker in trackers:
            tracker.track(step, named)


@dataclass
class Observed:
    """What a worker process would have said to the log and the trackers, to be said here."""

    lines: list[tuple[int, str]] = field(default_factory=list)
    values: list[tuple[int, dict[str, float]]] = field(default_factory=list)

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the values."""
        self.values.append((step, dict(values)))

    def repeat(self) -> None:
        """Tell log and trackers, with the names of the stages that run here."""
        inside = ": ".join(stage_path())
        for level, line in self.lines:
            logger.log(level, "%s", f"{inside}: {line}" if inside else line)
        for step, values in self.values:
            track(step, values)


class _Keeping(logging.Handler):
    """Keeps the lines of the log."""

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))


@contextmanager
def observed() -> Iterator[Observed]:
    """Keep what is said inside to the log and to trackers: of a worker process, which has none."""
    seen, level = Observed(), logger.level
    handler = _Keeping(seen.lines)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with told_to(seen):
            yield seen
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
