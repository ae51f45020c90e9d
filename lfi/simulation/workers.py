"""Worker processes: a function applied to tasks, results in order, on one core each.

A worker is a fresh Python that is sent the function once, by cloudpickle, so that lambdas, closures
and decorated functions travel, and scripts need no `if __name__ == "__main__"`. It speaks through
its standard input and output; what the function prints goes to standard error. Ctrl-C reaches the
parent only, which then ends the workers. One that dies is an error, never a silent hang.
"""

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.machinery import PathFinder
from queue import SimpleQueue
from types import ModuleType
from typing import Any, BinaryIO

import cloudpickle
import torch

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside: sums then do not depend on how many cores there are."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def ordered(
    function: Callable[[Any], Any], tasks: Iterable[Any], workers: int, origin: object = None
) -> Iterator[Any]:
    """Yield function(task) for each task, in order, computed here or by worker processes.

    Close the iterator to end the workers early.

    Args:
        function: What to compute; it and its results must be picklable.
        tasks: What to compute it of; taken one by one, as workers become free.
        workers: How many processes; 1 computes in this one.
        origin: A function whose module may not be importable elsewhere and then travels along.

    Raises:
        RuntimeError: If a worker dies.

    Example:
        >>> list(ordered(abs, [-1, 2, -3], workers=1))
        [1, 2, 3]
    """
    if workers == 1:
        with one_thread():
            yield from map(function, tasks)
        return
    payload = portable(function, origin)
    crew = [_Worker(payload) for _ in range(workers)]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def work(task: object) -> object:
        worker = idle.get()
        try:
            return worker(task)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)
    waiting: deque[Future] = deque()
    try:
        for task in tasks:
            waiting.append(threads.submit(work, task))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for worker in crew:
            worker.end()
        threads.shutdown()


def portable(function: Callable[[Any], Any], origin: object = None) -> bytes:
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


def serve(tasks: BinaryIO, results: BinaryIO) -> None:
    """Answer tasks until there are no more; a worker's whole life."""
    torch.set_num_threads(1)
    torch.set_default_dtype(pickle.load(tasks))
    try:
        function = pickle.loads(pickle.load(tasks))
    except Exception as error:
        function = _Broken(error)
    while True:
        try:
            task = pickle.load(tasks)
        except EOFError:
            return
        try:
            answer = pickle.dumps((True, function(task)))
        except Exception as error:
            answer = pickle.dumps((False, portable_error(error)))
        results.write(answer)
        results.flush()


def portable_error(error: Exception) -> Exception:
    """Return an exception that can be pickled, itself or a RuntimeError of the same message."""
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # its class is unknown elsewhere, or takes other arguments
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        plain.__notes__ = error.__notes__
        return plain
    return error


class _Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, task: object) -> object:
        raise RuntimeError(f"simulator cannot be loaded in a worker process: {self.error}")


class _Worker:
    """One process, which answers one task at a time."""

    def __init__(self, payload: bytes) -> None:
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from lfi.simulation.workers import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is the parent's
        )
        self.start = (torch.get_default_dtype(), payload)

    def __call__(self, task: object) -> object:
        tasks, results = self.process.stdin, self.process.stdout
        try:
            for part in self.start:
                pickle.dump(part, tasks)
            self.start = ()
            pickle.dump(task, tasks)
            tasks.flush()
            done, answer = pickle.load(results)
        except (EOFError, BrokenPipeError, ValueError, pickle.UnpicklingError) as error:
            code = self.process.wait()
            raise RuntimeError(
                f"a worker process died with exit code {code} (-9: out of memory?); fewer workers "
                "need less memory"
            ) from error
        if not done:
            raise answer
        return answer

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # and what the simulator has started
        self.process.wait()
        self.process.stdout.close()
        with suppress(BrokenPipeError):  # of a task that was on its way
            self.process.stdin.close()


def _importable(module: ModuleType) -> bool:
    """Return whether another Python with our path finds the module."""
    if module.__name__ == "__main__" or getattr(module, "__file__", None) is None:
        return True  # cloudpickle sends what __main__ defines
    top = module.__name__.partition(".")[0]
    spec = PathFinder.find_spec(top)
    return spec is not None and (top != module.__name__ or spec.origin == module.__file__)


def main() -> None:
    """Run a worker process: tasks from standard input, results to what was standard output."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, results)
