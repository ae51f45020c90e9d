"""The steps on one folder: what each leaves, what is done again, and what is refused."""

import json

import numpy as np
import pytest

import lfi

ALL = ["simulate", "fit", "sample", "calibration", "predictive", "surrogate", "fidelity", "report"]
NO_SURROGATE = [step for step in ALL if step not in ("surrogate", "fidelity")]
SMALL = ("--budget", 400, "--rounds", 1, "--draws", 200)
PLAIN = (*SMALL, "--no-surrogate")


@pytest.fixture
def job(small, call):
    """Run mine.py into the folder out, and return the steps that were computed."""

    def run(*arguments, code=0):
        small.clear()
        found, out, err = call("run", "mine.py", "--out", "out", *(arguments or SMALL))
        assert found == code, err
        return list(small), out, err

    return run


def test_steps_are_done_once_and_again_only_where_their_settings_changed(job, tmp_path):
    computed, out, _ = job()
    assert computed == ALL
    assert "one simulation takes" in out and "the whole job about" in out
    folder = tmp_path / "out"
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    record = json.loads((folder / "run.json").read_text())
    assert list(record["steps"]) == ALL and record["settings"]["budget"] == 400
    assert record["source"] == str(tmp_path / "mine.py")

    computed, out, _ = job()
    assert computed == [] and out.count("done before") == len(ALL)
    assert "one simulation takes" not in out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == first

    assert job("--draws", 300)[0] == ["sample", "predictive", "report"]
    assert json.loads((folder / "summary.json").read_text())["draws"]["n"] == 300
    assert job("--name", "Weighing")[0] == ["report"]
    assert "<h1>Weighing</h1>" in (folder / "report.html").read_text()
    (folder / "results" / "calibration.lfi").unlink()
    assert job()[0] == ["sample", "calibration", "predictive", "report"]  # --draws 200 again
    assert job("--no-surrogate")[0] == ["report"]
    assert "surrogate" not in json.loads((folder / "summary.json").read_text())


def test_single_steps_leave_what_a_whole_run_leaves(job, call, small, tmp_path):
    job()
    small.clear()
    one = ("simulate", "mine.py", "--out", "one", *SMALL[:4])
    steps = [one, ("fit", "one"), ("sample", "one", "--draws", 200), ("check", "one")]
    steps += [("surrogate", "one"), ("report", "one")]
    for step in steps:
        code, _, err = call(*step)
        assert code in (0, 3, 4) if step[0] == "check" else code == 0, err
    assert sorted(small) == sorted(ALL)
    summaries = [(tmp_path / name / "summary.json").read_bytes() for name in ("out", "one")]
    assert summaries[0] == summaries[1]
    assert lfi.load("one/posterior.lfi").names == ("mean",)


def test_a_step_says_which_one_comes_first(small, call):
    assert call("simulate", "mine.py", *SMALL[:4])[0] == 0
    for command, words in {
        "sample": "has no posterior in truncated rounds yet: first, lfi fit runs/mine",
        "report": "first, lfi fit",
        "check": "first, lfi fit",
        "surrogate": "first, lfi fit",
    }.items():
        code, _, err = call(command, "runs/mine")
        assert code == 2 and words in err
    code, _, err = call("fit", "elsewhere")
    assert code == 2 and "there is no run in elsewhere (no run.json): lfi run or lfi simul" in err


CHANGES = {
    "another budget (400, now 600)": ("--budget", 600),
    "another seed (1, now 2)": ("--seed", 2),
    "another budget (400, now 2400), another rounds (1, now 2)": ("--rounds", 2, "--budget", 2_400),
    "another method (pool, now flow)": ("--method", "flow"),
    "another minutes (None, now 3.0)": ("--minutes", 3),
    "another observation": ("--observation", "x.csv"),
}


def test_what_fits_depend_on_is_not_changed_under_them(job, tmp_path):
    job(*PLAIN)
    (tmp_path / "x.csv").write_text("1\n2\n")
    before = (tmp_path / "out" / "run.json").read_bytes()
    for words, options in CHANGES.items():
        computed, _, err = job(*options, code=2)
        assert computed == [] and words in err and len(err.splitlines()) == 1
        assert "--restart starts again and keeps the old run as out-old-1" in err
        assert (tmp_path / "out" / "run.json").read_bytes() == before


def test_a_changed_simulator_is_asked_about_and_a_restart_keeps_the_old_run(job, tmp_path):
    job(*PLAIN)
    path = tmp_path / "mine.py"
    path.write_text("# a comment\n" + path.read_text())
    assert job(*PLAIN)[0] == []  # the code is the same
    path.write_text(path.read_text().replace("+ torch.randn(", "+ 2 * torch.randn("))
    _, _, err = job(code=2)
    assert "another simulator (" in err and "mine.py has changed)" in err
    computed, out, _ = job("--restart", *PLAIN)
    assert computed == NO_SURROGATE and "the old run is kept in out-old-1" in out
    assert (tmp_path / "out-old-1" / "report.html").is_file()
    assert "used again" not in out


def test_a_restart_with_another_method_uses_the_simulations_again(job, tmp_path):
    job(*PLAIN)
    store = tmp_path / "out" / "rounds" / "round_1.zarr" / "finished.json"
    finished = json.loads(store.read_text())["finished"]
    _, out, _ = job("--restart", *PLAIN, "--method", "flow")
    assert "its simulations of the first round are used again" in out
    assert json.loads(store.read_text())["finished"] == finished
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["method"] == "flow"


def test_only_the_observation_of_a_file_changes_nothing_that_was_simulated(small, call, tmp_path):
    assert call("simulate", "mine.py", *SMALL[:4])[0] == 0
    path = tmp_path / "mine.py"
    path.write_text(path.read_text().replace("[0.5, 0.7]", "[0.1, 0.2]"))
    assert call("fit", "runs/mine")[0] == 0
    assert small == ["simulate", "fit"]


def test_a_folder_without_a_success_is_not_burnt(job, call, tmp_path):
    """A first simulator that fails for all parameters, then a mended one, just works."""
    path = tmp_path / "mine.py"
    whole = path.read_text()
    path.write_text(whole.replace("    return theta", "    raise OSError('no disk')\n    return 0"))
    _, _, err = job(code=1)
    assert "no disk" in err and "mine.py, line 8: raise OSError" in err
    path.write_text(whole.replace("return theta +", "return torch.nan * theta +"))
    _, _, err = job(code=1)
    assert "no finite x" in err
    path.write_text(whole)
    assert job(*PLAIN)[0] == NO_SURROGATE


def test_a_dry_run_says_what_is_to_do_and_writes_nothing(job, call, tmp_path):
    code, out, _ = call("run", "mine.py", "--out", "out", *SMALL, "--dry-run")
    assert code == 0 and out.count("to do") == len(ALL) and "the whole job about" in out
    assert not (tmp_path / "out").exists()
    job(*PLAIN)
    _, out, _ = job("--draws", 300, "--dry-run")
    assert out.count("done before") == len(NO_SURROGATE) - 3 and "one simulation takes" not in out
    told = json.loads(call("run", "mine.py", "--out", "out", "--dry-run", "--json")[1])
    assert told["settings"]["budget"] == 400 and all(told["done"].values())


def test_results_are_printed_as_json_and_nothing_else(small, call, tmp_path):
    code, out, _ = call("run", "mine.py", "--out", "out", *SMALL, "--json", "--no-surrogate")
    told = json.loads(out)
    assert code == 0 and told["folder"] == "out" and "marginals" in told
    assert "surrogate" not in small
    told = json.loads(call("sample", "out", "--json")[1])
    assert list(told["steps"]) == ["sample"]


def test_a_check_ends_with_its_verdict(small, call):
    call("run", "mine.py", "--out", "out", *PLAIN)
    code, out, _ = call("check", "out", "--json")
    told = json.loads(out)
    assert {True: 0, False: 3, None: 4}[told["ok"]] == code
    assert call("check", "out")[0] == code


def test_a_log_has_what_the_terminal_has_and_errors(job, tmp_path):
    job(*PLAIN, "--log", "run.log", "--quiet")
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert any("INFO posterior draws" in line for line in lines)
    job("--seed", 5, "--log", "run.log", code=2)
    assert "ERROR out holds a run with another seed" in (tmp_path / "run.log").read_text()
    _, _, err = job(*SMALL, "--log", "nowhere/run.log", code=2)
    assert "--log: nowhere/run.log cannot be written: No such file" in err


def test_a_call_that_hangs_is_ended_after_its_timeout(job, tmp_path):
    path = tmp_path / "mine.py"
    slow = "    if float(theta[0]) > 1.95:\n        time.sleep(3)\n    return theta"
    text = path.read_text().replace("    return theta", slow).replace("(len(theta), 2,", "(2,")
    path.write_text(text.replace("import torch\n", "import time\nimport torch\n", 1))
    job(*SMALL, "--timeout", 0.3, "--workers", 2, "--no-surrogate", "--draws", 100)
    simulations = lfi.simulation.Simulations.open("out/rounds/round_1.zarr")
    late = simulations.theta[:, 0] > 1.95
    assert late.any() and (simulations.codes[late] == 3).all()


def test_an_observation_of_a_file_is_kept_with_the_run(job, call, tmp_path):
    (tmp_path / "x.csv").write_text("hour;mass\n0;0,5\n1;1,5\n")
    job(*PLAIN, "--observation", "x.csv", "--column", "mass")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["observation"] == {"file": str(tmp_path / "x.csv"), "columns": ["mass"]}
    predictive = lfi.runtime.read(tmp_path / "out" / "results" / "predictive.lfi")
    assert np.allclose(predictive.tensors["x_obs"], [0.5, 1.5])
    assert job("--draws", 300)[0] == ["sample", "predictive", "report"]


def test_a_damaged_record_is_refused(job, tmp_path):
    job(*PLAIN)
    (tmp_path / "out" / "run.json").write_text("[]")
    computed, _, err = job(code=2)
    assert computed == [] and "run.json is damaged" in err
