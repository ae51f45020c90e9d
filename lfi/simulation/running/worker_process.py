"""A worker process: it answers tasks one by one, and survives what they do.

The process that is started, the keeper, only imports what a simulation needs and forks a child, in
which the function is loaded and runs. A child that crashes, or that has been at one call for longer
than the time limit, is replaced by another fork within milliseconds, and the keeper says what was
at work. The child tells that in a page of memory that both share. The last child of a run ends with
it; the keeper, in which nothing of the simulator was loaded, waits for another run to serve.

Messages are frames, a length and a pickle. The keeper's go through standard input and output: the
beginning of a run, its tasks, and an empty frame, its end; each is answered. What the function
prints goes to standard error.
"""

import ctypes
import mmap
import os
import pickle
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from typing import Any, BinaryIO

import torch

from lfi.simulation.running.tasks import Died

LENGTH = struct.Struct("<Q")
BEAT = struct.Struct("<dq")  # when the call began, and of which row
LOADING = -2  # no call has begun
DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG
POLL_SECONDS = 3600.0
DONE = b""  # the end of a run; and the answer to a beginning or an end
SLOW = ("pyro", "scipy.integrate", "scipy.stats")  # imports that a child should find done

Beat = Callable[[int], None]


@dataclass(frozen=True)
class Beginning:
    """What a keeper is told of a run.

    Attributes:
        payload: The function to run, a pickle.
        limit: How many seconds one call of the simulator may take.
        dtype: The default dtype.
        modules: What to import before there is a child, so that the next one starts at once.
        rest: How many seconds the keeper waits for another run.
    """

    payload: bytes
    limit: float | None
    dtype: torch.dtype
    modules: tuple[str, ...]
    rest: int = 60

    @classmethod
    def here(cls, payload: bytes, limit: float | None) -> "Beginning":
        """Return a beginning with the default dtype and the modules of this process."""
        modules = tuple(name for name in SLOW if name in sys.modules)
        return cls(payload, limit, torch.get_default_dtype(), modules)


def send(file: BinaryIO, frame: bytes) -> None:
    """Write a frame."""
    file.write(LENGTH.pack(len(frame)))
    file.write(frame)
    file.flush()


def receive(file: BinaryIO) -> bytes | None:
    """Return the next frame, None where the other side has gone."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    frame = file.read(LENGTH.unpack(head)[0])
    return frame if len(frame) == LENGTH.unpack(head)[0] else None


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


class Child:
    """A fork of this process that computes, as the keeper sees it."""

    def __init__(self, payload: bytes, page: mmap.mmap) -> None:
        tasks, own_tasks = os.pipe()
        own_results, results = os.pipe()
        BEAT.pack_into(page, 0, 0.0, LOADING)
        self.pid = os.fork()
        if self.pid == 0:
            _work(payload, page, tasks, results, (own_tasks, own_results))
        os.close(tasks)
        os.close(results)
        self.tasks, self.results = os.fdopen(own_tasks, "wb"), os.fdopen(own_results, "rb")
        self.page = page

    def answer(self, task: bytes, limit: float | None, parent: int) -> bytes | Died:
        """Return the child's answer as it stands, or how the child was lost.

        Args:
            task: A frame.
            limit: How many seconds one call may take.
            parent: A file that is at its end when nobody waits any more.
        """
        BEAT.pack_into(self.page, 0, 0.0, LOADING)
        try:
            send(self.tasks, task)
        except BrokenPipeError:
            return self.lost()
        waiting = select.poll()
        waiting.register(self.results, select.POLLIN)
        waiting.register(parent, 0)  # its end is told without asking
        while True:
            began, row = BEAT.unpack_from(self.page)
            left = POLL_SECONDS
            if limit is not None and row != LOADING:
                left = began + limit - time.monotonic()
            elif limit is not None:
                left = limit / 2
            if left <= 0:
                return self.end(over=limit)
            ready = dict(waiting.poll(1000 * left))
            if parent in ready:
                self.end()
                os._exit(0)
            if ready:
                frame = receive(self.results)
                return self.lost() if frame is None else frame

    def end(self, *, over: float | None = None) -> Died:
        """Kill the child and what it has started; return what was at work.

        Args:
            over: The time limit that it is killed for; None where nobody waits for it any more.
        """
        os.kill(self.pid, signal.SIGKILL)
        return self._buried(over, os.waitpid(self.pid, 0)[1])

    def lost(self) -> Died:
        """Return how a child has ended that closed its files, and what was at work."""
        for _ in range(100):  # it is about to end by itself
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return self._buried(None, status)
            time.sleep(0.01)
        return self.end()

    def _buried(self, over: float | None, status: int) -> Died:
        """End what the child has started and close its files."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for file in (self.tasks, self.results):
            with suppress(BrokenPipeError):  # of a task that was on its way
                file.close()
        _, row = BEAT.unpack_from(self.page)
        return Died(row, over, os.waitstatus_to_exitcode(status))


def _work(payload: bytes, page: mmap.mmap, tasks: int, results: int, others: tuple) -> None:
    """Answer tasks until there are no more: the child's whole life."""
    try:
        os.setpgid(0, 0)  # so that what the simulator starts can be ended with it
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        for file in others:
            os.close(file)
        inbox, outbox = os.fdopen(tasks, "rb"), os.fdopen(results, "wb")
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)  # the keeper's tasks are not for the simulator to read
        invalidate_caches()  # what it imports may be younger than the keeper
        function = _loaded(payload)
        while (frame := receive(inbox)) is not None:

            def beat(row: int) -> None:
                BEAT.pack_into(page, 0, time.monotonic(), row)

            try:
                answer = pickle.dumps((True, function(pickle.loads(frame), beat)))
            except Exception as error:
                answer = pickle.dumps((False, portable_error(error)))
            send(outbox, answer)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _loaded(payload: bytes) -> Callable[[Any, Beat], Any]:
    try:
        return pickle.loads(payload)
    except Exception as error:
        text = f"simulator cannot be loaded in a worker process: {error!r}"

        def broken(task: object, beat: Beat) -> object:
            raise RuntimeError(text)

        return broken


def main() -> None:
    """Serve runs: frames from standard input, answers to what was standard output."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends a keeper that rests for too long
    tasks = os.fdopen(0, "rb", buffering=0, closefd=False)
    reader = os.fdopen(os.dup(0), "rb")
    page = mmap.mmap(-1, BEAT.size)
    while (beginning := receive(reader)) is not None:
        signal.alarm(0)
        send(results, DONE)
        run: Beginning = pickle.loads(beginning)
        if not _serve(run, page, reader, results, tasks.fileno()):
            return
        signal.alarm(run.rest)
        send(results, DONE)


def _serve(
    run: Beginning, page: mmap.mmap, reader: BinaryIO, results: BinaryIO, parent: int
) -> bool:
    """Keep a child at work for one run; return whether there may be another."""
    torch.set_default_dtype(run.dtype)
    for name in run.modules:
        with suppress(ImportError):
            import_module(name)
    child: Child | None = None
    while task := receive(reader):
        child = Child(run.payload, page) if child is None else child
        answer = child.answer(task, run.limit, parent)
        if isinstance(answer, Died):
            child, answer = None, pickle.dumps((True, answer))
        send(results, answer)
    if child is not None:
        child.end()
    return task is not None
