"""Tasks of a run: some rows of a block each, and their retries where a process is lost.

A worker process is lost when a call exceeds its time limit or ends the process. Rows are
independent, so those before the one at work are computed again, it is recorded as failed, and the
rest follow. A row that crashed is tried twice, since processes are also killed by others.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from lfi.runtime.seeds import numpy_rng
from lfi.runtime.workers.fork_server import LostProcess
from lfi.simulation.priors.prior import Prior
from lfi.simulation.records.results import (
    BLOCK,
    TIMEOUT,
    RowResults,
    concatenate_results,
    results_of_rows,
)

WHOLE_BATCH = -1  # in place of a row's number: a call for all rows


@dataclass(frozen=True, eq=False)
class Task:
    """Some rows of a block, to be computed by one call of `Simulator.run_block`."""

    block: int
    start: int  # the first row's number inside the block
    theta: np.ndarray  # (n, D)
    seed: int
    row_by_row: bool = False

    @property
    def first(self) -> int:
        """The first row's number in the run."""
        return self.block * BLOCK + self.start

    def __getitem__(self, rows: slice) -> "Task":
        """Return the task of some of its rows."""
        begin, _, _ = rows.indices(len(self))
        return replace(self, start=self.start + begin, theta=self.theta[rows])

    def __len__(self) -> int:
        return len(self.theta)


def run_with_retries(run: Callable[[Task], RowResults | LostProcess], task: Task) -> RowResults:
    """Return the results of a task, whose rows may hang or end the process that runs them."""
    results: list[RowResults] = []
    while len(task):
        answer = run(task)
        if isinstance(answer, RowResults):
            results.append(answer)
            break
        if answer.row == WHOLE_BATCH:
            task = replace(task, row_by_row=True)
            continue
        if answer.row > 0:
            results.append(run_with_retries(run, task[: answer.row]))
        culprit = task[answer.row : answer.row + 1]
        again = run(culprit) if answer.limit is None else answer
        results.append(again if isinstance(again, RowResults) else _failed(culprit, again))
        task = task[answer.row + 1 :]
    return concatenate_results(results)


def _failed(task: Task, loss: LostProcess) -> RowResults:
    """Return the result of a row that took its process with it."""
    if loss.limit is None:
        return results_of_rows([RuntimeError(str(loss))], task.first)
    codes = torch.tensor([TIMEOUT], dtype=torch.uint8)
    return RowResults(None, codes, {task.first: str(loss)}, cause=TimeoutError(str(loss)))


@dataclass
class TaskSize:
    """The number of rows in a task of a function of one vector, adapted to its speed."""

    rows: int = 4
    seconds: float = 0.25  # that a task should take

    def update(self, rows: int, seconds: float) -> None:
        """Adapt to how long some rows took."""
        wanted = int(rows * self.seconds / max(seconds, 1e-6))
        self.rows = max(1, min(wanted, 4 * self.rows, BLOCK))


def plan_tasks(
    prior: Prior, batched: bool, seed: int, first: int, n: int, size: TaskSize
) -> Iterator[Task]:
    """Yield the tasks from row `first` on: whole blocks if batched, else up to row n exactly."""
    for block in range(first // BLOCK, -(-n // BLOCK)):
        theta = prior.sample(BLOCK, seed=numpy_rng(seed, 0, block)).numpy()
        start = max(first - block * BLOCK, 0)
        stop = BLOCK if batched else min(n - block * BLOCK, BLOCK)
        while start < stop:
            end = stop if batched else min(start + size.rows, stop)
            yield Task(block, start, theta[start:end], seed)
            start = end
