"""What is shown of work under way: a bar on a terminal, a bar in a notebook, or lines of a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from importlib import import_module
from typing import Any

from lfi.runtime.durations import duration

TERMINAL_SECONDS, NOTEBOOK_SECONDS, LINE_SECONDS = 0.25, 0.5, 30.0  # from one update to the next
BAR_WIDTH, LEAST_WIDTH = 16, 10  # characters on a terminal


@dataclass
class Work:
    """Work under way: how much of it is done, and since when.

    Example:
        >>> Work("simulating", 4_000, done=1_000).amount
        '1,000 of 4,000'
    """

    title: str
    total: int | None
    done: int = 0
    note: str = ""
    began: float = field(default_factory=lambda: time.monotonic())
    before: int = field(init=False)

    def __post_init__(self) -> None:
        self.before = self.done

    @property
    def amount(self) -> str:
        """How much is done, in words."""
        if self.total is None:
            return f"{self.done:,}" if self.done else ""
        return f"{self.done:,} of {self.total:,}"

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float | None:
        """The seconds that the rest takes at the pace so far, None where there is none yet."""
        fresh = self.done - self.before
        if self.total is None or fresh <= 0:
            return None
        return self.seconds * max(self.total - self.done, 0) / fresh

    def describe(self, *, rest: bool = True) -> str:
        """Return amount, time and note in words, and the time left where it is wanted."""
        left = self.left if rest else None
        parts = (
            self.amount,
            duration(round(self.seconds, 1)),
            f"{duration(left)} left" if left else "",
            self.note,
        )
        return ", ".join(part for part in parts if part)


Show = Callable[[], None]  # brings what is shown of some work up to date


def runs_in_notebook() -> bool:
    """Return whether a notebook's kernel runs this, which shows rich output."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def terminal_bar(work: Work) -> Iterator[Show]:
    """Show a bar on standard error; what else is written there, such as warnings, stands above."""
    from rich import console, live, progress_bar, table, text

    ended, screen = False, console.Console(stderr=True)

    def render() -> table.Table:
        words = table.Column(no_wrap=True, overflow="ellipsis")
        grid = table.Table.grid(table.Column(), table.Column(), words, padding=(0, 1))
        title = text.Text(work.title, no_wrap=True, overflow="ellipsis")  # first to be shortened
        told = text.Text(work.describe(rest=not ended))
        unknown = work.total is None
        drawn = progress_bar.ProgressBar(
            1 if unknown else max(work.total or 0, 1),
            int(ended) if unknown else work.done,
            BAR_WIDTH if screen.width > 100 else LEAST_WIDTH,
            pulse=unknown and not ended,
        )
        grid.add_row(title, drawn, told)
        return grid

    rate = 1 / TERMINAL_SECONDS
    with live.Live(get_renderable=render, console=screen, refresh_per_second=rate):
        try:
            yield lambda: None  # it refreshes by itself
        finally:
            ended = True


@dataclass(frozen=True)
class NotebookBar:
    """A bar as a notebook shows it: in HTML, and in words where that is not shown."""

    work: Work
    ended: bool = False

    def __repr__(self) -> str:
        return f"{self.work.title}: {self.work.describe(rest=not self.ended)}"

    def _repr_html_(self) -> str:
        work, style = self.work, "font-family: monospace; white-space: pre-wrap"
        told = work.describe(rest=not self.ended)
        value = "" if work.total is None else f" value='{work.done}' max='{max(work.total, 1)}'"
        moving = f"<progress{value}></progress> " if work.total or not self.ended else ""
        return f"<div style='{style}'>{escape(work.title)} {moving}{escape(told)}</div>"


@contextmanager
def notebook_bar(work: Work) -> Iterator[Show]:
    """Show a bar below the cell that runs."""
    display: Any = import_module("IPython.display").display  # is there where a notebook runs this
    handle = display(NotebookBar(work), display_id=True)
    try:
        yield lambda: handle.update(NotebookBar(work))
    finally:
        handle.update(NotebookBar(work, ended=True))


class Silence:
    """How long nothing has been written, in seconds of work: a program may rest in between."""

    def __init__(self) -> None:
        self.before: float = 0.0

    @contextmanager
    def lines(self, work: Work) -> Iterator[Show]:
        """Write a line to standard error now and then, and at the end of what had one."""
        since, written = time.monotonic(), False

        def show() -> None:
            nonlocal since, written
            now = time.monotonic()
            if self.before + now - since >= LINE_SECONDS:
                write_line(f"lfi: {work.title}: {work.describe()}")
                self.before, since, written = 0.0, now, True

        try:
            yield show
        finally:
            self.before += time.monotonic() - since
            if written:
                write_line(f"lfi: {work.title}: {work.describe(rest=False)}")
                self.before = 0.0


silence: Silence = Silence()


def write_line(line: str) -> None:
    """Write a line to standard error, whatever characters that can show."""
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stderr.flush()
