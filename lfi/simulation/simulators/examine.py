"""A check-up of a simulator: it is run a few times, and what is wrong is said in words.

It looks for what spoils a fit without an error: data that ignore the parameters or the seed, random
numbers that are always the same, shares of failures, constants and outliers of scale, gradients
that were promised and do not come.
"""

import math
import time

import torch
from torch import Tensor

from lfi.runtime.seeds import fresh, numpy_rng
from lfi.simulation.records.results import ERROR, NONFINITE, OK, Block
from lfi.simulation.simulators.checkup import Checkup
from lfi.simulation.simulators.simulator import Simulator

CALLS = 64  # parameter vectors that are tried, fewer where that takes long
PATIENCE = 20.0  # seconds that all calls together may take before they become fewer
STEP = 1e-3  # of a parameter's spread, for finite differences
FLAT = 0.3  # a difference quotient whose halves disagree by more is not trusted


def check_up(simulator: Simulator, *, seed: int | None = None) -> Checkup:
    """Run a simulator a few times and say what is wrong with it.

    Args:
        simulator: What to examine.
        seed: None takes fresh entropy.
    """
    seed = fresh(seed)
    theta = simulator.prior.sample(CALLS, rng=numpy_rng(seed, 0))
    began = time.monotonic()
    first = simulator.run_block(theta[:4], seed)
    seconds = (time.monotonic() - began) / 4
    calls = max(4, min(CALLS, int(PATIENCE / 4 / max(seconds, 1e-9))))
    theta = theta[:calls]
    began = time.monotonic()
    block = simulator.run_block(theta, seed)
    seconds = (time.monotonic() - began) / calls
    failed = float((block.codes != OK).double().mean())
    problems, notes = _failures(block), [_cost(simulator, seconds)]
    if block.x is None:
        return Checkup(tuple(problems), tuple(notes), seconds, None, failed)
    notes.append(f"x has shape {tuple(block.x.shape[1:])} and dtype {block.dtype}")
    again = simulator.run_block(theta, seed)
    other = simulator.run_block(theta, seed + 1)
    problems += _randomness(simulator, block, again, other)
    problems += _first_rows(simulator, first, block)
    problems += _data(block.x[block.codes == OK])
    problems += _observation(simulator, block.x[block.codes == OK])
    if simulator.differentiable:
        problems += _gradient(simulator, theta[block.codes == OK][:4], seed)
    return Checkup(tuple(problems), tuple(notes), seconds, tuple(block.x.shape[1:]), failed)


def _cost(simulator: Simulator, seconds: float) -> str:
    unit = f"{1e6 * seconds:.0f} microseconds" if seconds < 1e-3 else f"{seconds:.3g} s"
    return f"one simulation takes {unit}; 10,000 take {_clock(1e4 * seconds)} on one core"


def _clock(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds > 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


def _failures(block: Block) -> list[str]:
    found = []
    n = len(block)
    raised, nonfinite = ((block.codes == code).sum().item() for code in (ERROR, NONFINITE))
    if raised:
        found.append(f"{raised} of {n} simulations raise, the first one {block.cause!r}")
    if nonfinite:
        found.append(f"{nonfinite} of {n} simulations return numbers that are not finite")
    return found


def _randomness(simulator: Simulator, block: Block, again: Block, other: Block) -> list[str]:
    found = []
    if not _equal(block.x, again.x):
        found.append(
            "equal seeds give different data: it draws from a source that lfi cannot seed (an own "
            "generator, the clock, another library); take a second argument rng and draw from it"
        )
    elif _equal(block.x, other.x):
        found.append(
            "other seeds give the same data: it is deterministic, or seeds itself; a posterior "
            "needs the noise of the measurement in x"
        )
    rows = block.x[block.codes == OK].flatten(1)
    if not simulator.batched or len(rows) < 4:
        return found
    one = simulator.prior.sample(1, rng=numpy_rng(0)).expand(8, -1)
    alike = simulator.run_block(one, 0).x
    if alike is not None and not found and bool((alike == alike[:1]).all()):
        found.append(
            "all rows of a batch get the same random numbers: draw a row's worth for each theta"
        )
    return found


def _equal(x: Tensor | None, y: Tensor | None) -> bool:
    """Return whether two runs came to the same, failures included."""
    if x is None or y is None:
        return x is y
    return x.shape == y.shape and torch.equal(x.nan_to_num(nan=1e300), y.nan_to_num(nan=1e300))


def _first_rows(simulator: Simulator, few: Block, many: Block) -> list[str]:
    """Tell a batched function whose rows depend on what else is in the batch from its shape."""
    if few.x is None or few.x.shape[1:] == many.x.shape[1:]:
        return []
    return [
        f"the shape of x depends on the batch: {tuple(few.x.shape[1:])} a row of 4, "
        f"{tuple(many.x.shape[1:])} a row of {len(many)}"
    ]


def _data(x: Tensor) -> list[str]:
    if len(x) < 4:
        return []
    found, flat = [], x.flatten(1).double()
    constant = (flat == flat[0]).all(0)
    if constant.all():
        found.append("x is the same for all parameters")
    elif constant.any():
        columns = constant.nonzero().flatten().tolist()
        shown = ", ".join(map(str, columns[:5])) + ", ..." * (len(columns) > 5)
        found.append(f"{len(columns)} of {flat.shape[1]} entries of x never change ({shown})")
    return found


def _observation(simulator: Simulator, x: Tensor) -> list[str]:
    if simulator.x_obs is None or simulator.x_obs.shape == x.shape[1:]:
        return []
    return [
        f"x_obs has shape {tuple(simulator.x_obs.shape)}, and a simulated x {tuple(x.shape[1:])}"
    ]


def _gradient(simulator: Simulator, theta: Tensor, seed: int) -> list[str]:
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
    spread = simulator.prior.sample(256, rng=numpy_rng(seed, 1)).double()
    step = STEP * (spread.quantile(0.84, dim=0) - spread.quantile(0.16, dim=0))
    for column, name in enumerate(simulator.names):
        slopes = []
        for size in (step[column], step[column] / 2):
            move = torch.zeros_like(wide)
            move[:, column] = size
            ends = [
                simulator(wide + sign * move, seed=seed).double().flatten(1).sum(1)
                for sign in (1, -1)
            ]
            slopes.append((ends[0] - ends[1]) / (2 * size))
        scale = slopes[0].abs().clamp_min(slopes[0].abs().max() * 1e-3 + 1e-12)
        smooth = (slopes[0] - slopes[1]).abs() < FLAT * scale
        wrong = smooth & ((gradient[:, column] - slopes[1]).abs() > 2 * FLAT * scale)
        if not gradient[:, column].isfinite().all():
            found.append(f"its gradient in {name} is not finite")
        elif wrong.any():
            row = int(wrong.nonzero()[0])
            found.append(
                f"its gradient in {name} is {gradient[row, column]:.3g} where differences of x at "
                f"fixed noise say {slopes[1][row]:.3g}"
            )
        elif not smooth.any() and math.isfinite(float(gradient.sum())):
            found.append(f"at fixed noise x is not smooth in {name}, though gradients are promised")
    return found
