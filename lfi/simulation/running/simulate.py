"""Simulation in parallel and resumable, with equal numbers for equal seeds.

Rows are numbered in blocks of 1,024. A batched function is called on whole blocks, of which the
first n rows are kept, so that 20,000 simulations extend 10,000; a function of one vector is called
on exactly the rows asked for. Results are recorded in order, wherever they are computed.
"""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive, check_whole
from lfi.runtime.calls import user_line
from lfi.runtime.progress import bar
from lfi.runtime.seeds import fresh
from lfi.runtime.workers.fork_server import Heartbeat, portable_error
from lfi.simulation.priors.prior import Prior, as_prior
from lfi.simulation.records.results import BLOCK, OK, ResultsBuffer, RowResults
from lfi.simulation.records.simulations import Simulations
from lfi.simulation.running.engines import TaskResults, in_executor, in_process, in_workers
from lfi.simulation.running.tasks import Task, TaskSize, plan_tasks
from lfi.simulation.simulators.simulator import Simulator
from lfi.simulation.simulators.wrap import as_simulator

NUMPY_HINT = ". A function that computes with NumPy says so: def simulate(theta: np.ndarray)"


@checked
def simulate(
    simulator: object,
    n: int,
    *,
    seed: int | None = None,
    workers: int = 1,
    timeout: float | None = None,
    executor: Executor | None = None,
    store: str | Path | None = None,
    progress: bool = True,
    prior: object = None,
) -> Simulations:
    """Draw n parameter vectors from the prior and simulate data for each.

    Equal seeds give equal numbers, bit for bit, for any number of workers and however often a run
    was interrupted. A row whose simulation raises or is not finite stays in the record, with its
    status. A batched function runs on one core as a whole; `workers` runs blocks side by side.

    Args:
        simulator: A `Simulator`, or a module with `prior` and `simulate`.
        n: How many simulations.
        seed: None takes fresh entropy, or the seed of the store to resume.
        workers: How many processes compute. A simulator that ends its process (a segmentation
            fault) is recorded as an error where there are workers, or an executor of other
            processes, and ends yours where there are none. To start them takes seconds; they stay
            for a minute, and the next run takes them.
        timeout: How many seconds one call of the simulator may take before it is killed and its row
            recorded as timeout; a batched function is then tried row by row. It runs in a worker
            process, also where `workers` is 1.
        executor: Where tasks are computed, in place of workers: any `concurrent.futures.Executor`,
            such as those of Dask, MPI, Parsl and loky. `workers` then says how many it has.
        store: A folder that keeps the results as they come. A run that was interrupted goes on
            where it was; one that is longer is extended; of a shorter one the first n are returned.
        progress: Whether to show a bar on a terminal.
        prior: Draws theta in place of the simulator's prior, such as a truncated one.

    Raises:
        ValueError: If x has the wrong number of rows, a changing shape, or is not of numbers.
        KeyboardInterrupt: If it is interrupted; it says how many rows are in the store.
        StoreError: If the store belongs to another run, is damaged, in use, or cannot be written.
        RuntimeError: If no simulation of the first block succeeds, or a worker process dies.

    Example:
        >>> prior = {"mean": torch.distributions.Normal(0.0, 1.0)}
        >>> wrapped = lfi.Simulator(lambda theta: theta + torch.randn(len(theta), 3), prior=prior)
        >>> simulations = lfi.simulate(wrapped, 1_500, seed=1)
        >>> simulations.x.shape
        torch.Size([1500, 3])
        >>> longer = lfi.simulate(wrapped, 2_500, seed=1)
        >>> torch.equal(longer.x[:1_500], simulations.x)
        True
    """
    simulator = as_simulator(simulator)
    prior = simulator.prior if prior is None else as_prior(prior)
    check_whole("n", n)
    check_whole("workers", workers)
    check_positive("timeout", timeout, optional=True)
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(
            "executor must be a concurrent.futures.Executor (a Dask client gives one by "
            f"client.get_executor()), got a {type(executor).__name__}"
        )
    if prior.names != simulator.names:
        raise ValueError(
            f"prior names {', '.join(prior.names)}, the simulator takes "
            f"{', '.join(simulator.names)}"
        )
    if store is None:
        record = _Memory(simulator, prior, fresh(seed))
    else:
        from lfi.simulation.running.writer import Writer  # zarr is imported where it is used

        record = Writer(store, simulator, prior, seed)
    try:
        with record:
            if record.finished < n:
                run = partial(run_tasks, simulator, workers, timeout, executor)
                _fill(record, simulator, prior, n, run, progress)
            return record.simulations(n)
    except KeyboardInterrupt as interrupt:
        kept = f"{record.finished:,} of {n:,} rows are in {store}: the same call goes on from there"
        lost = "no row is kept: give a store, from which the same call goes on"
        interrupt.args = (lost if store is None else kept,)
        raise interrupt.with_traceback(None) from None  # where it fell tells a user nothing


class _Memory:
    """The results of a run without a store."""

    finished = 0

    def __init__(self, simulator: Simulator, prior: Prior, seed: int) -> None:
        self.simulator, self.prior, self.seed = simulator, prior, seed
        self.rows = ResultsBuffer()

    def __enter__(self) -> "_Memory":
        return self

    def __exit__(self, *exception: object) -> None:
        self.rows.clear()

    def add(self, theta: Tensor, block: RowResults) -> None:
        """Append rows."""
        self.rows.add(theta, block)

    def simulations(self, n: int) -> Simulations:
        """Return the first n rows."""
        theta, x, codes = (part[:n] for part in self.rows.concatenate())
        errors = {i: text for i, text in self.rows.errors.items() if i < n}
        name, trials = self.simulator.name, self.simulator.independent_draws
        return Simulations(theta, x, codes, self.prior, self.seed, errors, name, trials)


@runtime_checkable
class RunRecord(Protocol):
    """Where the results of a run go: memory or a store."""

    seed: int
    finished: int
    rows: ResultsBuffer

    def add(self, theta: Tensor, block: RowResults) -> None:
        """Append rows."""


def run_tasks(
    simulator: Simulator,
    workers: int,
    timeout: float | None,
    executor: Executor | None,
    tasks: Iterator[Task],
) -> TaskResults:
    """Return the results of tasks, from the engine that the arguments ask for."""
    alone = executor is None and workers == 1 and timeout is None
    function, origin = _RunTask(simulator, remote=not alone), simulator.simulate
    if alone:
        return in_process(function, tasks)
    if executor is None:
        return in_workers(function, tasks, workers, timeout=timeout, origin=origin)
    in_flight = 2 * (workers if workers > 1 else os.cpu_count() or 1)
    return in_executor(executor, function, tasks, in_flight, timeout=timeout, origin=origin)


def _fill(
    record: RunRecord,
    simulator: Simulator,
    prior: Prior,
    n: int,
    run: Callable[[Iterator[Task]], TaskResults],
    progress: bool,
) -> None:
    """Simulate from the first row that is missing, and add the results to the record."""
    size = TaskSize()
    tasks = plan_tasks(prior, simulator.batched, record.seed, record.finished, n, size)
    began, done, failed = time.monotonic(), 0, 0
    title = f"simulating {simulator.name}"
    before = record.finished
    with closing(run(tasks)) as results, bar(title, n, progress, done=before) as advance:
        unsuccessful = before == 0
        for task, block in results:
            size.update(len(block), block.seconds)
            unsuccessful = unsuccessful and not (block.codes == OK).any()
            tried = task.start + len(block)
            if unsuccessful and tried in (BLOCK, n):
                cause = record.rows.cause or block.cause
                raise RuntimeError(
                    f"{simulator.name} returned no finite x in its first {tried:,} simulations"
                    + (f"; it raised {cause!r}" if cause else "")
                    + (f" at {line}" if cause and (line := user_line(cause)) else "")
                    + NUMPY_HINT * (isinstance(cause, TypeError) and "numpy" in str(cause))
                ) from cause
            record.add(torch.from_numpy(task.theta), block)
            done, failed = done + len(block), failed + int((block.codes != OK).sum())
            rate = done / max(time.monotonic() - began, 1e-9)
            advance(min(len(block), n), f"{rate:,.0f}/s" + f", {failed:,} failed" * bool(failed))


@dataclass(frozen=True)
class _RunTask:
    """The work on a task, wherever it is computed."""

    simulator: Simulator
    remote: bool

    def __call__(self, task: Task, heartbeat: Heartbeat) -> RowResults:
        began = time.monotonic()
        rows = torch.from_numpy(task.theta), task.seed, task.block, task.start
        block = self.simulator.run_block(*rows, row_by_row=task.row_by_row, heartbeat=heartbeat)
        if self.remote and block.cause is not None:
            block = replace(block, cause=portable_error(block.cause))
        return replace(block, seconds=time.monotonic() - began)
