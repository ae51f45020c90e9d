"""Engines compute a run's tasks, all with the same numbers in order: here, workers, executors."""

import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

import torch

from lfi.runtime.calls import warn_caller
from lfi.runtime.modes import single_thread
from lfi.runtime.workers.fork_server import Heartbeat, LostProcess, WorkerSetup
from lfi.runtime.workers.worker import Worker, start_workers, to_bytes
from lfi.simulation.records.results import RowResults
from lfi.simulation.running.tasks import Task, run_with_retries

NEEDED = ("lfi.simulation",)  # that a worker imports before it forks
PATIENCE = 60.0  # seconds without a result, after which it is said what an executor is waited for

TaskFunction = Callable[[Task, Heartbeat], RowResults]
TaskResults = Generator[tuple[Task, RowResults], None, None]


def in_process(function: TaskFunction, tasks: Iterable[Task]) -> TaskResults:
    """Yield each task and its results, computed in this process."""
    with single_thread():
        for task in tasks:
            yield task, function(task, lambda row: None)


def in_workers(
    function: TaskFunction,
    tasks: Iterable[Task],
    workers: int,
    *,
    timeout: float | None = None,
    origin: object = None,
) -> TaskResults:
    """Yield each task and its results, computed by worker processes of this machine.

    Close the generator to end the workers early. Cloudpickle sends the function, with the module of
    `origin` where workers cannot import it; one call may take `timeout` seconds.
    """
    started = start_workers(workers, WorkerSetup.here(to_bytes(function, origin), timeout, NEEDED))
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in started:
        idle.put(worker)

    def work(task: Task) -> RowResults:
        worker = idle.get()
        try:
            return run_with_retries(partial(_run, worker), task)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)
    try:
        yield from _in_order(threads, work, tasks, 2 * workers)
    except BaseException:
        for worker in started:
            worker.end()
        raise
    else:
        for worker in started:
            worker.release()
    finally:
        threads.shutdown()


def _run(worker: Worker, task: Task) -> RowResults | LostProcess:
    answer = worker.run(task)
    assert isinstance(answer, RowResults | LostProcess)  # as the function returns
    return answer


def in_executor(
    executor: Executor,
    function: TaskFunction,
    tasks: Iterable[Task],
    in_flight: int,
    *,
    timeout: float | None = None,
    origin: object = None,
) -> TaskResults:
    """Yield each task and its results, computed by whatever the executor submits to.

    It stays open, must have lfi, and gets `in_flight` tasks at a time. Its processes start worker
    processes, which a crash or a `timeout` for each call ends without harm; its threads do where
    there is a timeout. `origin` is that of `in_workers`.
    """
    work = _ExecutorTask(WorkerSetup.here(to_bytes(function, origin), timeout, NEEDED), os.getpid())
    yield from _in_order(executor, work, tasks, in_flight, patience=PATIENCE)


def _in_order(
    executor: Executor,
    work: Callable[[Task], RowResults],
    tasks: Iterable[Task],
    in_flight: int,
    *,
    patience: float | None = None,
) -> TaskResults:
    """Yield results in order, with a bounded number of tasks submitted."""
    waiting: deque[tuple[Task, Future]] = deque()
    try:
        for task in tasks:
            try:
                waiting.append((task, executor.submit(work, task)))
            except RuntimeError as error:
                raise ValueError(f"executor takes no tasks, got: {error}") from error
            if len(waiting) >= in_flight:
                done, future = waiting.popleft()
                yield done, _result(future, done, patience)
        while waiting:
            done, future = waiting.popleft()
            yield done, _result(future, done, patience)
    finally:
        for _, future in waiting:
            future.cancel()


def _result(future: Future, task: Task, patience: float | None) -> RowResults:
    """Return what comes of a task; warn once of a wait that is longer than usual."""
    try:
        return future.result(timeout=patience)
    except TimeoutError:
        if not future.done():  # else it is the task's own error, or has come just now
            warn_caller(
                f"executor has returned nothing of simulations {task.first} to "
                f"{task.first + len(task) - 1} for {patience:g} s: still waiting. If it has lost "
                "its processes, interrupt; with store= the finished simulations are kept",
                UserWarning,
            )
        return future.result()


@dataclass(frozen=True)
class _ExecutorTask:
    """The work on a task in another thread or process, which loads the simulator once."""

    setup: WorkerSetup
    home: int  # the process that submits; a crash of any other must cost no more than a row

    def __call__(self, task: Task) -> RowResults:
        kept = _local.__dict__
        if kept.get("setup") != self.setup:  # each thread loads a simulator once
            if "worker" in kept:
                kept.pop("worker").end()
            kept.pop("function", None)
            if self.setup.limit is None and os.getpid() == self.home:
                kept["function"] = pickle.loads(self.setup.payload)
            else:
                kept["worker"] = Worker(self.setup)
            kept["setup"] = self.setup
        if "worker" in kept:
            return run_with_retries(partial(_run, kept["worker"]), task)
        default = torch.get_default_dtype()
        with single_thread():
            torch.set_default_dtype(self.setup.dtype)
            try:
                return kept["function"](task, lambda row: None)
            finally:
                torch.set_default_dtype(default)


_local = threading.local()
