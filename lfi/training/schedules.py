"""Learning-rate schedules: functions of the share of training done to a factor."""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]


def constant(done: float) -> float:
    """Return 1 throughout."""
    return 1.0


def one_cycle(warm: float = 0.1) -> Schedule:
    """Return a schedule that rises from 1/25 to 1 and falls to zero, both as half cosines.

    The rise takes the share `warm` of training.

    References:
        Smith & Topin, Super-convergence, 2018. arXiv:1708.07120

    Example:
        >>> [round(one_cycle()(done), 2) for done in (0, 0.1, 1)]
        [0.04, 1.0, 0.0]
    """
    if not 0 < warm < 1:
        raise ValueError(f"warm must lie between 0 and 1, got {warm}")

    def factor(done: float) -> float:
        if done < warm:
            return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / warm)) / 2
        return (1 + math.cos(math.pi * (done - warm) / (1 - warm))) / 2

    return factor


def linear_decay(hold: float = 0.5) -> Schedule:
    """Return a schedule that holds 1 for a share of training and then falls to zero in a line.

    Example:
        >>> [linear_decay()(done) for done in (0, 0.5, 0.75, 1)]
        [1.0, 1.0, 0.5, 0.0]
    """
    if not 0 <= hold < 1:
        raise ValueError(f"hold must lie in [0, 1), got {hold}")
    return lambda done: min(1.0, (1 - done) / (1 - hold))
