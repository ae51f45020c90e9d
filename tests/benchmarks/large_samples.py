"""Memory and time of discrepancies and a test of large samples, each in a process of its own.

    python tests/benchmarks/large_samples.py                       # all of it: about 20 minutes
    python tests/benchmarks/large_samples.py --only "random features" --points 1000000

Memory is the process's largest resident set while it compares, over what it was when the samples
had been made. Points are standard normal against normal with means 0.1, in 10 dimensions and
float32. On a busy machine the CPU's seconds say more than the clock's. Figures are appended to
results.csv; `simulations` is the size of either sample.
"""

import argparse
import csv
import multiprocessing
import resource
import subprocess
import time
from datetime import date
from functools import partial
from pathlib import Path

import torch

import lfi
from lfi.comparison import Biased, Block

HERE = Path(__file__).parent
DIMENSIONS, MEAN = 10, 0.1


def p_value(x: torch.Tensor, y: torch.Tensor, permutations: int) -> torch.Tensor:
    """Return the p-value of `mmd_test`."""
    return torch.tensor(lfi.mmd_test(x, y, permutations=permutations, seed=1).p_value)


PIECES = {  # what it is, how many points, whether the gradient of x is taken too
    "MMD": (lfi.discrepancies.MMD(), 100_000, False),
    "MMD and gradient": (lfi.discrepancies.MMD(), 20_000, True),
    "MMD, blocks": (lfi.discrepancies.MMD(estimator=Block()), 1_000_000, False),
    "random features": (lfi.discrepancies.RandomFeatureMMD(), 1_000_000, False),
    "random features and gradient": (lfi.discrepancies.RandomFeatureMMD(), 1_000_000, True),
    "energy": (lfi.discrepancies.Energy(Biased()), 100_000, False),
    "mmd_test, 100 relabellings": (partial(p_value, permutations=100), 20_000, False),
}


def compare(name: str, points: int, threads: int, results: "multiprocessing.Queue") -> None:
    """Put the value, MiB over the baseline, CPU and wall-clock seconds into the queue."""
    torch.set_num_threads(threads)
    discrepancy, _, gradient = PIECES[name]
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(points, DIMENSIONS, generator=rng)
    y = torch.randn(points, DIMENSIONS, generator=rng) + MEAN
    x.requires_grad_(gradient)
    few = discrepancy(x[:10], y[:10])  # whatever the first use loads is no part of the measure
    if gradient:
        few.backward()
        x.grad = None
    baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin, begin_cpu = time.monotonic(), time.process_time()
    with torch.set_grad_enabled(gradient):
        value = discrepancy(x, y)
        if gradient:
            value.backward()
    seconds, cpu = time.monotonic() - begin, time.process_time() - begin_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results.put((value.item(), (peak - baseline) / 1024, cpu, seconds))  # in KiB


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PIECES, default=list(PIECES))
    parser.add_argument("--points", type=int, help="of either sample, instead of each one's own")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    note = f", {arguments.threads} threads" * (arguments.threads > 1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    context = multiprocessing.get_context("spawn")
    print(f"{'discrepancy':<30}{'points':>11}{'value':>11}{'MiB':>8}{'CPU s':>9}{'seconds':>9}")
    for name in arguments.only:
        points = arguments.points or PIECES[name][1]
        results = context.Queue()
        process = context.Process(target=compare, args=(name, points, arguments.threads, results))
        process.start()
        value, mebibytes, cpu, seconds = results.get()
        process.join()
        print(
            f"{name:<30}{points:>11,}{value:>11.2e}{mebibytes:>8.0f}{cpu:>9.1f}{seconds:>9.1f}",
            flush=True,
        )
        figures = {"value": f"{value:.3e}", "MiB": f"{mebibytes:.0f}", "CPU seconds": f"{cpu:.1f}"}
        with (HERE / "results.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                [
                    commit,
                    date.today(),
                    "large samples",
                    f"lfi {name}{note}",
                    points,
                    1,
                    metric,
                    figure,
                    f"{seconds:.1f}",
                ]
                for metric, figure in figures.items()
            )


if __name__ == "__main__":
    main()
