"""Pieces of a run: some rows of a block, and what becomes of them if they hang or crash.

A worker process may be lost in the middle of a piece: the simulator never returns and is killed at
its time limit, or it takes the process with it. Rows do not depend on each other, so the rows
before the one that was at work are computed again, that row is recorded as lost, and the rows after
it follow. A row that crashed gets a second chance, since processes are also killed by others.
"""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from lfi.runtime.seeds import numpy_rng
from lfi.simulation.priors.prior import Prior
from lfi.simulation.records.results import BLOCK, TIMEOUT, Block, collected, joined
from lfi.simulation.simulators.simulator import Simulator

PIECE_SECONDS = 0.25  # aimed at for a piece of work of a function of one vector
WHOLE = -1  # what was at work when a call for all rows was


@dataclass(frozen=True, eq=False)
class Piece:
    """Some rows of a block, to be computed by one call of `run_block`.

    Attributes:
        block: The block's number.
        start: The first row's number inside the block.
        theta: Their parameters, (n, D).
        seed: The run's seed.
        singly: Whether a batched function is called row by row.
    """

    block: int
    start: int
    theta: np.ndarray
    seed: int
    singly: bool = False

    @property
    def first(self) -> int:
        """The first row's number in the run."""
        return self.block * BLOCK + self.start

    def part(self, begin: int, end: int) -> "Piece":
        """Return some of its rows."""
        return replace(self, start=self.start + begin, theta=self.theta[begin:end])

    def __len__(self) -> int:
        return len(self.theta)


@dataclass(frozen=True)
class Died:
    """A process that was lost at work.

    Attributes:
        row: The row that was at work, counted from the piece's first; WHOLE for a call for all.
        limit: The time limit that it exceeded, in seconds; None where it ended by itself.
        code: How it ended by itself: its exit code, or minus the signal.
    """

    row: int
    limit: float | None
    code: int = 0

    def __str__(self) -> str:
        if self.limit is not None:
            return f"no result within {self.limit:g} s"
        if self.code < 0:
            name = signal.Signals(-self.code).name
            return f"the process was ended by signal {name}" + ", out of memory?" * (
                self.code == -9
            )
        return f"the process ended with exit code {self.code}"


def resilient(run: Callable[[Piece], Block | Died], piece: Piece) -> Block:
    """Return the outcome of a piece, whose rows may hang or end the process that computes them.

    Args:
        run: Computes a piece, or says how the process was lost.
        piece: The rows.
    """
    blocks: list[Block] = []
    while len(piece):
        answer = run(piece)
        if isinstance(answer, Block):
            blocks.append(answer)
            break
        if answer.row == WHOLE:
            piece = replace(piece, singly=True)
            continue
        if answer.row > 0:
            blocks.append(resilient(run, piece.part(0, answer.row)))
        culprit = piece.part(answer.row, answer.row + 1)
        again = run(culprit) if answer.limit is None else answer
        blocks.append(again if isinstance(again, Block) else lost(culprit, again))
        piece = piece.part(answer.row + 1, len(piece))
    return joined(blocks)


def lost(piece: Piece, death: Died) -> Block:
    """Return the outcome of a row that took its process with it."""
    if death.limit is None:
        return collected([RuntimeError(str(death))], piece.first)
    codes = torch.tensor([TIMEOUT], dtype=torch.uint8)
    return Block(None, codes, {piece.first: str(death)}, cause=TimeoutError(str(death)))


@dataclass
class Pace:
    """How many rows of a function of one vector make a piece: as many as take a moment."""

    rows: int = 4

    def saw(self, rows: int, seconds: float) -> None:
        """Learn how long some rows took."""
        wanted = int(rows * PIECE_SECONDS / max(seconds, 1e-6))
        self.rows = max(1, min(wanted, 4 * self.rows, BLOCK))


def pieces(
    simulator: Simulator, prior: Prior, seed: int, first: int, n: int, pace: Pace
) -> Iterator[Piece]:
    """Yield the work from row `first` on: whole blocks, or pieces up to row n exactly."""
    for block in range(first // BLOCK, -(-n // BLOCK)):
        theta = prior.sample(BLOCK, rng=numpy_rng(seed, 0, block)).numpy()
        start = max(first - block * BLOCK, 0)
        stop = BLOCK if simulator.batched else min(n - block * BLOCK, BLOCK)
        while start < stop:
            end = stop if simulator.batched else min(start + pace.rows, stop)
            yield Piece(block, start, theta[start:end], seed)
            start = end
