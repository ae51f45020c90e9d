"""The command line: what it lists, runs and refuses, and how it ends."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from support.command_lines import command_lines, write_files
from support.user_file import USER_FILE

import lfi
from lfi.cli.options import MAX_ROUNDS, MIN_BUDGET, MIN_ROUND
from lfi.cli.sources import (
    available_data,
    available_simulators,
    load_simulator,
)
from lfi.inference import plan_budget
from lfi.inference.methods import flow_training
from lfi.runtime import read


def entries(folder):
    """Every file below a folder, with its content."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# What it says.


def test_the_list_names_each_simulator_with_its_first_line(call):
    code, out, _ = call("list")
    assert code == 0
    entries, _, others = out.partition("\n\n")
    assert re.search("^influenza +An influenza outbreak", entries, re.MULTILINE)
    assert [line.split()[0] for line in entries.splitlines()] == list(available_simulators())
    assert [line.split()[0] for line in others.splitlines()[2:]] == list(available_data())


def test_the_version_is_that_of_the_package(call):
    assert call("--version")[:2] == (0, f"lfi {lfi.__version__}\n")


def test_help_names_every_option(call):
    code, out, _ = call("run", "--help")
    assert code == 0
    for option in (
        "--out",
        "--budget",
        "--rounds",
        "--minutes",
        "--draws",
        "--seed",
        "--observation",
        "--quiet",
    ):
        assert option in out


# Wrong calls: one line that says what to do, exit code 2, nothing damaged.


WRONG_CALLS = [
    (["rnu", "influenza"], "No such command 'rnu'. Did you mean 'run'"),
    (["run", "influensa", "--out", "OUT"], "no simulator 'influensa': did you mean influenza\\?"),
    (
        ["run", "influenza", "--out", "OUT", "--column", "a"],
        "--column: it is of the file of --observation, which is not given",
    ),
    (["new", "my-sim.py"], "FILE: got my-sim.py, expected a name such as my_sim.py"),
    (["new", "my_sim.txt"], "FILE: got my_sim.txt, expected a name"),
    (["run", "measles", "--out", "OUT"], "no simulator 'measles': give .*influenza"),
    (["run", "ring", "--out", "OUT"], "'ring' is a data set for generators .*: give .*influenza"),
    (["run", "absent.py", "--out", "OUT"], "no file absent.py"),
    (
        ["run", "influenza", "--out", "OUT", "--budget", "-5"],
        "--budget: got -5, expected at least 2400",
    ),
    (["run", "influenza", "--out", "OUT", "--budget", "many"], "--budget.*integer"),
    (["run", "influenza", "--out", "OUT", "--seed", "-1"], "--seed: got -1"),
    (
        ["run", "influenza", "--out", "OUT", "--rounds", "0"],
        "--rounds: got 0, expected from 1 to 7",
    ),
    (["run", "influenza", "--out", "OUT", "--draws", "5"], "--draws: got 5, expected at least 100"),
    (["run", "influenza", "--out", "OUT", "--minutes", "-1"], "--minutes: got -1, expected a posi"),
    (["run", "influenza", "--out", "OUT", "--minutes", "nan"], "--minutes: got nan, expected a po"),
    (["run", "influenza", "--out", "OUT", "--workers", "0"], "--workers: got 0, expected at least"),
    (["run", "influenza", "--out", "OUT", "--observation", "absent.csv"], "no file absent.csv"),
    (["run", "influenza", "--out", f"{__file__}/out"], "--out: .*test_app.py is a file"),
    (["run", "influenza", "--out", "OUT", "--colour", "red"], "No such option.*--colour"),
    (["dance"], "dance"),
    (["run", "influenza", "--out", "OUT", "--device", "abacus"], "--device: abacus is not one of"),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    WRONG_CALLS,
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_wrong_calls_are_refused_in_one_line_and_write_nothing(arguments, message, call, tmp_path):
    out = tmp_path / "out"
    code, _, err = call(*(str(out) if word == "OUT" else word for word in arguments))
    assert code == 2
    assert len(err.splitlines()) == 1
    assert re.search(message, err), err
    assert not out.exists()


def test_help_and_wrong_calls_import_nothing_heavy():
    calls = [["--help"], ["run", "--help"], ["list"], *(arguments for arguments, _ in WRONG_CALLS)]
    program = (
        "import contextlib, io, sys\n"
        "from lfi.cli import main\n"
        f"for arguments in {calls!r}:\n"
        "    sys.argv = ['lfi', *arguments]\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main()\n"
        "heavy = {'torch', 'scipy', 'sklearn', 'matplotlib', 'zarr', 'arviz', 'pandas'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    run = [sys.executable, "-c", program]
    result = subprocess.run(run, capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n", result.stderr


@pytest.mark.parametrize("rounds", [1, 2, 3, MAX_ROUNDS])
def test_limits_are_those_of_the_rounds(rounds):
    enough = MIN_BUDGET if rounds > 1 else MIN_ROUND
    assert len(plan_budget(enough, rounds)) == rounds
    with pytest.raises(ValueError, match="too few"):
        plan_budget(enough - 1, rounds)
    with pytest.raises(ValueError, match="rounds must be from 1"):
        plan_budget(10**6, MAX_ROUNDS + 1)


def test_an_observation_of_the_wrong_length_is_refused(call, tmp_path):
    (tmp_path / "x.csv").write_text("day,in_bed\n1,3\n2,8\n3,26\n")
    np.savetxt(tmp_path / "short.txt", [3, 8, 26])
    code, _, err = call(
        "run", "influenza", "--out", tmp_path / "out", "--observation", tmp_path / "short.txt"
    )
    assert (code, len(err.splitlines())) == (2, 1)
    assert "x_obs has shape (3,), but one simulation's x has (14,)" in err
    assert not (tmp_path / "out").exists()


@pytest.fixture
def interrupted(call, tmp_path, monkeypatch):
    """A job that was interrupted in its first fit: its simulations are there."""

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(flow_training, "train_one", interrupt)
        code, _, err = call("run", "influenza", "--out", tmp_path / "out", "--budget", 2_400)
    assert code == 130
    assert "goes on" in err
    return tmp_path / "out"


def test_a_damaged_store_is_refused_and_left_alone(call, interrupted):
    chunks = [path for path in (interrupted / "rounds").rglob("x/c/*") if path.is_file()]
    chunks += [path for path in (interrupted / "rounds").rglob("x/c/*/*") if path.is_file()]
    chunks[0].write_bytes(chunks[0].read_bytes()[:-7])
    before = entries(interrupted)
    code, _, err = call("run", "influenza", "--out", interrupted, "--budget", 2_400)
    assert (code, len(err.splitlines())) == (2, 1)
    assert "round_1.zarr" in err
    assert entries(interrupted) == before


@pytest.mark.parametrize(
    ("option", "value"),
    [("--budget", 4_800), ("--seed", 2), ("--rounds", 2), ("--minutes", 5)],
    ids=str,
)
def test_a_folder_of_another_job_is_refused_and_left_alone(option, value, call, interrupted):
    before = entries(interrupted)
    arguments = {"--budget": 2_400} | {option: value}
    flat = [word for pair in arguments.items() for word in pair]
    code, _, err = call("run", "influenza", "--out", interrupted, *flat)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"another {option[2:]}" in err
    assert entries(interrupted) == before


def test_a_device_that_this_machine_lacks_is_refused(call, tmp_path):
    missing = "cuda" if not torch.cuda.is_available() else "xpu"
    code, _, err = call("run", "influenza", "--out", tmp_path / "out", "--device", missing)
    assert (code, len(err.splitlines())) == (2, 1)
    assert f"--device: {missing} is not available" in err


def test_a_simulator_that_always_fails_ends_with_its_own_words(call, tmp_path):
    (tmp_path / "bad.py").write_text(
        USER_FILE.replace("    return theta", "    raise OSError('no disk')\n    return theta")
    )
    code, _, err = call("run", tmp_path / "bad.py", "--out", tmp_path / "out", "--budget", 2_400)
    assert code == 1
    assert "no disk" in err


STOPS = {  # what may come of a job, and how the command line then ends
    RuntimeError("no memory"): 1,
    LookupError("a bug"): 1,
    MemoryError(): 1,
    KeyboardInterrupt(): 130,
    OSError(28, "No space left on device"): 2,
    ValueError("x_obs is wrong"): 2,
}


def assert_command_lines_end_as_documented(n, seed, call, folder, monkeypatch):
    """Each ends with 0, 1, 2 or 130, and says in one line why; jobs stop where they begin."""
    from lfi.cli import planning, workflow

    monkeypatch.setattr(planning, "seconds_per_simulation", lambda *_: 1e-6)
    monkeypatch.chdir(folder)
    ends, rng = list(STOPS), random.Random(seed)
    stopped = []

    def stop(*arguments, **options):
        stopped.append(rng.choice(ends))
        raise stopped[-1]

    monkeypatch.setattr(workflow, "simulate", stop)
    monkeypatch.setattr(workflow, "fit_rounds", stop)
    codes, reasons = Counter(), Counter()
    for line in command_lines(n, seed, write_files(folder)):
        stopped.clear()
        code, _, err = call(*line)
        codes[code] += 1
        reasons[code, " ".join(err.split()[:3])] += 1
        assert code in (0, 1, 2, 130), line
        assert len(err.splitlines()) == (code != 0) and "Traceback" not in err, (line, err)
        if stopped:
            assert code == STOPS[stopped[0]], line
    assert {0, 1, 2, 130} <= set(codes)
    assert max(reasons.values()) < 0.5 * n, reasons.most_common(5)  # not all for one word


def test_fuzzed_command_lines_end_as_documented(call, tmp_path, monkeypatch):
    assert_command_lines_end_as_documented(300, 1, call, tmp_path, monkeypatch)


@pytest.mark.slow
def test_ten_thousand_fuzzed_command_lines_end_as_documented(call, tmp_path, monkeypatch):
    assert_command_lines_end_as_documented(10_000, 2, call, tmp_path, monkeypatch)


def test_a_record_of_rounds_that_is_none_is_refused(call, tmp_path):
    (tmp_path / "rounds").mkdir()
    (tmp_path / "rounds" / "rounds.json").write_text("[]")
    code, _, err = call("run", "influenza", "--out", tmp_path, "--budget", 2_400)
    assert code == 2 and "rounds.json is damaged (it holds a list)" in err


# What it takes.


def test_a_users_file_and_an_object_in_it_are_simulators(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(USER_FILE)
    assert load_simulator(str(path)).name == "mine"
    assert load_simulator(f"{path}:other").names == ("mean",)
    with pytest.raises(ValueError, match="nothing called 'absent'"):
        load_simulator(f"{path}:absent")


@pytest.mark.parametrize("ending", ["raise SystemExit(5)", "class E(BaseException): pass\nraise E"])
def test_a_users_file_that_ends_python_is_a_wrong_call(ending, call, tmp_path):
    (tmp_path / "ending.py").write_text(ending)
    code, _, err = call("run", tmp_path / "ending.py", "--out", tmp_path / "out")
    assert (code, len(err.splitlines())) == (2, 1) and "ending.py cannot be imported" in err


def test_a_place_that_cannot_be_written_is_found_before_anything_is_simulated(call, tmp_path):
    (tmp_path / "mine.py").write_text(USER_FILE + "raise_on_call = simulate.__code__\n")
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    code, _, err = call("run", tmp_path / "mine.py", "--out", tmp_path / "out")
    assert code == 2 and re.search(r"cannot write it: Is a directory: '.*report.html'", err)
    code, _, err = call("run", tmp_path / "mine.py", "--out", "/proc/out")
    assert code == 2 and "cannot write it" in err
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["report.html"]


def test_a_users_file_that_does_not_run_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("import nothing_of_this_name")
    with pytest.raises(ValueError, match=r"broken\.py cannot be imported: ModuleNotFoundError"):
        load_simulator(str(tmp_path / "broken.py"))
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(3)")
    with pytest.raises(ValueError, match=r"leaves\.py cannot be imported: SystemExit: 3"):
        load_simulator(str(tmp_path / "leaves.py"))


# The whole job, in a process of its own.


@contextmanager
def small_job(folder, out):
    """A job of few steps, and what it says that it begins; killed if it is still there."""
    command = [sys.executable, "-m", "support.small_job", "run", str(folder / "mine.py")]
    command += ["--out", str(out), "--budget", "2400", "--rounds", "2", "--draws", "500"]
    command += ["--workers", "2", "--quiet"]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])

    def listen():  # a shell that starts things in the background lets them ignore Ctrl-C
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        preexec_fn=listen,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


AT = [
    "simulating",
    "fitting flows",
    "fitting flows",
    "fitting a critic",
    "drawing held-out simulations",
    "checking",
    "waiting for the surrogate",
    "comparing the surrogate",
    "writing",
]
AGAIN = {  # what a stage has left, without which it begins again
    "checking": "results/calibration.lfi",
    "waiting for the surrogate": "surrogate.lfi",
    "comparing the surrogate": "results/fidelity.lfi",
    "writing": "report.html",
}


@pytest.mark.slow
def test_a_job_killed_again_and_again_ends_with_the_same_bytes(tmp_path):
    """Twice at each of nine stages, at a random moment within a second of its begin.

    Once by Ctrl-C. Flows and the surrogate are fitted in another process. What a stage has finished
    is kept, so that the next kill is further on.
    """
    (tmp_path / "mine.py").write_text(USER_FILE)
    with small_job(tmp_path, tmp_path / "whole") as process:
        said = process.stdout.read().splitlines()
    assert process.returncode == 0 and set(said) == set(AT)
    rng, ends = random.Random(1), []
    for out in (tmp_path / "killed_0", tmp_path / "killed_1"):
        for stage in AT:
            if stage in AGAIN:
                (out / AGAIN[stage]).unlink(missing_ok=True)
            with small_job(tmp_path, out) as process:
                # a stage that is kept by now is not begun again: then at the end, or what it says
                begun = next((line for line in process.stdout if line.strip() == stage), None)
                time.sleep(rng.uniform(0, 1))
                process.send_signal(signal.SIGINT if len(ends) == 3 else signal.SIGKILL)
                process.stdout.read()
                ends.append((begun, process.wait(timeout=60)))
        with small_job(tmp_path, out) as process:
            process.stdout.read()
        assert process.returncode == 0
        assert_same_job(out, tmp_path / "whole")
    killed = [begun for begun, end in ends if end in (130, -signal.SIGKILL, -signal.SIGINT)]
    assert len(killed) > 12 and set(AT[:-1]) <= {line.strip() for line in killed if line}


def assert_same_job(one, other):
    assert (one / "summary.json").read_bytes() == (other / "summary.json").read_bytes()
    for name in ("posterior.lfi", "surrogate.lfi"):
        ours, theirs = (read(folder / name).tensors for folder in (one, other))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    files = {"posterior.lfi", "posterior.nc", "report.html", "surrogate.lfi", "summary.json"}
    assert files <= set(os.listdir(one))
