"""Checks of settings: numbers in their range, and objects of their kind.

All raise TypeError for a wrong kind and ValueError for a value out of range, and pass None where
it is `optional`.
"""

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
    """Check that a setting is a real number in a range, finite unless `maximum` is infinite."""
    if optional and value is None:
        return
    number = _real(name, value)
    limits = {
        "positive" if above == 0 else f"above {above}": above is None or number > above,
        f"at least {minimum}": minimum is None or number >= minimum,
        f"below {below}": below is None or number < below,
        f"at most {maximum}": maximum is None or number <= maximum,
        "finite": maximum == math.inf or math.isfinite(number),
    }
    if not all(limits.values()):
        given = (above is not None, minimum is not None, below is not None, maximum is not None)
        words = [
            text for text, told in zip(limits, (*given, not any(given[2:])), strict=True) if told
        ]
        raise ValueError(f"{name} must be {' and '.join(words)}, got {value!r}")


def _real(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def check_whole(
    name: str,
    value: object,
    *,
    minimum: int | None = 1,
    maximum: int | None = None,
    optional: bool = False,
) -> None:
    """Check that a setting is a whole number from `minimum` to `maximum`."""
    if optional and value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if minimum is not None and int(value) < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")
    if maximum is not None and int(value) > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {value}")


def check_counts(minimum: int = 1, **counts: object) -> None:
    """Check that settings, by name, are whole numbers of at least `minimum`."""
    for name, value in counts.items():
        check_whole(name, value, minimum=minimum)


def check_positive(name: str, value: object, *, optional: bool = False) -> None:
    """Check that a setting is a positive, finite number."""
    check_number(name, value, above=0, optional=optional)


def check_positives(name: str, value: object, *, optional: bool = False) -> None:
    """Check that a setting is a positive, finite number, or a tensor of them."""
    if not isinstance(value, Tensor):
        check_positive(name, value, optional=optional)
    elif not ((value > 0) & value.isfinite()).all():
        raise ValueError(f"{name} must be positive and finite, got {value}")


def check_share(name: str, value: object, *, ends: bool = False, optional: bool = False) -> None:
    """Check that a setting is a number between 0 and 1, or one of these `ends`."""
    if optional and value is None:
        return
    share = _real(name, value)
    if not (0 <= share <= 1 if ends else 0 < share < 1):
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
    """Check a setting's kind, `expected` in words; a class in place of its instance is told."""
    if optional and value is None:
        return
    if isinstance(value, kinds) and not isinstance(value, type):
        return
    if expected is None:
        word = kinds.__name__ if isinstance(kinds, type) else str(kinds)
        expected = f"{'an' if word[0].lower() in 'aeiou' else 'a'} {word}"
    raise _wrong_kind(name, value, expected)


def check_callable(name: str, value: object, expected: str) -> None:
    """Check that a setting can be called, and is no class."""
    if not callable(value) or isinstance(value, type):
        raise _wrong_kind(name, value, expected)


def _wrong_kind(name: str, value: object, expected: str) -> TypeError:
    got = repr(value)
    if isinstance(value, type):
        got = f"the class {value.__name__}: give an instance, {value.__name__}()"
    return TypeError(f"{name} must be {expected}, got {got}")
