"""Validation of the fields of methods."""

from numbers import Integral

from lfi.training import TrainSettings


def check_count(name: str, value: object, minimum: int = 1) -> None:
    """Refuse what is not a whole number of at least `minimum`.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is too small.

    Example:
        >>> check_count("layers", 3)
        >>> check_count("layers", 0)
        Traceback (most recent call last):
        ValueError: layers must be at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value}")


def check_settings(settings: object) -> None:
    """Refuse settings that are not `TrainSettings`, nor None.

    Raises:
        TypeError: If they are something else.
    """
    if settings is not None and not isinstance(settings, TrainSettings):
        raise TypeError(f"settings must be lfi.TrainSettings or None, got {settings!r}")
