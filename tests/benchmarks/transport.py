"""Optimal transport beside POT: the same problems, agreement and seconds in one run.

    python tests/benchmarks/transport.py --sizes 500 2000

Samples of N(0, I) and of a wider, shifted normal distribution. On a line and sliced: the same
directions for both. Sinkhorn: the plan's cost <P, C> at the same epsilon, a twentieth and a
hundredth of the scale, against POT's `sinkhorn` (matrix scaling) and `sinkhorn_log` at the same
tolerance, and the debiased divergence against the exact cost (`emd2`) and the closed form. Each
value and its seconds, the best of three, are appended to results.csv.
"""

import argparse
import csv
import subprocess
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import ot
import torch

import lfi

HERE = Path(__file__).parent
DIM, SHIFT, STRETCH, TOLERANCE = 3, 0.5, 1.5, 1e-6
EXACT = DIM * (SHIFT**2 + (STRETCH - 1) ** 2)  # W_2^2 of the two distributions


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return a number and the seconds it took, the best of three."""
    seconds = []
    for _ in range(3):
        begin = time.perf_counter()
        value = float(function())
        seconds.append(time.perf_counter() - begin)
        if seconds[-1] > 20:
            break
    return value, min(seconds)


def compare(n: int) -> list[tuple[str, str, float, float]]:
    """Return tasks, methods, values and seconds for n against n points."""
    rng = torch.Generator().manual_seed(n)
    x = torch.randn(n, DIM, generator=rng)
    y = STRETCH * torch.randn(n, DIM, generator=rng) + SHIFT
    fewer = y[: 4 * n // 5]
    arrays = x.numpy(), y.numpy(), fewer.numpy()
    rows = []

    def add(task: str, ours: Callable[[], object], theirs: dict[str, Callable[[], object]]) -> None:
        for method, function in {"lfi": ours, **theirs}.items():
            value, seconds = timed(function)
            rows.append((task, method, value, seconds))
            print(f"{n:>6}  {task:<32}{method:<18}{value:>12.6f}{1e3 * seconds:>12.2f} ms")

    add(
        "transport on a line",
        lambda: lfi.discrepancies.Wasserstein1D(2.0)(x[:, :1], fewer[:, :1]),
        {"POT": lambda: ot.wasserstein_1d(arrays[0][:, 0], arrays[2][:, 0], p=2)},
    )
    for name, other, array in (("equal", y, arrays[1]), ("unequal", fewer, arrays[2])):
        sliced = lfi.discrepancies.SlicedWasserstein(projections=100)
        directions = sliced.directions(DIM).numpy()
        add(
            f"sliced transport, {name} sizes",
            lambda other=other, sliced=sliced: sliced(x, other),
            {
                "POT": lambda array=array, directions=directions: (
                    ot.sliced_wasserstein_distance(arrays[0], array, projections=directions) ** 2
                )
            },
        )
    a, cost = np.full(n, 1 / n), ot.dist(arrays[0], arrays[1])
    for relative in (0.05, 0.01):
        ours = lfi.discrepancies.Sinkhorn(relative=relative, tolerance=TOLERANCE, steps=5000)
        epsilon = float(ours._epsilon(x, y, torch.from_numpy(a), torch.from_numpy(a)))
        scaled = {"numItermax": 100_000, "stopThr": TOLERANCE}
        add(
            f"plan's cost, relative {relative}",
            lambda ours=ours: (ours.plan(x, y) * torch.from_numpy(cost)).sum(),
            {
                f"POT {method}": lambda method=method, epsilon=epsilon, scaled=scaled: ot.sinkhorn2(
                    a, a, cost, epsilon, method=method, **scaled
                )
                for method in ("sinkhorn", "sinkhorn_log")
            },
        )
        add(f"divergence, relative {relative}", lambda ours=ours: ours(x, y), {})
    if n <= 2000:
        emd = {"POT emd2": lambda: ot.emd2(a, a, cost, numItermax=10**7)}
        add(
            "exact transport",
            lambda: lfi.discrepancies.Sinkhorn(relative=0.002, steps=5000)(x, y),
            emd,
        )
    print(f"{n:>6}  {'of the distributions':<32}{'closed form':<18}{EXACT:>12.6f}")
    return rows


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[500, 2000])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for n in arguments.sizes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # POT warns of what has not converged: it shows
            rows = compare(n)
        with (HERE / "results.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                (commit, date.today(), task, method, n, 0, "value", f"{value:.6f}", f"{took:.5f}")
                for task, method, value, took in rows
            )


if __name__ == "__main__":
    main()
