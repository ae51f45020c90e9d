"""How long simulations and a whole job take, and the number of simulations that follows from it.

By default a job makes 360,000 simulations, or as many as ten minutes of simulating allow, in round
numbers, and at least 2,400: `default_budget`.
"""

import math
import time
from typing import Any

from lfi.cli.options import MIN_BUDGET
from lfi.runtime.seeds import numpy_rng
from lfi.simulation import Simulator, simulate_at
from lfi.simulation.records.results import BLOCK

BUDGET = 360_000
MINUTES = 10  # of simulating that the default budget allows
ENOUGH = 0.3  # seconds of simulating that tell how long one simulation takes
ALL_CORES = 20.0  # seconds of simulating, above which every core simulates
FIT_SECONDS, ROUND_SECONDS = 100.0, 25.0  # of the last fit and of one before, on two idle cores
CHECK_SECONDS, SURROGATE_SECONDS = 45.0, 75.0
CHECKED_SECONDS = 120.0  # for the simulations that test a surrogate
MIN_SAMPLES, SAMPLES = 100, 1_000  # of each parameter vector in that test


def seconds_per_simulation(simulator: Simulator, seed: int, timeout: float | None = None) -> float:
    """Return how long one simulation takes, of more and more until that tells.

    With a timeout they are computed in a worker process, which is started first.
    """
    theta = simulator.prior.sample(BLOCK, seed=numpy_rng(seed, 109))
    if timeout is not None:
        simulate_at(simulator, theta[:1], seed=seed, timeout=timeout)
    n = 1
    while True:
        began = time.monotonic()
        simulate_at(simulator, theta[:n], seed=seed, timeout=timeout)
        taken = time.monotonic() - began
        if taken > ENOUGH or n == BLOCK:
            return taken / n
        n = min(8 * n, BLOCK)


def default_budget(seconds: float, workers: int) -> int:
    """Return how many simulations a job makes: 360,000, or those of ten minutes.

    Example:
        >>> default_budget(1e-5, 1), default_budget(0.01, 2), default_budget(60.0, 1)
        (360000, 100000, 2400)
    """
    allowed = 60 * MINUTES * workers / max(seconds, 1e-9)
    if allowed >= BUDGET:
        return BUDGET
    size = 10 ** math.floor(math.log10(max(allowed, 1)))
    rounded = max(step for step in (1, 2, 5) if step * size <= max(allowed, 1)) * size
    return max(rounded, MIN_BUDGET)


def fidelity_samples(seconds: float, parameters: int) -> int:
    """Return how many data of each parameter vector test a surrogate: 1,000 but of slow ones.

    Example:
        >>> fidelity_samples(1e-4, 8), fidelity_samples(0.05, 8), fidelity_samples(2.0, 8)
        (1000, 300, 100)
    """
    allowed = int(CHECKED_SECONDS / max(seconds, 1e-9) / parameters)
    return max(MIN_SAMPLES, min(SAMPLES, allowed))


def estimate(settings: dict[str, Any], seconds: float, workers: int) -> tuple[float, float]:
    """Return about how many seconds simulating takes, and the whole job."""
    simulating = settings["budget"] * seconds / workers
    fitting = ROUND_SECONDS * (settings["rounds"] - 1) + FIT_SECONDS
    after = CHECK_SECONDS
    if settings["minutes"] is not None:
        fitting = min(fitting, 60 * settings["minutes"])
        after += SURROGATE_SECONDS if settings["surrogate"] else 0.0  # else it trains beside a fit
    return simulating, simulating + fitting + after
