"""Checks of arguments: an error names the argument, what came and what was expected."""

from collections.abc import Callable
from numbers import Integral, Real


def check_whole(name: str, value: object, minimum: int = 1) -> None:
    """Check that a value is a whole number, not below a minimum.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is smaller.

    Example:
        >>> check_whole("members", 0)
        Traceback (most recent call last):
        ValueError: members must be at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_real(name: str, value: object, inside: Callable[[float], bool], wanted: str) -> None:
    """Check that a value is a number in some range.

    Args:
        name: What the argument is called.
        value: What came.
        inside: Whether a number is in range.
        wanted: The range in words: "positive", "in [0, 1)".

    Raises:
        TypeError: If it is no number.
        ValueError: If it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not inside(value):
        raise ValueError(f"{name} must be {wanted}, got {value}")
