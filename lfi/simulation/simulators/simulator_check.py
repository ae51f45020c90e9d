"""Checks of a simulator, run a few times, for what spoils a fit without an error, in words."""

import math
import time
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lfi.numerics.checks import check_positive
from lfi.runtime.display import Described
from lfi.runtime.durations import duration
from lfi.runtime.seeds import fresh, numpy_rng
from lfi.simulation.priors.prior import Prior
from lfi.simulation.records.results import ERROR, NONFINITE, OK, RowResults

STEP = 1e-3  # of a parameter's scale, for finite differences
TOLERANCE = 0.3  # a difference quotient whose halves disagree by more is not trusted


@runtime_checkable
class CheckableSimulator(Protocol):
    """The attributes and methods of a simulator that the checks use."""

    prior: Prior
    batched: bool
    differentiable: bool
    x_obs: Tensor | None

    def __call__(self, theta: Tensor, seed: int | None = None) -> Tensor:
        """Return x for every row of theta."""
        ...

    def run_block(self, theta: Tensor, seed: int) -> RowResults:
        """Return the results of every row of theta, failures included."""
        ...


@dataclass(frozen=True, repr=False)
class SimulatorCheck(Described):
    """Problems of a simulator, found by running it a few times.

    `problems` should be mended, `notes` are good to know; `seconds` is the time of one simulation,
    `x_shape` the shape of one x (None where all failed), `failed` the share that failed.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float
    x_shape: tuple[int, ...] | None
    failed: float

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def describe(self) -> str:
        """Return problems and notes, a line each."""
        lines = [f"problem: {text}" for text in self.problems]
        return "\n".join(lines + [f"note: {text}" for text in self.notes])


def inspect_simulator(
    simulator: CheckableSimulator,
    *,
    seed: int | None = None,
    n: int = 64,
    max_seconds: float = 20.0,
) -> SimulatorCheck:
    """Run a simulator at n parameter vectors, or fewer in `max_seconds`; report its problems."""
    check_positive("max_seconds", max_seconds)
    seed = fresh(seed)
    theta = simulator.prior.sample(n, seed=numpy_rng(seed, 0))
    began = time.monotonic()
    first = simulator.run_block(theta[:4], seed)
    seconds = (time.monotonic() - began) / 4
    theta = theta[: max(4, int(max_seconds / 4 / max(seconds, 1e-9)))]
    began = time.monotonic()
    block = simulator.run_block(theta, seed)
    seconds = (time.monotonic() - began) / len(theta)
    valid = block.codes == OK
    failed = 1 - float(valid.double().mean())
    problems, notes = _failures(block), [_cost(seconds)]
    if block.x is None:
        return SimulatorCheck(tuple(problems), tuple(notes), seconds, None, failed)
    notes.append(f"x has shape {tuple(block.x.shape[1:])} and dtype {block.dtype}")
    again = simulator.run_block(theta, seed)
    other = simulator.run_block(theta, seed + 1)
    problems += _randomness(simulator, block.x, valid, again.x, other.x)
    problems += _shapes(first, block.x)
    problems += _constants(block.x[valid])
    problems += _observation(simulator, block.x[valid])
    if simulator.differentiable:
        problems += _gradient(simulator, theta[valid][:4], seed)
    return SimulatorCheck(tuple(problems), tuple(notes), seconds, tuple(block.x.shape[1:]), failed)


def _cost(seconds: float) -> str:
    every = duration(1e4 * seconds)
    return f"one simulation takes {duration(seconds)}; 10,000 take {every} on one core"


def _failures(block: RowResults) -> list[str]:
    found, n = [], len(block)
    raised, nonfinite = (int((block.codes == code).sum()) for code in (ERROR, NONFINITE))
    if raised:
        found.append(f"{raised} of {n} simulations raise, the first one {block.cause!r}")
    if nonfinite:
        found.append(f"{nonfinite} of {n} simulations return numbers that are not finite")
    return found


def _randomness(
    simulator: CheckableSimulator,
    x: Tensor,
    valid: Tensor,
    again: Tensor | None,
    other: Tensor | None,
) -> list[str]:
    found = []
    if not _equal(x, again):
        found.append(
            "equal seeds give different data: it draws from a source that lfi cannot seed (an own "
            "generator, the clock, another library); take a second argument rng and draw from it"
        )
    elif _equal(x, other):
        found.append(
            "other seeds give the same data: it is deterministic, or seeds itself; a posterior "
            "needs the noise of the measurement in x"
        )
    if not simulator.batched or int(valid.sum()) < 4:
        return found
    one = simulator.prior.sample(1, seed=numpy_rng(0)).expand(8, -1)
    alike = simulator.run_block(one, 0).x
    if alike is not None and not found and bool((alike == alike[:1]).all()):
        found.append(
            "all rows of a batch get the same random numbers: draw a row's worth for each theta"
        )
    return found


def _equal(x: Tensor, y: Tensor | None) -> bool:
    """Return whether two runs returned the same data, failures included."""
    if y is None:
        return False
    return x.shape == y.shape and torch.equal(x.nan_to_num(nan=1e300), y.nan_to_num(nan=1e300))


def _shapes(few: RowResults, x: Tensor) -> list[str]:
    """Find a batched function whose x has a shape that depends on the batch."""
    if few.x is None or few.x.shape[1:] == x.shape[1:]:
        return []
    return [
        f"the shape of x depends on the batch: {tuple(few.x.shape[1:])} a row of 4, "
        f"{tuple(x.shape[1:])} a row of {len(x)}"
    ]


def _constants(x: Tensor) -> list[str]:
    if len(x) < 4:
        return []
    found, flat = [], x.reshape(len(x), -1).double()
    constant = (flat == flat[0]).all(0)
    if constant.all():
        found.append("x is the same for all parameters")
    elif constant.any():
        columns = constant.nonzero().flatten().tolist()
        shown = ", ".join(map(str, columns[:5])) + ", ..." * (len(columns) > 5)
        found.append(f"{len(columns)} of {flat.shape[1]} entries of x never change ({shown})")
    return found


def _observation(simulator: CheckableSimulator, x: Tensor) -> list[str]:
    if simulator.x_obs is None or simulator.x_obs.shape == x.shape[1:]:
        return []
    return [
        f"x_obs has shape {tuple(simulator.x_obs.shape)}, and a simulated x {tuple(x.shape[1:])}"
    ]


def _gradient(simulator: CheckableSimulator, theta: Tensor, seed: int) -> list[str]:
    """Compare the promised gradient with finite differences, noise held fixed."""
    if len(theta) == 0:
        return []
    found, wide = [], theta.double()
    tracked = wide.clone().requires_grad_()
    total = simulator(tracked, seed=seed).double().sum()
    if not total.requires_grad:
        return ["it promises gradients, but x does not depend on theta through torch"]
    (gradient,) = torch.autograd.grad(total, tracked)
    if (gradient == 0).all():
        return ["it promises gradients, and all of them are zero: x moves with theta in jumps only"]
    sample = simulator.prior.sample(256, seed=numpy_rng(seed, 1)).double()
    step = STEP * (sample.quantile(0.84, dim=0) - sample.quantile(0.16, dim=0))
    for column, name in enumerate(simulator.prior.names):
        slopes = []
        for size in (step[column], step[column] / 2):
            move = torch.zeros_like(wide)
            move[:, column] = size
            ends = [
                simulator(wide + sign * move, seed=seed).double().reshape(len(wide), -1).sum(1)
                for sign in (1, -1)
            ]
            slopes.append((ends[0] - ends[1]) / (2 * size))
        scale = slopes[0].abs().clamp_min(slopes[0].abs().max() * 1e-3 + 1e-12)
        smooth = (slopes[0] - slopes[1]).abs() < TOLERANCE * scale
        wrong = smooth & ((gradient[:, column] - slopes[1]).abs() > 2 * TOLERANCE * scale)
        if not gradient[:, column].isfinite().all():
            found.append(f"its gradient in {name} is not finite")
        elif wrong.any():
            row = int(wrong.nonzero()[0])
            found.append(
                f"its gradient in {name} is {gradient[row, column]:.3g} where differences of x at "
                f"fixed noise give {slopes[1][row]:.3g}"
            )
        elif not smooth.any() and math.isfinite(float(gradient.sum())):
            found.append(f"at fixed noise x is not smooth in {name}, though gradients are promised")
    return found
