"""Checks of settings: numbers in their range, and objects of their kind."""

import math
from numbers import Integral, Real
from types import UnionType

from torch import Tensor


def check_number(
    name: str,
    value: object,
    *,
    above: float | None = None,
    minimum: float | None = None,
    below: float | None = None,
    maximum: float | None = None,
    optional: bool = False,
) -> None:
    """Check that a setting is a real number in a range, finite unless `maximum` is infinite.

    Args:
        name: What the setting is called.
        value: What came.
        above: What it must exceed.
        minimum: What it must be at least.
        below: What it must stay under.
        maximum: What it may be at most; `math.inf` allows infinity.
        optional: Whether None is allowed.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not in the range, or is nan.

    Example:
        >>> check_number("order", 0.5, minimum=1)
        Traceback (most recent call last):
        ValueError: order must be at least 1 and finite, got 0.5
    """
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    limits = {
        "positive" if above == 0 else f"above {above}": above is None or value > above,
        f"at least {minimum}": minimum is None or value >= minimum,
        f"below {below}": below is None or value < below,
        f"at most {maximum}": maximum is None or value <= maximum,
        "finite": maximum == math.inf or math.isfinite(value),
    }
    if not all(limits.values()):
        given = (above is not None, minimum is not None, below is not None, maximum is not None)
        words = [
            text for text, told in zip(limits, (*given, not any(given[2:])), strict=True) if told
        ]
        raise ValueError(f"{name} must be {' and '.join(words)}, got {value!r}")


def check_whole(
    name: str,
    value: object,
    *,
    minimum: int | None = 1,
    maximum: int | None = None,
    optional: bool = False,
) -> None:
    """Check that a setting is a whole number, at least `minimum`.

    Args:
        name: What the setting is called.
        value: What came.
        minimum: The least that is allowed; None for any.
        maximum: The most that is allowed; None for any.
        optional: Whether None is allowed.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is out of the range.

    Example:
        >>> check_whole("steps", 0)
        Traceback (most recent call last):
        ValueError: steps must be at least 1, got 0
    """
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if minimum is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")


def check_positive(name: str, value: object, *, optional: bool = False) -> None:
    """Check that a setting is a positive, finite number.

    Args:
        name: What the setting is called.
        value: What came.
        optional: Whether None is allowed.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not positive and finite.
    """
    check_number(name, value, above=0, optional=optional)


def check_positives(name: str, value: object, *, optional: bool = False) -> None:
    """Check that a setting is a positive, finite number, or a tensor of them.

    Args:
        name: What the setting is called.
        value: What came.
        optional: Whether None is allowed.

    Raises:
        TypeError: If it is neither a number nor a tensor.
        ValueError: If a number is not positive and finite.
    """
    if not isinstance(value, Tensor):
        check_positive(name, value, optional=optional)
    elif not ((value > 0) & value.isfinite()).all():
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_share(name: str, value: object, *, ends: bool = False, optional: bool = False) -> None:
    """Check that a setting is a number between 0 and 1.

    Args:
        name: What the setting is called.
        value: What came.
        ends: Whether 0 and 1 are allowed.
        optional: Whether None is allowed.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it does not lie between 0 and 1.

    Example:
        >>> check_share("held_out", 1.5)
        Traceback (most recent call last):
        ValueError: held_out must lie between 0 and 1, got 1.5
    """
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not (0 <= value <= 1 if ends else 0 < value < 1):
        words = "lie in [0, 1]" if ends else "lie between 0 and 1"
        raise ValueError(f"{name} must {words}, got {value}")


def check_instance(
    name: str,
    value: object,
    kinds: type | UnionType | tuple[type, ...],
    expected: str | None = None,
    *,
    optional: bool = False,
) -> None:
    """Check that a setting is an object of a kind; a class in place of its instance is told.

    Args:
        name: What the setting is called.
        value: What came.
        kinds: Classes or protocols, one of which it must be.
        expected: What was expected, in words; the kinds' names by default.
        optional: Whether None is allowed.

    Raises:
        TypeError: If it is not.

    Example:
        >>> check_instance("loss", int, int)
        Traceback (most recent call last):
        TypeError: loss must be an int, got the class int: give an instance, int()
    """
    if optional and value is None:
        return
    if isinstance(value, kinds) and not isinstance(value, type):
        return
    if expected is None:
        word = kinds.__name__ if isinstance(kinds, type) else str(kinds)
        expected = f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
    got = repr(value)
    if isinstance(value, type):
        got = f"the class {value.__name__}: give an instance, {value.__name__}()"
    raise TypeError(f"{name} must be {expected}, got {got}")
