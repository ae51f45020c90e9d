"""The fork server: a process that forks, and forks again where the simulator hangs or crashes.

The server only imports what simulations need, and forks a process that loads the function and runs
it. A fork that crashes, or exceeds a call's time limit, is replaced within milliseconds; the parent
is told how, and at which row (from shared memory). The fork ends with its run; the server waits for
another.

Messages are frames, a length and a pickle, through the server's standard input and output: a run's
setup, its tasks, and an empty frame at its end; each is answered. Prints go to standard error.
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
from pathlib import Path
from typing import IO, Any

import torch

from lfi.runtime.calls import note_user_line

LENGTH = struct.Struct("<Q")
HEARTBEAT = struct.Struct("<dq")  # when the call began, and of which row
LOADING = -2  # no call has begun
DIE_WITH_PARENT = 1  # prctl's PR_SET_PDEATHSIG
POLL_SECONDS = 5.0  # after which a process that was stopped (SIGSTOP) is woken
DONE = b""  # the end of a run, and the answer to a setup or an end
Heartbeat = Callable[[int], None]  # is told the row that begins

SLOW = ("pyro", "scipy.integrate", "scipy.stats")  # imports that a fork should find done


@dataclass(frozen=True)
class LostProcess:
    """How a worker process ended during a task."""

    row: int  # at work, counted from the task's first; -1 for a call for all
    limit: float | None  # in seconds, that it exceeded; None where it ended by itself
    code: int = 0  # how it ended by itself: its exit code, or minus the signal

    def __str__(self) -> str:
        if self.limit is not None:
            return f"no result within {self.limit:g} s"
        if self.code < 0:
            killed = signal.Signals(-self.code)
            memory = ", out of memory?" * (killed == signal.SIGKILL)
            return f"the process was ended by signal {killed.name}{memory}"
        return f"the process ended with exit code {self.code}"


@dataclass(frozen=True)
class WorkerSetup:
    """The settings of a run that a fork server needs."""

    payload: bytes  # the function to run, a pickle
    limit: float | None  # seconds that one call of the simulator may take
    dtype: torch.dtype  # the default one
    modules: tuple[str, ...]  # imported before the first fork, so that the next starts at once
    niceness: int = 0  # how far other processes go first, from then on
    idle_seconds: int = 60  # that the server waits for another run

    @classmethod
    def here(
        cls, payload: bytes, limit: float | None, needed: tuple[str, ...] = ()
    ) -> "WorkerSetup":
        """Return a setup with the default dtype, and slow modules that this process has."""
        modules = (*needed, *(name for name in SLOW if name in sys.modules))
        return cls(payload, limit, torch.get_default_dtype(), modules)


def send(file: IO[bytes], frame: bytes) -> None:
    """Write a frame."""
    file.write(LENGTH.pack(len(frame)))
    file.write(frame)
    file.flush()


def receive(file: IO[bytes]) -> bytes | None:
    """Return the next frame, None where the other side has gone."""
    head = file.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    frame = file.read(LENGTH.unpack(head)[0])
    return frame if len(frame) == LENGTH.unpack(head)[0] else None


def wake(pid: int) -> None:
    """Let a process go on that was stopped (SIGSTOP): no other notices."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGCONT)


def portable_error(error: Exception) -> Exception:
    """Return an exception that can be pickled, itself or a RuntimeError of the same message."""
    note_user_line(error)
    error.add_note("in a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # its class is unknown elsewhere, or takes other arguments
        plain = RuntimeError(f"{type(error).__name__}: {error}")
        plain.__notes__ = error.__notes__
        return plain
    return error


class ForkedProcess:
    """A fork that computes, the server's side."""

    def __init__(self, payload: bytes, page: mmap.mmap) -> None:
        tasks, own_tasks = os.pipe()
        own_results, results = os.pipe()
        HEARTBEAT.pack_into(page, 0, 0.0, LOADING)
        self.pid: int = os.fork()
        if self.pid == 0:
            _work(payload, page, tasks, results, (own_tasks, own_results))
        os.close(tasks)
        os.close(results)
        self.tasks: IO[bytes] = os.fdopen(own_tasks, "wb")
        self.results: IO[bytes] = os.fdopen(own_results, "rb")
        self.page: mmap.mmap = page

    def answer(self, task: bytes, limit: float | None, parent: int) -> bytes | LostProcess:
        """Return the fork's answer or how it was lost; the file `parent` ends with the parent."""
        HEARTBEAT.pack_into(self.page, 0, 0.0, LOADING)
        try:
            send(self.tasks, task)
        except BrokenPipeError:
            return self.wait()
        waiting = select.poll()
        waiting.register(self.results, select.POLLIN)
        waiting.register(parent, 0)  # its end is reported without asking
        while True:
            began, row = HEARTBEAT.unpack_from(self.page)
            left = POLL_SECONDS
            if limit is not None and row != LOADING:
                left = min(left, began + limit - time.monotonic())
            elif limit is not None:
                left = min(left, limit / 2)
            if left <= 0:
                return self.end(limit=limit)
            ready = dict(waiting.poll(1000 * left))
            if not ready:
                wake(self.pid)
            if parent in ready:
                self.end()
                os._exit(0)
            if ready:
                frame = receive(self.results)
                return self.wait() if frame is None else frame

    def end(self, *, limit: float | None = None) -> LostProcess:
        """Kill the fork and what it has started; return how it was lost: at which time limit."""
        os.kill(self.pid, signal.SIGKILL)
        return self._reap(limit, os.waitpid(self.pid, 0)[1])

    def wait(self) -> LostProcess:
        """Return how a fork was lost that has closed its files."""
        for _ in range(100):  # it is about to end by itself
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return self._reap(None, status)
            time.sleep(0.01)
        return self.end()

    def _reap(self, limit: float | None, status: int) -> LostProcess:
        """End what the fork has started and close its files."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for file in (self.tasks, self.results):
            with suppress(BrokenPipeError):  # of a task that was on its way
                file.close()
        _, row = HEARTBEAT.unpack_from(self.page)
        return LostProcess(row, limit, os.waitstatus_to_exitcode(status))


def _work(payload: bytes, page: mmap.mmap, tasks: int, results: int, others: tuple) -> None:
    """Answer tasks until there are no more: all that a fork does."""
    try:
        os.setpgid(0, 0)  # so that what the simulator starts can be ended with it
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        for file in others:
            os.close(file)
        inbox, outbox = os.fdopen(tasks, "rb"), os.fdopen(results, "wb")
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)  # the server's tasks are not for the simulator to read
        invalidate_caches()  # what it imports may be newer than the server
        function = _loaded(payload)
        heartbeat = lambda row: HEARTBEAT.pack_into(page, 0, time.monotonic(), row)
        while (frame := receive(inbox)) is not None:
            try:
                answer = pickle.dumps((True, function(pickle.loads(frame), heartbeat)))
            except Exception as error:
                answer = pickle.dumps((False, portable_error(error)))
            send(outbox, answer)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _loaded(payload: bytes) -> Callable[[Any, Heartbeat], Any]:
    try:
        return pickle.loads(payload)
    except Exception as error:
        text = f"simulator cannot be loaded in a worker process: {error!r}"

        def broken(task: object, heartbeat: Heartbeat) -> object:
            raise RuntimeError(text)

        return broken


def main() -> None:
    """Serve runs: frames from standard input, answers to what was standard output."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends a server that is idle for too long
    tasks = os.fdopen(0, "rb", buffering=0, closefd=False)
    reader = os.fdopen(os.dup(0), "rb")
    page = mmap.mmap(-1, HEARTBEAT.size)
    while (frame := receive(reader)) is not None:
        signal.alarm(0)
        send(results, DONE)
        setup: WorkerSetup = pickle.loads(frame)
        if not _serve(setup, page, reader, results, tasks.fileno()):
            return
        signal.alarm(setup.idle_seconds)
        send(results, DONE)


def _serve(
    setup: WorkerSetup, page: mmap.mmap, reader: IO[bytes], results: IO[bytes], parent: int
) -> bool:
    """Answer the tasks of one run; return whether there may be another."""
    torch.set_default_dtype(setup.dtype)
    if setup.niceness:
        _let_others_go_first(setup.niceness)
    for name in setup.modules:
        with suppress(ImportError):
            import_module(name)
    fork: ForkedProcess | None = None
    while task := receive(reader):
        fork = ForkedProcess(setup.payload, page) if fork is None else fork
        answer = fork.answer(task, setup.limit, parent)
        if isinstance(answer, LostProcess):
            fork, answer = None, pickle.dumps((True, answer))
        send(results, answer)
    if fork is not None:
        fork.end()
    return task is not None


def _let_others_go_first(niceness: int) -> None:
    """Lower the priority of this process and its forks, and of its session on Linux.

    Linux may share processors among sessions first, and a server has one of its own.
    """
    os.nice(niceness)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(niceness))
