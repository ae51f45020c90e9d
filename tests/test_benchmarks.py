"""The benchmarks start: each explains itself, and its smallest run writes its figures.

They run from a copy, so that no figure of a test is appended to the results on record.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
PEERS = {"densratio", "ot", "sbi"}  # of the extra `bench`

SMALLEST = {
    "c2st": "--dims 2 --n 200",
    "density_difference": "--repetitions 2 --draws 2 --sizes 50",
    "kernel_ratio": "speed --points 50 --repeats 1 --seeds 1 --centres 10",
    "large_samples": "--points 200",
    "modes": "ring --seeds 1 --steps 20",
    "parallel_lines": "--moves adam --seeds 1 --steps 5",
    "sampling": "--tasks two_moons --steps 5",
    "simulation": "--part workers --methods lfi --calls 20",
    "steps": "--tasks ring --steps 5 --repetitions 1",
    "surrogates": "two_moons --methods gaussian --simulations 500 --steps 5 --start-steps 5",
    "transport": "--sizes 20",
    "two_sample_tests": "--only power --repetitions 2 --sizes 20 --permutations 20",
    "wrong_posteriors": "--n 30 --repetitions 1 --of-wrong 1 --refits 9",
}

HELP = """
import contextlib, io, runpy, sys
sys.path.insert(0, {folder!r})
for name in {names!r}:
    sys.argv, text = [name, "--help"], io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            runpy.run_path(f"{folder}/{{name}}.py", run_name="__main__")
    except ModuleNotFoundError as error:
        if error.name not in {peers!r}:
            raise
    except SystemExit as end:
        assert not end.code, name
        assert text.getvalue().startswith("usage:"), name
"""


def test_every_benchmark_explains_itself():
    program = HELP.format(folder=str(FOLDER), names=NAMES, peers=PEERS)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_smallest_run_writes_its_figures(name, tmp_path):
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, tmp_path)
    (tmp_path / "results.csv").touch()
    command = [sys.executable, str(tmp_path / f"{name}.py"), *SMALLEST[name].split()]
    paths = os.pathsep.join([str(FOLDER.parent), *sys.path])  # of `support`, and what is here
    git = ["git", "-C", str(FOLDER), "rev-parse", "--absolute-git-dir"]  # for the commit's name
    git_dir = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    environment = os.environ | {"PYTHONPATH": paths, "GIT_DIR": git_dir}
    run = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True)
    missing = [peer for peer in PEERS if f"No module named {peer!r}" in run.stderr]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "results.csv").read_text()
