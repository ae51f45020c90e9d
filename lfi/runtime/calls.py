"""The user's own lines: where warnings point, what they assign, where exceptions came through."""

import dis
import inspect
import sysconfig
import traceback
import warnings
from pathlib import Path
from types import FrameType

STORES = ("STORE_NAME", "STORE_FAST", "STORE_GLOBAL", "STORE_DEREF")  # to a variable
# what may stand in between; the last three check shapes in tests
BETWEEN = {"lfi", "torch", "jaxtyping", "beartype", "typechecker"}


def warn_caller(message: str, category: type[Warning]) -> None:
    """Warn at the line that called lfi, whatever functions of lfi lie in between.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_caller("few draws", UserWarning)
        >>> [str(each.message) for each in caught]
        ['few draws']
    """
    _, level = _outside(inspect.currentframe())
    warnings.warn(message, category, stacklevel=level)


def assigned_name() -> str | None:
    """Return the variable that what the user's line has called is assigned to, if it is."""
    frame, _ = _outside(inspect.currentframe())
    if frame is None:
        return None
    following = (each for each in dis.get_instructions(frame.f_code) if each.offset > frame.f_lasti)
    after = next(following, None)
    if after is None or not after.opname.startswith(STORES):
        return None
    return after.argval[0] if isinstance(after.argval, tuple) else after.argval


def _outside(frame: FrameType | None) -> tuple[FrameType | None, int]:
    """Return the first frame outside lfi from a frame on, and its stacklevel seen from there."""
    level = 1
    while frame is not None and frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in BETWEEN:
            break
        frame, level = frame.f_back, level + 1
    return frame, level


INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
OWN = str(Path(__file__).parents[1])  # the folder of lfi
AT = "at "  # how a note of an exception begins that says the line


def user_line(error: BaseException) -> str:
    """Return the last line of a user's file that an exception came through, "" if there is none.

    An exception of another process has the line as a note (`note_user_line`).

    Example:
        >>> try:
        ...     compile("1 +", "model.py", "exec")
        ... except SyntaxError as error:
        ...     print(user_line(error))
        model.py, line 1: 1 +
    """
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()
        return f"{Path(error.filename).name}, line {error.lineno}: {line}"
    places = traceback.extract_tb(error.__traceback__)
    own = [p for p in places if not p.filename.startswith((*INSTALLED, OWN, "<"))]
    if own:
        return f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}"
    noted = (note for note in getattr(error, "__notes__", ()) if note.startswith(AT))
    return next(noted, "").removeprefix(AT)


def note_user_line(error: BaseException) -> None:
    """Keep the user's line with an exception that leaves its process, and its traceback there."""
    if line := user_line(error):
        error.add_note(f"{AT}{line}")


def in_words(error: BaseException) -> str:
    """Return an exception in one line: its kind, its message and the user's line.

    Example:
        >>> in_words(KeyError("beta"))
        "KeyError: 'beta'"
    """
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    said = ": ".join(filter(None, (type(error).__name__, " ".join(message.split()))))
    line = user_line(error)
    return f"{said} ({line})" if line else said
