"""Workers, the parent's side: fork servers are started, asked to compute, and kept for a minute.

The simulator is sent once, by cloudpickle: lambdas, closures and decorated functions travel. Ctrl-C
reaches the parent only, which then ends the workers. Since starting takes seconds, those of a
finished run serve the next one, if directory, environment and import path are the same.
"""

import math
import os
import pickle
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from importlib.machinery import PathFinder
from types import ModuleType
from typing import IO

import cloudpickle

from lfi.runtime.calls import warn_caller
from lfi.runtime.workers.fork_server import (
    DONE,
    POLL_SECONDS,
    WorkerSetup,
    receive,
    send,
    wake,
)

START_SECONDS = 300.0  # within which a worker process has started and imported what it needs
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
MAIN = "from lfi.runtime.workers.fork_server import main; main()"


class Worker:
    """A worker process, one task at a time; `end`, or forgetting the worker, ends the process."""

    def __init__(self, setup: WorkerSetup) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.environment: tuple[object, ...] = _environment()
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-c", MAIN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the parent's
        )
        self.end: Callable[[], object] = weakref.finalize(self, _end, self.process)
        self.setup: bytes | None = pickle.dumps(setup)

    def ready(self) -> bool:
        """Wait until the process has started, and return whether it has."""
        if self.setup is not None and self._acknowledged(self.setup):
            self.setup = None
        return self.setup is None

    def run(self, task: object) -> object:
        """Return a task's result, or how its fork was lost; RuntimeError if the worker is."""
        answer = self._answer(pickle.dumps(task)) if self.ready() else None
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

    def stop(self) -> None:
        """End the process, at once where it is still starting and has forked nothing."""
        if self.setup is not None:
            self.process.kill()
        self.end()

    def release(self) -> None:
        """End what the simulator has started, and keep the worker for another run."""
        if self.setup is None and self._acknowledged(DONE):
            released.append(self)
        else:
            self.end()

    def reuse(self, setup: WorkerSetup) -> bool:
        """Begin another run; return False where a new process is needed."""
        return self.environment == _environment() and self._acknowledged(pickle.dumps(setup))

    def _acknowledged(self, frame: bytes) -> bool:
        return self._answer(frame, START_SECONDS) == DONE

    def _answer(self, frame: bytes, usual: float = math.inf) -> bytes | None:
        """Return the answer to a frame, None where the process is lost.

        A process that was stopped would never answer: it is woken, before and while one waits. A
        wait longer than is usual, in seconds, is told.
        """
        began = time.monotonic()
        try:
            stdin, stdout = _pipes(self.process)
            wake(self.process.pid)
            send(stdin, frame)
            waiting = select.poll()
            waiting.register(stdout, select.POLLIN)
            while not waiting.poll(1000 * POLL_SECONDS):
                wake(self.process.pid)
                if time.monotonic() - began > usual:
                    usual = math.inf
                    message = f"worker process {self.process.pid} does not answer: still waiting"
                    warn_caller(message, UserWarning)
            return receive(stdout)
        except (BrokenPipeError, ValueError):  # it has ended, or its files are closed
            return None


released: list[Worker] = []  # which wait for another run


def start_workers(n: int, setup: WorkerSetup) -> list[Worker]:
    """Return workers: those of earlier runs, as far as they can be used, and new ones."""
    workers: list[Worker] = []
    while len(workers) < n:
        try:
            worker = released.pop()
        except IndexError:  # another thread may have taken the last one
            workers.append(Worker(setup))
            continue
        if worker.reuse(setup):
            workers.append(worker)
        else:
            worker.end()
    return workers


def _environment() -> tuple[object, ...]:
    """Return what a process inherits from the one that starts it."""
    folder = errors = None
    with suppress(OSError):  # it may be deleted
        folder = os.getcwd()
    with suppress(OSError):  # it may be closed
        status = os.fstat(2)
        errors = status.st_dev, status.st_ino, status.st_rdev
    return os.getpid(), folder, dict(os.environ), list(sys.path), errors


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None  # a worker has pipes
    return process.stdin, process.stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a worker's process, and with it what the simulator has started."""
    stdin, stdout = _pipes(process)
    with suppress(BrokenPipeError):  # of a task that was on its way
        stdin.close()  # the server notices and ends its fork
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    stdout.close()


def to_bytes(function: Callable[..., object], origin: object = None) -> bytes:
    """Return the function as bytes, with its module where only this process can import that."""
    module = sys.modules.get(getattr(origin, "__module__", None) or "")
    if module is None or _importable(module):
        return cloudpickle.dumps(function)
    cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _importable(module: ModuleType) -> bool:
    """Return whether another Python with our path finds the module."""
    if module.__name__ == "__main__" or getattr(module, "__file__", None) is None:
        return True  # cloudpickle sends what __main__ defines
    top = module.__name__.partition(".")[0]
    spec = PathFinder.find_spec(top)
    return spec is not None and (top != module.__name__ or spec.origin == module.__file__)
