"""A new user's first run: the commands are typed, in processes of their own."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import lfi

ROOT = Path(__file__).parents[2]
# Seconds of two cores in five minutes: tests share the cores with others. The clock's are those of
# the line `first-run` of the standing benchmark.
LIMIT = 2 * 300


def typed(folder, *words):
    """Type a command; return what it says and how long the processor took."""
    program = "from lfi.cli import main; main()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.slow
def test_new_edit_one_line_run_gives_a_posterior_a_surrogate_and_a_report(tmp_path):
    """The data are a simulation at growth 1.0 and capacity 300: four sds hold these."""
    typed(tmp_path, "new", "my_sim.py")
    path = tmp_path / "my_sim.py"
    lines = path.read_text().splitlines()
    (place,) = (i for i, line in enumerate(lines) if line.startswith("x_obs"))
    lines[place] = "x_obs = [18, 58, 108, 190, 233, 265, 269, 280, 312, 299]"
    path.write_text("\n".join(lines) + "\n")
    said, seconds = typed(tmp_path, "run", "my_sim.py")
    assert "the whole job about" in said and "report: runs/my_sim/report.html" in said
    folder = tmp_path / "runs" / "my_sim"
    marginals = json.loads((folder / "summary.json").read_text())["marginals"]
    for name, true in {"growth": 1.0, "capacity": 300.0}.items():
        assert abs(marginals[name]["mean"] - true) < 4 * marginals[name]["sd"]
    assert lfi.load(folder / "posterior.lfi").names == ("growth", "capacity")
    assert lfi.load(folder / "surrogate.lfi").names == ("growth", "capacity")
    assert (folder / "report.html").stat().st_size > 10_000
    assert seconds < LIMIT, f"it took {seconds:.0f} s of the processor"
