"""Progress of lengthy work: a bar on a terminal, silence elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable


@runtime_checkable
class Advance(Protocol):
    """Says how much more is done, with a short note that stands behind the bar."""

    def __call__(self, n: int = 1, note: str = "") -> None:
        """Move the bar on by n units."""


def silent(n: int = 1, note: str = "") -> None:
    """Advance nothing: the bar of work that nobody watches."""


@contextmanager
def bar(description: str, total: int | None, show: bool = True) -> Iterator[Advance]:
    """Show a bar on standard error while the body runs, where that is a terminal.

    `total` is None where it is not known; `show=False` silences the bar on a terminal too.

    Example:
        >>> with bar("simulating", 10, show=False) as advance:
        ...     advance(10, note="all done")
    """
    if not (show and sys.stderr.isatty()):
        yield silent
        return
    from rich import console, progress

    columns = (
        progress.TextColumn("{task.description:<24}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}"),
    )
    screen = console.Console(stderr=True)
    with progress.Progress(*columns, console=screen, refresh_per_second=5) as display:
        task = display.add_task(description, total=total, note="")
        pending, last, note_shown = 0, time.monotonic(), ""

        def advance(n: int = 1, note: str = "") -> None:
            nonlocal pending, last, note_shown
            pending, note_shown = pending + n, note or note_shown
            now = time.monotonic()
            if now - last > 0.1:  # a bar must not slow a loop of short steps
                display.update(task, advance=pending, note=note_shown)
                pending, last = 0, now

        try:
            yield advance
        finally:
            display.update(task, advance=pending, note=note_shown)


def held_out_note(latest: dict[str, float]) -> str:
    """Return the note behind a bar of training: the latest validation.

    Example:
        >>> held_out_note({"held-out": 0.51234})
        'held-out 0.5123'
    """
    return f"held-out {latest['held-out']:.4f}" if "held-out" in latest else ""
