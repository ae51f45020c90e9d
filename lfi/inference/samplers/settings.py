"""Checks that all samplers make of their settings."""

import math

from lfi.numerics.checks import check_number, check_positive, check_whole


def check_settings(
    sampler: object,
    *,
    whole: tuple[str, ...] = (),
    whole_or_zero: tuple[str, ...] = (),
    positive: tuple[str, ...] = (),
    steps: bool = False,
) -> None:
    """Check the settings of a sampler, and its time limit.

    Args:
        sampler: The sampler.
        whole: Names of whole numbers of at least 1.
        whole_or_zero: Names of whole numbers of at least 0.
        positive: Names of positive numbers.
        steps: Whether there are `min_steps` and `max_steps`.

    Raises:
        TypeError: If a setting is no number.
        ValueError: If a number is out of its range.

    Example:
        >>> lfi.samplers.Importance(max_samples=0)
        Traceback (most recent call last):
        ValueError: max_samples must be at least 1, got 0
    """
    for name in (*whole, *(("max_steps",) if steps else ())):
        check_whole(name, getattr(sampler, name))
    for name in whole_or_zero:
        check_whole(name, getattr(sampler, name), minimum=0)
    for name in positive:
        check_positive(name, getattr(sampler, name))
    if steps:
        check_whole("min_steps", sampler.min_steps, maximum=sampler.max_steps)
    check_number("time_limit", sampler.time_limit, above=0, maximum=math.inf)
