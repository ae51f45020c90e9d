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
    """Check the named settings of a sampler, its time limit, and `steps`: `min_steps`, `max_steps`.

    A TypeError says that a setting is no number, a ValueError that it is out of its range.
    """
    settings = vars(sampler)
    for name in (*whole, *(("max_steps",) if steps else ())):
        check_whole(name, settings[name])
    for name in whole_or_zero:
        check_whole(name, settings[name], minimum=0)
    for name in positive:
        check_positive(name, settings[name])
    if steps:
        check_whole("min_steps", settings["min_steps"], maximum=settings["max_steps"])
    check_number("time_limit", settings["time_limit"], above=0, maximum=math.inf)
