"""Warnings that point to the user's own line, however deep inside lfi they are given."""

import inspect
import warnings

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
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in BETWEEN:
            break
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
