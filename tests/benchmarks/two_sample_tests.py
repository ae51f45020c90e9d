"""Two-sample tests: what they see, how often they are wrong, and their time beside hyppo's.

    python tests/benchmarks/two_sample_tests.py                    # all of it, about half an hour
    python tests/benchmarks/two_sample_tests.py --only time        # side by side with hyppo
    python tests/benchmarks/two_sample_tests.py --only power --pairs shift

Power is how often p <= 0.05 for the pairs of tests/two_samples.py, with 199 relabellings: the
aggregated `mmd_test`; the same with a Gaussian kernel of the median distance only; `energy_test`;
and MMD-FUSE as published, whose kernels and weights differ from ours. Level is the same for equal
distributions, 20 against 15 points in two dimensions, over 1,000 repetitions. Time is the median of
several runs on one thread of `mmd_test` (12 kernels), of one kernel, and of `energy_test`, and of
hyppo's MMD (one kernel) and Energy, all with the same number of relabellings; `simulations` is the
size of either sample. Figures go to results.csv.
"""

import argparse
import csv
import math
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch

import lfi
from lfi.comparison import Gaussian, Laplace
from lfi.comparison.two_sample import kernel_tests
from lfi.comparison.two_sample.permutation import TwoSampleTest, pool
from lfi.numerics import euclidean_distances, manhattan_distances, quantile_distances

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from support.two_samples import PAIRS  # noqa: E402

SIZES = {"checkerboard": 200, "bump": 200, "shift": 100, "scale": 100}


def median_test(a: np.ndarray, b: np.ndarray, *, permutations: int, seed: int) -> TwoSampleTest:
    """Test with the one bandwidth that everyone uses."""
    return lfi.mmd_test(a, b, kernels=(Gaussian(),), permutations=permutations, seed=seed)


def fuse_test(a: np.ndarray, b: np.ndarray, *, permutations: int, seed: int) -> TwoSampleTest:
    """Test by MMD-FUSE: ten bandwidths each, over the root mean square of the kernel."""
    pooled = pool(a, b, standardise=True, seed=seed)
    rows, n, total = pooled.rows, pooled.n, len(pooled.rows)
    groups = pooled.grouped(permutations)
    parts = []
    for kind, distance in ((Gaussian, euclidean_distances), (Laplace, manhattan_distances)):
        low, high = quantile_distances(rows, rows, (0.05, 0.95), distance=distance).tolist()
        kernel = kind(torch.linspace(low / 2, 2 * high, 10, dtype=torch.float64))
        values, _ = kernel_tests.squared_mmds(kernel, groups)
        squares = kernel(rows, rows).square().sum(dim=(-2, -1)) - total
        parts.append(values / (squares / (total * (total - 1))).sqrt()[:, None])
    size = min(n, total - n)
    strength = math.sqrt(size * (size - 1))
    fused = (torch.cat(parts) * strength).logsumexp(dim=0) / strength
    return pooled.result(fused, "MMD-FUSE")


TESTS = {
    "lfi mmd_test": lfi.mmd_test,
    "lfi median bandwidth": median_test,
    "lfi energy_test": lfi.energy_test,
}


class Rows:
    """What was measured, on the screen and in results.csv."""

    def __init__(self) -> None:
        self.commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()

    def add(
        self, task: str, method: str, n: int, metric: str, value: float, seconds: float
    ) -> None:
        """Append one figure."""
        print(f"{task:<32}{method:<24}{n:>6}{metric:>12}{value:>9.4f}{seconds:>9.2f}", flush=True)
        with (HERE / "results.csv").open("a", newline="") as file:
            csv.writer(file).writerow(
                [self.commit, date.today(), task, method, n, 1, metric, f"{value:.4f}"]
                + [f"{seconds:.2f}"]
            )


def measure_power(rows: Rows, pairs: list[str], repetitions: int) -> None:
    """Count rejections of pairs that differ."""
    for name in pairs:
        draw, n = PAIRS[name], SIZES[name]
        for method, test in {**TESTS, "MMD-FUSE": fuse_test}.items():
            begin, found = time.monotonic(), 0
            for r in range(repetitions):
                a, b = draw(np.random.default_rng((1, r)), n)
                found += test(a, b, permutations=199, seed=r).p_value <= 0.05
            seconds = time.monotonic() - begin
            rows.add(f"two samples: {name}", method, n, "power", found / repetitions, seconds)


def measure_level(rows: Rows, repetitions: int) -> None:
    """Count rejections of pairs that do not differ."""
    for method, test in TESTS.items():
        begin, found = time.monotonic(), 0
        for r in range(repetitions):
            rng = np.random.default_rng((2, r))
            a, b = rng.normal(size=(20, 2)), rng.normal(size=(15, 2))
            found += test(a, b, permutations=199, seed=r).p_value <= 0.05
        seconds = time.monotonic() - begin
        rows.add("two samples: equal", method, 20, "level", found / repetitions, seconds)


def median_seconds(run: Callable[[], object], runs: int) -> float:
    """Return the median time of several runs, after one that is not counted."""
    run()
    seconds = []
    for _ in range(runs):
        begin = time.monotonic()
        run()
        seconds.append(time.monotonic() - begin)
    return float(np.median(seconds))


def measure_time(rows: Rows, sizes: list[int], permutations: int, runs: int) -> None:
    """Time ours and hyppo's on the same samples."""
    warnings.simplefilter("ignore")
    from hyppo.ksample import MMD, Energy

    task = f"two samples: {permutations} relabellings"
    for n in sizes:
        rng = np.random.default_rng(3)
        a, b = rng.normal(size=(n, 5)), rng.normal(size=(n, 5))
        seconds = {
            method: median_seconds(partial(test, a, b, permutations=permutations, seed=1), runs)
            for method, test in TESTS.items()
        }
        for method, peer in (("hyppo MMD", MMD), ("hyppo Energy", Energy)):
            run = partial(peer().test, a, b, reps=permutations, workers=1, auto=False)
            seconds[method] = median_seconds(run, runs)
        for method, value in seconds.items():
            rows.add(task, method, n, "seconds", value, value)
        for ours, theirs in (
            ("lfi mmd_test", "hyppo MMD"),
            ("lfi median bandwidth", "hyppo MMD"),
            ("lfi energy_test", "hyppo Energy"),
        ):
            ratio = seconds[theirs] / seconds[ours]
            rows.add(task, ours, n, f"x {theirs.split()[1]}", ratio, seconds[ours])


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=["power", "level", "time"])
    parser.add_argument("--pairs", choices=PAIRS, nargs="+", default=list(PAIRS))
    parser.add_argument("--repetitions", type=int, default=400, help="of power; 1,000 of level")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200])
    parser.add_argument("--permutations", type=int, default=1_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = Rows()
    if arguments.only in (None, "power"):
        measure_power(rows, arguments.pairs, arguments.repetitions)
    if arguments.only in (None, "level"):
        measure_level(rows, 1_000)
    if arguments.only in (None, "time"):
        measure_time(rows, arguments.sizes, arguments.permutations, arguments.runs)


if __name__ == "__main__":
    main()
