"""Engines: who computes the pieces of a run. All give the same numbers, in order.

    in process      here, one piece after the other
    workers         processes of this machine, which survive crashes and hangs (process.py)
    an executor     any `concurrent.futures.Executor`: threads, MPI, Dask, Parsl, loky

A worker is a fresh Python that is sent the simulator once, by cloudpickle, so that lambdas,
closures and decorated functions travel, and scripts need no `if __name__ == "__main__"`. Ctrl-C
reaches the parent only, which then ends the workers. Those of a run that came to its end stay for a
minute, since to start a Python takes seconds: the next run employs them again, if a fresh one would
stand in the same folder with the same environment.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from queue import SimpleQueue
from types import ModuleType

import cloudpickle
import torch

from lfi.simulation.records.results import Block
from lfi.simulation.running.tasks import Died, Piece, resilient
from lfi.simulation.running.worker_process import DONE, Beat, Beginning, receive, send

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}

Function = Callable[[Piece, Beat], Block]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside: sums then do not depend on how many cores there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def in_process(function: Function, tasks: Iterable[Piece]) -> Iterator[tuple[Piece, Block]]:
    """Yield each piece and its outcome, computed here."""
    with one_thread():
        for task in tasks:
            yield task, function(task, lambda row: None)


def in_workers(
    function: Function,
    tasks: Iterable[Piece],
    workers: int,
    *,
    timeout: float | None = None,
    origin: object = None,
) -> Iterator[tuple[Piece, Block]]:
    """Yield each piece and its outcome, computed by processes of this machine.

    Close the iterator to end the workers early.

    Args:
        function: What to compute; it must be picklable.
        tasks: What to compute it of; taken one by one, as workers become free.
        workers: How many processes.
        timeout: How many seconds one call of the simulator may take.
        origin: A function whose module may not be importable elsewhere and then travels along.
    """
    crew = _employed(workers, Beginning.here(portable(function, origin), timeout))
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def work(task: Piece) -> Block:
        worker = idle.get()
        try:
            return resilient(worker.run, task)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)
    try:
        yield from _windowed(threads, work, tasks, 2 * workers)
    except BaseException:
        for worker in crew:
            worker.end()
        raise
    else:
        for worker in crew:
            worker.rest()
    finally:
        threads.shutdown()


def in_executor(
    executor: Executor,
    function: Function,
    tasks: Iterable[Piece],
    in_flight: int,
    *,
    timeout: float | None = None,
    origin: object = None,
) -> Iterator[tuple[Piece, Block]]:
    """Yield each piece and its outcome, computed by whatever the executor submits to.

    Args:
        executor: Where lfi must be importable too. It stays open.
        function: What to compute.
        tasks: What to compute it of; taken one by one.
        in_flight: How many pieces are with the executor at a time.
        timeout: How many seconds one call of the simulator may take; each process of the executor
            then starts one of its own, which can be killed.
        origin: A function whose module may not be importable elsewhere and then travels along.
    """
    work = _Elsewhere(Beginning.here(portable(function, origin), timeout))
    yield from _windowed(executor, work, tasks, in_flight)


def _windowed(
    executor: Executor, work: Callable[[Piece], Block], tasks: Iterable[Piece], in_flight: int
) -> Iterator[tuple[Piece, Block]]:
    """Yield results in order, with a bounded number of tasks on their way."""
    waiting: deque[tuple[Piece, Future]] = deque()
    try:
        for task in tasks:
            waiting.append((task, executor.submit(work, task)))
            if len(waiting) >= in_flight:
                done, future = waiting.popleft()
                yield done, future.result()
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


@dataclass(frozen=True)
class _Elsewhere:
    """A piece of work that travels to another process, with the simulator in its luggage."""

    luggage: Beginning

    def __call__(self, piece: Piece) -> Block:
        kept = _local.__dict__
        if kept.get("luggage") != self.luggage:  # each thread unpacks a simulator once
            if "worker" in kept:
                kept.pop("worker").end()
            if self.luggage.limit is None:
                kept["function"] = pickle.loads(self.luggage.payload)
            else:
                kept["worker"] = Worker(self.luggage)
            kept["luggage"] = self.luggage
        if "worker" in kept:
            return resilient(kept["worker"].run, piece)
        default = torch.get_default_dtype()
        with one_thread():
            torch.set_default_dtype(self.luggage.dtype)
            try:
                return kept["function"](piece, lambda row: None)
            finally:
                torch.set_default_dtype(default)


_local = threading.local()


def portable(function: Function, origin: object = None) -> bytes:
    """Return the function as bytes that another Python can load.

    A module that only this process can import (a file that was loaded by its path) travels with
    the function.
    """
    module = sys.modules.get(getattr(origin, "__module__", None) or "")
    if module is None or _importable(module):
        return cloudpickle.dumps(function)
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


class Worker:
    """One process, which answers one task at a time and outlives what its simulator does.

    Attributes:
        end: Ends the process; called without arguments, or when the worker is forgotten.
    """

    def __init__(self, run: Beginning) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.surroundings = _surroundings()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from lfi.simulation.running.worker_process import main; main()",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the parent's
        )
        self.end = weakref.finalize(self, _end, self.process)
        self.beginning: bytes | None = pickle.dumps(run)

    def run(self, piece: Piece) -> Block | Died:
        """Return the outcome of a piece, or what was at work when its process was lost.

        Raises:
            RuntimeError: If the worker itself is lost, not only what it keeps.
        """
        answer = None
        if self.beginning is None or self._heard(self.beginning):
            self.beginning = None
            answer = self._answer(pickle.dumps(piece))
        if answer is None:
            code = self.process.wait()
            raise RuntimeError(
                f"a worker process died with exit code {code} (-9: out of memory?); fewer workers "
                "need less memory"
            )
        done, value = pickle.loads(answer)
        if not done:
            raise value
        return value

    def rest(self) -> None:
        """End what the simulator has started, and wait for another run."""
        if self.beginning is None and self._heard(DONE):
            _resting.append(self)
        else:
            self.end()

    def begin(self, run: Beginning) -> bool:
        """Take up another run; return False where a new process is needed."""
        return self.surroundings == _surroundings() and self._heard(pickle.dumps(run))

    def _heard(self, frame: bytes) -> bool:
        return self._answer(frame) == DONE

    def _answer(self, frame: bytes) -> bytes | None:
        """Return the answer to a frame, None where the process is lost."""
        try:
            send(self.process.stdin, frame)
            return receive(self.process.stdout)
        except (BrokenPipeError, ValueError):  # it has ended, or its files are closed
            return None


_resting: list[Worker] = []


def _employed(workers: int, run: Beginning) -> list[Worker]:
    """Return workers: those that rest, as far as they can be used, and new ones."""
    crew: list[Worker] = []
    while len(crew) < workers:
        try:
            worker = _resting.pop()
        except IndexError:  # another thread may have taken the last one
            crew.append(Worker(run))
            continue
        if worker.begin(run):
            crew.append(worker)
        else:
            worker.end()
    return crew


def _surroundings() -> tuple[object, ...]:
    """Return what a process takes over from the one that starts it."""
    folder = errors = None
    with suppress(OSError):  # it may be deleted
        folder = os.getcwd()
    with suppress(OSError):  # it may be closed
        status = os.fstat(2)
        errors = status.st_dev, status.st_ino, status.st_rdev
    return os.getpid(), folder, dict(os.environ), list(sys.path), errors


def _end(process: subprocess.Popen) -> None:
    """End a worker's process, and with it what the simulator has started."""
    with suppress(BrokenPipeError):  # of a task that was on its way
        process.stdin.close()  # its keeper notices and ends the child
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def _importable(module: ModuleType) -> bool:
    """Return whether another Python with our path finds the module."""
    if module.__name__ == "__main__" or getattr(module, "__file__", None) is None:
        return True  # cloudpickle sends what __main__ defines
    top = module.__name__.partition(".")[0]
    spec = PathFinder.find_spec(top)
    return spec is not None and (top != module.__name__ or spec.origin == module.__file__)
