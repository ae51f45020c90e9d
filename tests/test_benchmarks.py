"""The benchmarks start: each explains itself, and its smallest run writes its figures.

They run from a copy, so that no figure of a test is appended to the results on record.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
PEERS = {"densratio", "ot", "sbi"}  # of the extra `bench`
OF_SBIBM = {"posterior_tasks", "standing"}  # judge by its reference draws

SMALLEST = {
    "abc_smc": "g_and_k --methods lfi --budget 300 --particles 50",
    "autoencoders": "--algorithms AlphaGAN --seeds 1 --steps 5",
    "black_boxes": "imitation CartPole --brief",
    "c2st": "--dims 2 --n 200",
    "calibrated_ratios": "--part uniform --tasks slcp --method brief --budget 200 --held-out 9",
    "density_difference": "--repetitions 2 --draws 2 --sizes 50",
    "digits": "penalties --steps 5",
    "implicit": "banana message --steps 5 --draws 50",
    "influenza": "--budget 2400 --brief",
    "kernel_ratio": "speed --points 50 --repeats 1 --seeds 1 --centres 10",
    "large_samples": "--points 200",
    "lfire": "--methods ratio --brief",
    "loss_pairs": "--critics KL --generators KL --steps 5",
    "lynx_hare": "--budget 300 300 --brief --c2st-draws 100",
    "modes": "ring --only default UnrolledGAN --seeds 1 --steps 20",
    "mutations": "--only least_squares --sample 3",
    "neural_ratio": "--cases shift --losses KL --seeds 1 --steps 5",
    "ordinary": "o_rings --simulations 200 --observations 1 --c2st-draws 100 --brief",
    "parallel_lines": "--moves adam --seeds 1 --steps 5",
    "posterior_losses": "--tasks gaussian_linear --losses KL --steps 5",
    "posterior_tasks": "two_moons --budget 200 --observations 1 --method brief --c2st-draws 100",
    "sampling": "--tasks two_moons --steps 5",
    "simulation": "--part workers --methods lfi --calls 20",
    "standing": "--quick",
    "steps": "--tasks ring --steps 5 --repetitions 1",
    "tables": "wine --methods lfi rows --folds 1 --seeds 1 --steps 5",
    "surrogates": "two_moons --methods gaussian --simulations 500 --steps 5 --start-steps 5",
    "telescoping": "--nats 10 --brief --no-mixture",
    "transport": "--sizes 20",
    "two_teachers": "--teachers likelihood --couplings 2 --steps 2",
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
    if name in OF_SBIBM and importlib.util.find_spec("sbibm") is None:
        pytest.skip("needs sbibm")
    copy = tmp_path / "benchmarks"
    copy.mkdir()
    for path in FOLDER.glob("*.py"):
        shutil.copy(path, copy)
    (copy / "results.csv").touch()
    (tmp_path / "reference").symlink_to(FOLDER.parent / "reference")  # draws, where they look
    command = [sys.executable, str(copy / f"{name}.py"), *SMALLEST[name].split()]
    paths = os.pathsep.join([str(FOLDER.parent), *sys.path])  # of `support`, and what is here
    git = ["git", "-C", str(FOLDER), "rev-parse", "--absolute-git-dir"]  # for the commit's name
    git_dir = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    environment = os.environ | {"PYTHONPATH": paths, "GIT_DIR": git_dir}
    run = subprocess.run(command, cwd=FOLDER, env=environment, capture_output=True, text=True)
    missing = [peer for peer in PEERS if f"No module named {peer!r}" in run.stderr]
    if missing:
        pytest.skip(f"needs {missing[0]}")
    assert run.returncode == 0, run.stderr
    text = (copy / "results.csv").read_text()
    assert text or name == "standing"  # which appends only figures that are comparable
