"""Calls side by side: where they are computed does not matter, and nothing of them is left."""

import os
import pickle
import signal
import time
import warnings
from functools import partial

import cloudpickle
import pytest
import torch

from lfi.runtime.workers import beside as module, worker as worker_module
from lfi.runtime.workers.beside import Beside, SeparateCall, _answer

HOME = os.getpid()


def until(found, seconds=60.0):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.01)


def waits_here(home, path, progress):
    """Return who computes, once a worker has come so far."""
    if os.getpid() == home:
        until(path.exists)
    return os.getpid(), torch.get_num_threads(), progress


def warns(progress):
    warnings.warn("few draws", RuntimeWarning, stacklevel=1)
    return os.getpid()


def dies_elsewhere(home, path, progress):
    path.touch()
    if os.getpid() != home:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def named(*functions):
    return [SeparateCall(f"call {i}", function) for i, function in enumerate(functions)]


def test_workers_take_calls_warn_and_may_be_lost(tmp_path):
    flag = tmp_path / "flag"
    calls = named(partial(waits_here, HOME, flag), warns, partial(dies_elsewhere, HOME, flag))
    with Beside(calls, 2) as beside:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            first, second, third = beside.results()
        assert not beside.starting and not beside.computing
    assert [each.category for each in said] == [UserWarning, RuntimeWarning]
    assert "call 2 is computed in this process: the process was ended by signal SIGKILL" in str(
        said[0].message
    )
    assert first == (HOME, 1, False) and second != HOME and third == HOME


def test_a_context_that_is_left_early_leaves_no_process(tmp_path):
    def sleeps(progress):
        (tmp_path / "part").write_text(str(os.getpid()))
        (tmp_path / "part").rename(tmp_path / "pid")
        time.sleep(1_000)

    with pytest.raises(KeyboardInterrupt), Beside(named(sleeps), 2) as beside:
        until((tmp_path / "pid").exists)
        (worker,) = beside.computing
        raise KeyboardInterrupt
    assert worker.process.poll() is not None
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_workers_let_others_go_first_and_serve_nobody_else(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_module, "released", [])
    own, flag = os.nice(0), tmp_path / "flag"

    def priority(progress):
        flag.touch()
        return os.nice(0)

    with Beside(named(priority), 2, niceness=7) as beside:
        until(flag.exists)
        assert beside.results() == [own + 7]
    assert os.nice(0) == own and not worker_module.released


def test_quick_calls_start_no_worker_unless_asked_for(monkeypatch):
    monkeypatch.setattr(module, "usable_cores", lambda: 4)
    monkeypatch.setattr(module, "start_workers", lambda *_: pytest.fail("a worker was started"))
    with Beside(named(*[lambda progress: os.getpid()] * 3), None) as beside:
        assert beside.results() == [HOME] * 3


def test_a_worker_without_calls_is_not_waited_for():
    began = time.monotonic()
    with Beside(named(*[lambda progress: os.getpid()] * 3), 2) as beside:
        assert beside.results() == [HOME] * 3
    assert time.monotonic() - began < 60


def test_where_no_process_can_be_started_all_is_computed_here(monkeypatch):
    def refused(*_):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(module, "start_workers", refused)
    with Beside(named(*[lambda progress: os.getpid()] * 2), 2) as beside:
        until(beside.serving[0].done)
        with pytest.warns(UserWarning, match="process could not be started: Resource temporarily"):
            assert beside.results() == [HOME] * 2


def test_what_a_worker_cannot_load_is_computed_here(monkeypatch):
    monkeypatch.setattr(module.cloudpickle, "dumps", lambda call: b"of another world")
    calls = named(lambda progress: os.getpid())
    with Beside(calls, 2) as beside:
        until(lambda: beside.serving[0].done())
        assert beside.results() == [HOME]


class Odd(Warning):
    """A warning that pickle does not find: its name is another one's."""

    __qualname__ = "Missing"


def test_errors_and_warnings_keep_their_kinds():
    def fails(progress):
        warnings.warn(Odd("strange"), stacklevel=1)
        raise ValueError("too few simulations")

    with warnings.catch_warnings():
        warnings.simplefilter("always")  # as in a worker, not as in a test
        answer = _answer(cloudpickle.dumps(fails), lambda row: None)
    answer = pickle.loads(pickle.dumps(answer))
    assert isinstance(answer.error, ValueError) and str(answer.error) == "too few simulations"
    (warning,) = answer.warnings
    assert type(warning) is UserWarning and str(warning) == "strange"
