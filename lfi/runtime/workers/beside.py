"""Calls that do not depend on each other, computed side by side: here, and in worker processes.

Whoever is free takes the next call: this process at once, a worker when it has started. Every call
computes on one thread, so that its result does not depend on where. What cannot be sent to a
worker, and what has lost its worker, is computed here.
"""

import os
import pickle
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

import cloudpickle

from lfi.runtime.calls import warn_caller
from lfi.runtime.modes import single_thread
from lfi.runtime.progress import bar
from lfi.runtime.trackers import Observed, observed
from lfi.runtime.workers.fork_server import Heartbeat, LostProcess, WorkerSetup, portable_error
from lfi.runtime.workers.worker import Worker, start_workers

START_AFTER = 1.0  # seconds of work after which workers are started that nobody has asked for

Result = TypeVar("Result")


def usable_cores() -> int:
    """Return how many cores this process may use; 1 where it cannot be forked."""
    if not hasattr(os, "fork"):
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class SeparateCall(Generic[Result]):
    """A function that any process may compute; it is told whether to show progress."""

    name: str
    function: Callable[[bool], Result]

    def __call__(self, progress: bool) -> Result:
        """Compute it."""
        with single_thread():
            return self.function(progress)


@dataclass(frozen=True)
class _Answer:
    """What a worker has made of a call."""

    result: Any = None
    error: Exception | None = None
    warnings: tuple[Warning, ...] = ()
    seen: Observed = field(default_factory=Observed)
    loaded: bool = True


class Beside(Generic[Result]):
    """Calls that are computed while the body of a context is; at its end none is left running.

    Args:
        calls: What to compute, in the order of results.
        workers: How many processes compute, this one included; None is one for each core, of which
            none is started for what this process does in a second.
        needed: The modules that workers import before they compute.
        niceness: How far workers let other processes go first: 0, or up to 19 for what is not
            waited for.
        progress: Whether to show bars on a terminal.

    Example:
        >>> calls = [SeparateCall(f"{n}", lambda progress, n=n: n**2) for n in range(3)]
        >>> with Beside(calls, None) as beside:
        ...     beside.results()
        [0, 1, 4]
    """

    def __init__(
        self,
        calls: Sequence[SeparateCall[Result]],
        workers: int | None,
        *,
        needed: tuple[str, ...] = (),
        niceness: int = 0,
        progress: bool = False,
    ) -> None:
        self.calls: Sequence[SeparateCall[Result]] = calls
        others = (usable_cores() if workers is None else workers) - 1
        self.others: int = min(others, len(calls))
        self.delay: float = START_AFTER if workers is None else 0.0
        setup = WorkerSetup.here(pickle.dumps(_answer), None, needed)
        self.setup: WorkerSetup = replace(setup, niceness=niceness)
        self.progress: bool = progress
        self.left: deque[int] = deque(range(len(calls)))
        self.returned: deque[int] = deque()  # from workers, to be computed here
        self.lost: list[str] = []  # workers, and why
        self.done: dict[int, Result] = {}
        self.answers: dict[int, _Answer] = {}
        self.starting: list[Worker] = []
        self.computing: list[Worker] = []
        self.closed: threading.Event = threading.Event()  # no worker begins another call
        self.serving: list[Future[None]] = []

    def __enter__(self) -> "Beside[Result]":
        if self.others > 0:
            self.threads: ThreadPoolExecutor = ThreadPoolExecutor(self.others)
            self.serving = [self.threads.submit(self._serve, i) for i in range(self.others)]
        return self

    def __exit__(self, *exception: object) -> None:
        self._close(self.starting, self.computing)
        if self.serving:
            self.threads.shutdown()

    def results(self) -> list[Result]:
        """Compute what nobody has begun, wait for the rest, and return all results.

        It raises what a call has raised, here or in a worker, and gives the warnings of workers.
        """
        self._compute(self.left)
        self._close(self.starting)
        missing = [call.name for i, call in enumerate(self.calls) if i not in self.done]
        waiting = f"{', '.join(missing)}, in worker processes" if missing else ""
        with bar(waiting, None, self.progress) if missing else nullcontext():
            for future in self.serving:
                future.result()
        for reason in self.lost:
            warn_caller(reason, UserWarning)
        self._compute(self.returned)
        for _, answer in sorted(self.answers.items()):
            answer.seen.repeat()
            for warning in answer.warnings:
                warn_caller(str(warning), type(warning))
            if answer.error is not None:
                raise answer.error
        return [self.done[index] for index in range(len(self.calls))]

    def _compute(self, indices: deque[int]) -> None:
        while (index := _taken(indices)) is not None:
            self.done[index] = self.calls[index](self.progress)

    def _close(self, *workers: list[Worker]) -> None:
        self.closed.set()
        for each in workers:
            for worker in list(each):
                worker.stop()

    def _serve(self, number: int) -> None:
        """Compute calls in a worker, the `number`th, while there are any."""
        if self.closed.wait(self.delay) or len(self.left) <= number:
            return
        try:
            worker = start_workers(1, self.setup)[0]
        except OSError as error:  # no memory, or no right to start another process
            self.lost.append(f"a worker process could not be started: {error}")
            return
        self.starting.append(worker)
        started = not self.closed.is_set() and worker.ready()
        self.computing.append(worker)
        self.starting.remove(worker)
        while started and not self.closed.is_set():
            if (index := _taken(self.left)) is None:
                break
            started = self._sent(worker, index)
        self.computing.remove(worker)
        if started and not self.setup.niceness:
            worker.release()
        else:  # one of low priority is of no use to others
            worker.stop()

    def _sent(self, worker: Worker, index: int) -> bool:
        """Compute a call in a worker, and return whether that may compute another."""
        call = self.calls[index]
        try:
            answer = worker.run(cloudpickle.dumps(call))
        except Exception as error:  # of pickling, of whatever kind, or the worker has died
            answer = _Answer(loaded=False)
            if isinstance(error, RuntimeError):
                self.lost.append(f"{call.name} is computed in this process: {error}")
        if isinstance(answer, LostProcess):
            self.lost.append(f"{call.name} is computed in this process: {answer}")
        elif isinstance(answer, _Answer) and answer.loaded:
            self.answers[index] = answer
            if answer.error is None:
                self.done[index] = answer.result
            return True
        self.returned.append(index)
        return False


def _taken(indices: deque[int]) -> int | None:
    try:
        return indices.popleft()
    except IndexError:  # another thread may have taken the last one
        return None


def _answer(payload: bytes, heartbeat: Heartbeat) -> _Answer:
    """Compute a call in a worker."""
    try:
        call = pickle.loads(payload)
    except Exception:  # it is made of what only the process that sent it knows
        return _Answer(loaded=False)
    result = error = None
    with warnings.catch_warnings(record=True) as caught, observed() as seen:
        try:
            result = call(False)
        except Exception as raised:
            error = portable_error(raised)
    return _Answer(result, error, tuple(_portable(each.message) for each in caught), seen)


def _portable(warning: Warning | str) -> Warning:
    """Return a warning that can be pickled."""
    if isinstance(warning, str):
        return UserWarning(warning)
    try:
        pickle.loads(pickle.dumps(warning))
    except Exception:  # its class is unknown elsewhere, or takes other arguments
        return UserWarning(str(warning))
    return warning
