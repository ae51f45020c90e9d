"""Progress of lengthy work: bars on a terminal and in a notebook, lines where output is a file.

A bar is brought up to date a few times a second at most, and lines come every half minute, so that
work takes no longer for being watched. The stages that it lies within are named before it, and its
beginning and end are lines of the log (`lfi.runtime.stages`), whether it is shown or not.
"""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

from lfi.runtime.bars import (
    NOTEBOOK_SECONDS,
    TERMINAL_SECONDS,
    Show,
    Work,
    notebook_bar,
    runs_in_notebook,
    silence,
    terminal_bar,
)
from lfi.runtime.stages import logger, stage_path, within

_level: ContextVar[int] = ContextVar("lfi_level", default=logging.INFO)  # of the next bar's lines
_shown: ContextVar[bool] = ContextVar("lfi_shown", default=False)  # whether a bar is, around it


@runtime_checkable
class Advance(Protocol):
    """Says how much more is done, with a short note that stands behind the bar."""

    def __call__(self, n: int = 1, note: str = "") -> None:
        """Move the bar on by n units."""


def silent(n: int = 1, note: str = "") -> None:
    """Advance nothing: the bar of work that nobody watches."""


@contextmanager
def bar(
    description: str, total: int | None, show: bool = True, *, done: int = 0
) -> Iterator[Advance]:
    """Show how much is done while the body runs: on a terminal, in a notebook, or by lines.

    A bar inside one that is shown is not shown.

    Args:
        description: What is done, such as "fitting the ratio".
        total: Of how much; None where it is not known.
        show: False shows nothing anywhere.
        done: How much of it was done before.

    Example:
        >>> with bar("simulating", 10, show=False) as advance:
        ...     advance(10, note="all done")
    """
    level, shown = _level.get(), show and not _shown.get()
    with within(description):
        work = Work(": ".join(stage_path()), total, done)
        logger.log(level, "%s: begins%s", work.title, f", {total:,} in all" if total else "")
        tokens = _level.set(logging.DEBUG), _shown.set(_shown.get() or shown)
        every, display = _display(work) if shown else (float("inf"), nullcontext(lambda: None))
        due = time.monotonic()

        def advance(n: int = 1, note: str = "") -> None:
            nonlocal due
            work.done += n
            work.note = note or work.note
            if (now := time.monotonic()) >= due:
                due = now + every
                update()

        ended = ""
        try:
            with display as update:
                yield advance
        except BaseException as error:
            ended = f"ended by {type(error).__name__}, "
            raise
        finally:
            _level.reset(tokens[0])
            _shown.reset(tokens[1])
            logger.log(level, "%s: %s%s", work.title, ended, work.describe(rest=False))


def _display(work: Work) -> tuple[float, AbstractContextManager[Show]]:
    """Return where some work is shown, and how many seconds apart."""
    if runs_in_notebook():
        return NOTEBOOK_SECONDS, notebook_bar(work)
    if sys.stderr is None:
        return float("inf"), nullcontext(lambda: None)
    if sys.stderr.isatty():
        return TERMINAL_SECONDS, terminal_bar(work)
    return TERMINAL_SECONDS, silence.lines(work)


def held_out_note(latest: dict[str, float]) -> str:
    """Return the note behind a bar of training: the latest validation.

    Example:
        >>> held_out_note({"held-out": 0.51234})
        'held-out 0.5123'
    """
    return f"held-out {latest['held-out']:.4f}" if "held-out" in latest else ""
