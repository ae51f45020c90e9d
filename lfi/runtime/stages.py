"""The stage of lengthy work that runs: "round 2 of 3", "fitting the likelihood".

Stages lie within each other. Bars, the log and trackers name them; nothing that is computed depends
on them. Every thread has its own.

The log is that of Python's `logging` under the name "lfi", and silent until a handler is given:

    logging.basicConfig(level=logging.INFO)

writes two lines for each stage, when it begins and when it ends: seconds, counts and losses. At
`logging.DEBUG` there are a line for each validation of a training, and those of stages that lie
within one that is shown.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

logger: logging.Logger = logging.getLogger("lfi")
logger.addHandler(logging.NullHandler())

_path: ContextVar[tuple[str, ...]] = ContextVar("lfi_stages", default=())


def stage_path() -> tuple[str, ...]:
    """Return the names of the stages that run, the outermost first."""
    return _path.get()


@contextmanager
def within(name: str) -> Iterator[None]:
    """Name the stage that the body is; "" names none.

    Example:
        >>> with within("round 2 of 3"), within("fitting the ratio"):
        ...     stage_path()
        ('round 2 of 3', 'fitting the ratio')
    """
    token = _path.set((*_path.get(), name) if name else _path.get())
    try:
        yield
    finally:
        _path.reset(token)
