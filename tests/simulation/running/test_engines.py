"""Engines: crashes and hangs cost one row, and the numbers are the same wherever they are made."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing import get_context

import cloudpickle
import numpy as np
import pytest
import torch
from support.records import assert_same, batched, of_one, prior

from lfi.runtime.workers import worker as workers_side
from lfi.runtime.workers.fork_server import SLOW, LostProcess, WorkerSetup, wake
from lfi.runtime.workers.worker import Worker, released
from lfi.simulation.records.results import BLOCK
from lfi.simulation.running import engines
from lfi.simulation.running.engines import in_executor, in_workers
from lfi.simulation.running.simulate import _RunTask, simulate
from lfi.simulation.running.tasks import WHOLE_BATCH, Task, run_with_retries
from lfi.simulation.simulators.simulator import Simulator

LIMIT = 1.0  # seconds for one call


# What is lost: one row, however it goes.


def scripted(deaths, task):
    """Run a task in a process that dies as scripted: by row, how often."""
    left, calls = dict(deaths), []

    def run(part):
        calls.append((part.start, len(part), part.row_by_row))
        if not part.row_by_row and WHOLE_BATCH in left:
            return LostProcess(WHOLE_BATCH, None, 1)
        for i in range(len(part)):
            if left.get(part.start + i, 0) > 0:
                left[part.start + i] -= 1
                return LostProcess(i, None, -11)
        x = torch.arange(part.start, part.start + len(part))[:, None].double()
        return Simulator(lambda theta: x, prior=prior()).run_block(torch.from_numpy(part.theta), 0)

    return run_with_retries(run, task), calls


@pytest.mark.parametrize("deaths", [{}, {WHOLE_BATCH: 1}], ids=["of one", "batched"])
def test_a_row_that_crashes_twice_is_lost_and_no_other(deaths):
    task = Task(2, 100, np.zeros((20, 2)), seed=1)
    block, _ = scripted(deaths | {100: 2, 107: 1, 119: 9}, task)
    missing = [0, 19]
    assert block.codes.nonzero().flatten().tolist() == missing
    assert set(block.errors) == {2 * BLOCK + 100 + i for i in missing}
    assert "SIGSEGV" in block.errors[2 * BLOCK + 100]
    kept = [i for i in range(20) if i not in missing]
    assert block.x[kept, 0].tolist() == [100 + i for i in kept]


def test_rows_may_all_be_lost():
    block, calls = scripted({i: 9 for i in range(3)}, Task(0, 0, np.zeros((3, 2)), seed=1))
    assert block.x is None and block.codes.tolist() == [2, 2, 2]
    assert len(calls) <= 9


def test_deaths_are_told_in_words():
    assert str(LostProcess(3, 2.5)) == "no result within 2.5 s"
    assert "SIGKILL, out of memory?" in str(LostProcess(3, None, -9))
    assert str(LostProcess(3, None, 7)) == "the process ended with exit code 7"


def nasty(theta, rng):
    if theta[0] < 0.04:
        time.sleep(1_000)
    return deadly(theta, rng)


def deadly(theta, rng):
    a = float(theta[0])
    if a < 0.08:
        os._exit(3)
    if a < 0.12:
        ctypes.string_at(0)
    if a < 0.16:
        raise ValueError("a is too small")
    return a + rng.normal(size=2) if a > 0.2 else [np.nan, np.nan]


def test_a_simulator_may_hang_crash_raise_and_return_nonsense():
    simulate(of_one(), 60, seed=1, workers=2)  # so that the clock does not count two Pythons' start
    seconds = []
    for function in (deadly, nasty):  # without hangs, and with them
        wrapped = Simulator(function, prior=prior(), batched=False)
        began = time.monotonic()
        simulations = simulate(wrapped, 40, seed=17, workers=2, timeout=LIMIT)
        seconds.append(time.monotonic() - began)
    a = simulations.theta[:, 0].contiguous()
    kinds = torch.bucketize(a, torch.tensor([0.04, 0.12, 0.16, 0.2]).to(a))
    words = np.array(["timeout", "error", "error", "nonfinite", "ok"])[kinds.numpy()]
    assert (simulations.status == words).all() and set(words) == {*words, "timeout", "ok"}
    hangs = (words == "timeout").sum()
    assert hangs and seconds[1] < 2 * seconds[0] + hangs * (LIMIT + 1)  # twice: a busy machine
    crashed = [
        simulations.errors[i] for i in ((a > 0.04) & (a < 0.12)).nonzero().flatten().tolist()
    ]
    assert all("exit code 3" in text or "SIGSEGV" in text for text in crashed)
    alone = simulate(wrapped, 20, seed=17, timeout=LIMIT)  # one worker: the same record
    assert_same(alone, simulations[:20])
    assert "timeout" in alone.status


@pytest.mark.slow
def test_a_batched_function_that_hangs_is_tried_row_by_row():
    def stuck(theta, rng: torch.Generator):
        if (theta[:, 0] < 0.002).any():
            time.sleep(1_000)
        return theta + torch.randn(theta.shape, generator=rng)

    wrapped = Simulator(stuck, prior=prior())
    simulations = simulate(wrapped, 2 * BLOCK, seed=1, workers=2, timeout=LIMIT)
    assert ((simulations.status == "timeout") == (simulations.theta[:, 0] < 0.002).numpy()).all()
    assert (simulations.status == "timeout").any()
    kept = simulations.valid
    assert simulations.x[kept].isfinite().all() and simulations.x[~kept].isnan().all()


@pytest.mark.slow
def test_what_a_hanging_simulator_has_started_ends_with_it(tmp_path):
    note = tmp_path / "pid"

    def starter(theta):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        note.write_text(str(child.pid))
        time.sleep(1_000)

    wrapped = Simulator(starter, prior=prior(), batched=False)
    with pytest.raises(RuntimeError, match="no finite x"):
        simulate(wrapped, 1, seed=1, timeout=LIMIT)
    for _ in range(100):  # a moment for the system to take it down
        try:
            os.kill(int(note.read_text()), 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the simulator's process outlived its simulator")


@pytest.mark.slow
def test_a_simulator_that_always_dies_is_an_error():
    wrapped = Simulator(lambda theta: os._exit(3), prior=prior(), batched=False)
    with pytest.raises(RuntimeError, match="exit code 3"):
        simulate(wrapped, 3, seed=1, workers=2)


def test_a_time_limit_is_positive():
    with pytest.raises(ValueError, match="timeout must be positive"):
        simulate(batched(), 10, seed=1, timeout=0.0)


# Executors.


@pytest.mark.parametrize("make, n", [(batched, 5_000), (of_one, 60)], ids=["batched", "of one"])
def test_threads_compute_the_same_bits(make, n):
    with ThreadPoolExecutor(1) as executor:  # the global state is one for all threads
        simulations = simulate(make(), n, seed=1, executor=executor)
    assert_same(simulations, simulate(make(), n, seed=1))


@pytest.mark.slow
def test_a_process_pool_computes_the_same_bits_and_keeps_time():
    expected = simulate(of_one(), 60, seed=1)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        assert_same(simulate(of_one(), 60, seed=1, executor=executor), expected)
        assert_same(simulate(of_one(), 60, seed=1, executor=executor, timeout=20.0), expected)


@pytest.mark.slow
def test_a_time_limit_holds_also_where_the_simulator_was_without_one_before():
    def stuck(theta, rng):
        time.sleep(1_000 if theta[0] > 0.8 else 0)
        return rng.normal(size=2)

    wrapped = Simulator(stuck, prior=prior(), batched=False)
    with ThreadPoolExecutor(1) as executor:
        assert simulate(wrapped, 1, seed=1, executor=executor).valid.all()
        limited = simulate(wrapped, 8, seed=1, executor=executor, timeout=LIMIT)
    assert ((limited.status == "timeout") == (limited.theta[:, 0] > 0.8).numpy()).all()
    assert (limited.status == "timeout").any()


def test_results_come_in_order_and_tasks_are_taken_as_needed():
    taken = []

    def tasks():
        for i in range(20):
            taken.append(i)
            yield Task(0, i, np.zeros((1, 2)), seed=1)

    def slow_at_first(task, heartbeat):
        time.sleep(0.05 if task.start == 0 else 0.0)
        return Simulator(lambda theta: theta, prior=prior()).run_block(torch.zeros(1, 2), 0)

    with ThreadPoolExecutor(3) as executor:
        results = in_executor(executor, slow_at_first, tasks(), in_flight=4)
        assert [next(results)[0].start for _ in range(3)] == [0, 1, 2]
        assert len(taken) < 9
        results.close()


class Losing(ThreadPoolExecutor):
    """An executor that loses what it is computing, as one whose process has crashed."""

    def submit(self, *arguments):
        self.lost = Future()
        self.working = super().submit(*arguments)
        return self.lost


def test_it_is_said_what_a_lost_executor_is_waited_for(monkeypatch):
    monkeypatch.setattr(engines, "PATIENCE", 0.05)
    with Losing(1) as executor:
        late = threading.Timer(0.3, lambda: executor.lost.set_result(executor.working.result()))
        late.start()
        with pytest.warns(UserWarning, match="nothing of simulations 0 to 1 for 0.05 s") as told:
            simulate(of_one(), 2, seed=1, executor=executor)
    assert len(told) == 1
    failed = Future()
    failed.set_exception(TimeoutError("of the task"))
    with pytest.raises(TimeoutError, match="of the task"):
        engines._result(failed, Task(0, 0, np.zeros((1, 2)), seed=1), 0.05)


def leaves(theta, rng):
    sys.exit("enough")


def test_a_simulator_that_exits_costs_its_row():
    wrapped = Simulator(
        lambda theta, rng: leaves(theta, rng) if theta[0] > 0.5 else theta,
        prior=prior(),
        batched=False,
    )
    simulations = simulate(wrapped, 40, seed=1)
    assert ((simulations.status == "error") == (simulations.theta[:, 0] > 0.5).numpy()).all()
    assert "sys.exit(enough)" in next(iter(simulations.errors.values()))


@pytest.mark.slow
def test_a_crash_in_a_process_of_an_executor_costs_its_row():
    wrapped = Simulator(crashing, prior=prior(), batched=False)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        simulations = simulate(wrapped, 12, seed=1, executor=executor)
    assert ((simulations.status == "error") == (simulations.theta[:, 0] > 0.8).numpy()).all()


def crashing(theta, rng):
    if theta[0] > 0.8:
        ctypes.string_at(0)
    return rng.normal(size=2)


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker_computes_the_same_bits():
    distributed = pytest.importorskip("distributed")

    def slow(theta, rng):
        time.sleep(0.01)
        return theta.numpy() + rng.normal(size=2)

    wrapped = Simulator(slow, prior=prior(), batched=False)
    expected = simulate(wrapped, 400, seed=1)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert cluster.scheduler_address.startswith("tcp://")
        pids = list(client.run(os.getpid).values())
        threading.Timer(1.0, os.kill, (pids[0], signal.SIGKILL)).start()
        simulations = simulate(wrapped, 400, seed=1, workers=2, executor=client.get_executor())
        assert pids[0] not in client.run(os.getpid).values()
    assert_same(simulations, expected)


# Worker processes.


@pytest.mark.parametrize(
    "make, n",
    [
        pytest.param(batched, 5_000, id="batched"),
        pytest.param(of_one, 1_100, id="of one", marks=pytest.mark.slow),
    ],
)
def test_workers_compute_the_same_bits(make, n):
    assert_same(simulate(make(), n, seed=1, workers=2), simulate(make(), n, seed=1))


@pytest.mark.slow
def test_errors_travel_from_workers():
    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} and {b}")

    def broken(theta):
        raise Odd(1, 2)

    with pytest.raises(RuntimeError, match="1 and 2") as caught:
        simulate(Simulator(broken, prior=prior(), batched=False), 9, seed=1, workers=2)
    assert "in broken" in "".join(caught.value.__cause__.__notes__)


@pytest.mark.slow
def test_wrong_shapes_in_workers_are_value_errors():
    wrapped = Simulator(lambda theta: theta[:3], prior=prior())
    with pytest.raises(ValueError, match="expected 1024 rows"):
        simulate(wrapped, 2_000, seed=1, workers=2)


@pytest.mark.slow
def test_a_script_needs_no_main_guard_and_may_print(tmp_path):
    (tmp_path / "script.py").write_text(
        """
import lfi, torch
from torch.distributions import Normal

@lfi.simulator(prior={"a": Normal(0.0, 1.0)})
def shouting(theta):
    print("hello")
    return theta + offset

offset = 1
simulations = lfi.simulate(shouting, 2_000, seed=1, workers=2)
assert torch.equal(simulations.x, simulations.theta + 1)
"""
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and set(done.stderr.split()) == {"hello"}


@pytest.mark.slow
def test_a_file_that_only_this_process_can_import_travels(tmp_path, monkeypatch):
    path = tmp_path / "my_sim.py"
    path.write_text("offset = 2\ndef simulate(theta):\n    return theta + offset\n")
    spec = spec_from_file_location("my_sim", path)
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_sim", module)
    spec.loader.exec_module(module)
    simulations = simulate(Simulator(module.simulate, prior=prior()), 10, seed=1, workers=2)
    assert torch.equal(simulations.x, simulations.theta + 2)


# Workers stay for the next run.


def whereabouts(theta):
    return torch.tensor([os.getppid(), os.getpid()], dtype=torch.float64)  # of the server, its own


def server_and_child():
    wrapped = Simulator(whereabouts, prior=prior(), batched=False)
    rows = simulate(wrapped, 3, seed=1, timeout=100.0).x.unique(dim=0).long()
    assert len(rows) == 1  # one worker served all rows
    return rows[0].tolist()


def test_the_next_run_finds_workers_that_know_nothing_of_the_last(monkeypatch):
    server, child = server_and_child()
    again, other = server_and_child()
    assert again == server and other != child
    with pytest.raises(ProcessLookupError):  # nothing of the simulator has stayed
        os.kill(other, 0)
    os.kill(server, signal.SIGKILL)
    replaced, _ = server_and_child()
    assert replaced != server
    monkeypatch.setenv("A_NAME_THAT_A_SIMULATOR_MAY_READ", "1")
    assert released[-1].process.pid == replaced
    assert not released[-1].reuse(WorkerSetup.here(b"", None))


def test_a_run_that_is_given_up_takes_its_workers_with_it():
    function = _RunTask(Simulator(whereabouts, prior=prior(), batched=False), remote=True)
    tasks = (Task(0, i, np.zeros((1, 2)), seed=1) for i in range(9))
    results = in_workers(function, tasks, 1)
    server = int(next(results)[1].x[0, 0])
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


ECHO = """
import sys
while head := sys.stdin.buffer.read(8):
    frame = sys.stdin.buffer.read(int.from_bytes(head, "little"))
    sys.stdout.buffer.write(head + frame)
    sys.stdout.buffer.flush()
"""


def test_a_worker_that_was_stopped_is_woken(monkeypatch):
    monkeypatch.setattr(workers_side, "POLL_SECONDS", 0.05)
    worker = Worker.__new__(Worker)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-S", "-c", ECHO], **pipes) as process:
        worker.process = process
        assert worker._answer(b"at work") == b"at work"
        os.kill(process.pid, signal.SIGSTOP)
        assert worker._answer(b"stopped before") == b"stopped before"
        stopping = threading.Thread(target=lambda: os.kill(process.pid, signal.SIGSTOP))
        stopping.start()
        assert worker._answer(b"stopped at work") == b"stopped at work"
        stopping.join()
        waking = iter([lambda pid: None, lambda pid: None, wake])
        monkeypatch.setattr(workers_side, "wake", lambda pid: next(waking, wake)(pid))
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.warns(UserWarning, match=f"worker process {process.pid} does not answer"):
            assert worker._answer(b"told", 0.01) == b"told"


@pytest.mark.slow
def test_a_fork_that_was_stopped_is_woken():
    def stops(theta, rng):
        os.kill(os.getpid(), signal.SIGSTOP)
        return theta.numpy() + rng.normal(size=2)

    wrapped = Simulator(stops, prior=prior(), batched=False)
    simulations = simulate(wrapped, 2, seed=1, workers=2)
    assert simulations.valid.all()


@pytest.mark.slow
def test_a_worker_without_work_ends_after_its_rest():
    task = _RunTask(Simulator(whereabouts, prior=prior(), batched=False), remote=True)
    worker = Worker(replace(WorkerSetup.here(cloudpickle.dumps(task), None), idle_seconds=1))
    worker.run(Task(0, 0, np.zeros((1, 2)), seed=1))
    worker.release()
    assert worker.process.wait(60) == -signal.SIGALRM
    assert not worker.reuse(WorkerSetup.here(b"", None))


def test_what_starting_a_worker_does_not_import():
    slow = f"{SLOW + ('zarr', 'pandas')}"
    module = "lfi.runtime.workers.fork_server"
    code = f"import sys, {module}; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
