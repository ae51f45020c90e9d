"""How a function is called: with one parameter vector or a batch, of torch or NumPy.

A file need not say. Its function is tried at a few parameters: three and five vectors at once, the
five alike, then one; as tensors, then as arrays. The first way is taken in which it returns a row
of x for each vector, without a warning that it will not much longer, and whose rows do not share
their random numbers.
"""

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lfi.runtime.calls import in_words
from lfi.runtime.seeds import numpy_rng
from lfi.simulation.simulators.signature import NumpyFunction
from lfi.simulation.simulators.simulator import Simulator
from lfi.simulation.simulators.wrap import as_simulator

ROWS, ALIKE = 3, 5  # vectors of the two batches
TRIED = 8  # draws of the prior at which a way is tried until it succeeds
PATIENCE, MORE = 5.0, 256  # seconds and draws, where it fails at all of these
SETTLED = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


@dataclass(frozen=True)
class Trial:
    """A way to call a function, and what came of it; `error` is None where it returned x."""

    simulator: Simulator
    error: Exception | None
    warned: bool = False
    shared: bool = False  # rows of a batch have the same random numbers

    @property
    def good(self) -> bool:
        """Whether nothing speaks against this way."""
        return self.error is None and not self.warned and not self.shared


def as_found(source: object, *, name: str = "simulator") -> Simulator:
    """Return `as_simulator(source)`, called in the way that it works.

    Whether one vector or a batch, a module may say by `batched`; torch or NumPy, by an annotation
    of theta. RuntimeError, with the lines of the user's file, if it works in no way.

    Example:
        >>> class Model:
        ...     prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        ...     def simulate(self, theta, rng):
        ...         (mean,) = theta
        ...         return rng.normal(mean, size=4)
        >>> as_found(Model()).batched
        False
    """
    given = as_simulator(source, name=name)
    if given is source:
        return given
    known = (given.batched,) if hasattr(source, "batched") else (True, False)
    functions: tuple[Callable[..., Any], ...] = (given.simulate,)
    if not given.signature.numpy_theta:
        functions += (NumpyFunction(given.simulate, given.signature.keyword),)
    ways = [
        given.called(f, batched=batched)
        for batched in known  # a single vector may be an array first, in every way: it says which
        for f in (functions if batched or not given.signature.numpy_first else functions[::-1])
    ]
    trials = []
    for way in ways:
        trials.append(trial := tried(way))
        if trial.good:
            return way
    returned = [trial for trial in trials if trial.error is None]
    for trial in sorted(returned, key=lambda trial: (trial.shared, trial.warned)):
        return trial.simulator
    for way in reversed(ways):  # a function that fails at most parameters
        if _succeeds_once(way):
            return way
    said = dict.fromkeys(in_words(trial.error) for trial in trials if trial.error is not None)
    raise RuntimeError(f"{given.name} raised at all parameters that were tried: {'; '.join(said)}")


def tried(way: Simulator) -> Trial:
    """Return what comes of a way at the first draws of the prior at which it returns x."""
    sizes = (ROWS, ALIKE) if way.batched else (1,)
    error: Exception | None = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for attempt in range(TRIED // sizes[0]):
            theta = way.prior.sample(sizes[0], seed=numpy_rng(0, attempt))
            try:
                way(theta, seed=attempt)
                shared = way.batched and _shares(way, attempt)
            except Exception as raised:  # of whatever kind: the function is the user's
                error = error or raised
                continue
            old = any(issubclass(warning.category, SETTLED) for warning in caught)
            return Trial(way, None, old, shared)
    return Trial(way, error)


def _shares(way: Simulator, attempt: int) -> bool:
    """Return whether vectors that are alike get the same noise in a batch, and others in the next.

    ValueError if x has not as many rows as there are vectors.
    """
    theta = way.prior.sample(1, seed=numpy_rng(0, attempt)).expand(ALIKE, -1)
    x, other = (way(theta, seed=seed).nan_to_num() for seed in (attempt, attempt + 1))
    return bool((x == x[:1]).all()) and not torch.equal(x, other)


def _succeeds_once(way: Simulator) -> bool:
    """Return whether a way returns x at one of many draws of the prior, in limited time."""
    begin = time.monotonic()
    theta = way.prior.sample(MORE, seed=numpy_rng(1))
    for row, vector in enumerate(theta.split(1)):
        if time.monotonic() - begin > PATIENCE:
            return False
        try:
            way(vector, seed=row)
        except Exception:  # a failure like those before
            continue
        return True
    return False
