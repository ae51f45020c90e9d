"""Commands that compute nothing: what they write and tell."""

import json
import runpy
import subprocess
import sys

import pytest
import torch

import lfi
from lfi.cli import doctor
from lfi.cli.sources import load_simulator


def test_a_bare_call_shows_the_help(call):
    code, out, _ = call()
    assert code == 0
    assert out == call("--help")[1]
    for command in ("new", "doctor", "list", "run"):
        assert f"\n  {command} " in out


def test_the_list_is_machine_readable_too(call):
    code, out, _ = call("list", "--json")
    listed = json.loads(out)
    assert code == 0 and listed["simulators"]["influenza"].startswith("An influenza outbreak")
    assert "ring" in listed["data"]


def test_a_new_simulator_runs_as_it_is(call, tmp_path):
    path = tmp_path / "my_sim.py"
    code, out, _ = call("new", path)
    assert code == 0 and "lfi run" in out
    simulator = load_simulator(str(path))
    assert simulator.name == "my_sim" and not simulator.batched
    simulations = lfi.simulate(simulator, 200, seed=1)
    assert simulations.x.shape == (200, len(runpy.run_path(str(path))["x_obs"]))
    assert simulator.x_obs.shape == simulations.x.shape[1:]
    assert simulator.check(seed=1).ok and simulations.codes.max() == 0


def test_a_file_that_exists_is_never_written_over(call, tmp_path):
    (tmp_path / "my_sim.py").write_text("mine")
    code, _, err = call("new", tmp_path / "my_sim.py")
    assert code == 2 and "my_sim.py exists: give another name" in err
    assert (tmp_path / "my_sim.py").read_text() == "mine"


def test_the_doctor_tells_what_there_is(call):
    code, out, _ = call("doctor")
    assert code == 0
    for words in (f"lfi            {lfi.__version__}", f"torch          {torch.__version__}"):
        assert words in out
    told = json.loads(call("doctor", "--json")[1])
    assert told["ok"] and told["machine"]["cores"] >= 1 and "cpu" in told["devices"]


def test_the_doctor_tells_what_lacks_and_how_it_is_installed(call, monkeypatch):
    wanted = ["torch>=2", "no_such_package>=3", 'other_package>=1 ; extra == "cluster"']
    monkeypatch.setattr(doctor, "requires", lambda name: wanted)
    code, out, _ = call("doctor")
    assert code == 1
    assert "lfi lacks no_such_package>=3: " in out and "pip install 'no_such_package>=3'" in out
    assert "cluster        lacks other_package>=1 (optional: simulations on a Dask" in out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["rnu"], ["run", "nothing"]], ids=str)
def test_help_and_wrong_calls_take_at_most_a_second_of_a_processor(arguments):
    """The least of three calls, by their own clock of processor time: others may be busy."""
    program = (
        "import contextlib, io, sys, time\n"
        "from lfi.cli import main\n"
        f"sys.argv = ['lfi', *{arguments!r}]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "    main()\n"
        "print(time.process_time())\n"
    )
    times = []
    for _ in range(3):
        run = [sys.executable, "-c", program]
        done = subprocess.run(run, capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    assert min(times) < 1
