"""Least-squares density difference: errors of the L2 distance, and the power of its test.

    python tests/benchmarks/density_difference.py --repetitions 400

Bias and deviation of `LSDD` beside the exact distance of N(0, I) and N(shift, I); then how often
`lsdd_test` rejects at level 0.05, beside the same test with width and ridge chosen by
cross-validation for every relabelling (Sugiyama et al. 2013), `mmd_test` and `energy_test`. Each
figure is appended to results.csv.
"""

import argparse
import csv
import math
import subprocess
import time
from datetime import date
from pathlib import Path

import torch

import lfi
from lfi.comparison.discrepancies.lsdd import RIDGES, WIDTHS, gaussian, spectrum
from lfi.comparison.two_sample.permutation import permutation_p_value, pool
from lfi.numerics.distances import median_distance

HERE = Path(__file__).parent
DISTANCES = ((1, 1.0), (1, 0.3), (2, 1.0), (5, 1.0))  # dimension, shift of every coordinate
SIZE, PERMUTATIONS, LEVEL = 100, 199, 0.05


def alike(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Two samples of one distribution."""
    return torch.randn(SIZE, 2, generator=rng), torch.randn(SIZE, 2, generator=rng)


def shift(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Another mean."""
    x, y = torch.randn(2, SIZE, 1, generator=rng)
    return x, y + 0.35


def scale(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Another spread."""
    x, y = torch.randn(2, SIZE, 2, generator=rng)
    return x, 1.35 * y


def five_dimensions(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Another mean, in five dimensions."""
    x, y = torch.randn(2, SIZE, 5, generator=rng)
    return x, y + 0.2


def bump(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """An eighth of the second sample in a narrow bump."""
    x, y, spread = torch.randn(3, SIZE, 1, generator=rng)
    inside = torch.rand(SIZE, 1, generator=rng) < 0.12
    return x, torch.where(inside, 1.5 + 0.05 * spread, y)


def two_modes(rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A third of the second sample in two modes, with the moments of the first."""
    x, y, spread = torch.randn(3, SIZE, 1, generator=rng)
    side = 2.0 * (torch.rand(SIZE, 1, generator=rng) < 0.5) - 1
    inside = torch.rand(SIZE, 1, generator=rng) < 0.35
    return x, torch.where(inside, 0.97 * side + 0.25 * spread, y)


CASES = (alike, shift, scale, five_dimensions, bump, two_modes)


def cross_validated(x: torch.Tensor, y: torch.Tensor, seed: int) -> float:
    """Return the p-value of the distance whose width and ridge cross-validation chooses."""
    pooled = pool(x, y, standardise=True, seed=seed)
    labels, rows, n, m = pooled.relabellings(PERMUTATIONS), pooled.rows, pooled.n, pooled.m
    centres = rows[pooled.rng.permutation(n + m)][:200]
    share = torch.full_like(centres[:, 0], 1 / len(centres))
    unit, ridges = median_distance(rows[:n], rows[n:]), torch.tensor(RIDGES)
    values, scores = [], []
    for factor in WIDTHS:
        e, vectors = spectrum(centres, share, factor * unit)
        z = gaussian(rows, centres, factor * unit) @ vectors
        inverse = 1 / (e[:, None] + ridges)
        sum_x = labels.T @ z
        mean_x, mean_y = sum_x / n, (z.sum(0) - sum_x) / m
        itself = z.square() @ inverse
        itself_x = labels.T @ itself
        itself_y = itself.sum(0) - itself_x
        within_x = (mean_x.square() @ inverse - itself_x / n**2) * n / (n - 1)
        within_y = (mean_y.square() @ inverse - itself_y / m**2) * m / (m - 1)
        held_out = within_x + within_y - 2 * (mean_x * mean_y) @ inverse
        square = (mean_x - mean_y).square()
        volume = (math.pi * (factor * unit) ** 2) ** (rows.shape[1] / 2)
        values.append(square @ ((e[:, None] + 2 * ridges) * inverse.square()) / volume)
        scores.append((square @ (e[:, None] * inverse.square()) - 2 * held_out) / volume)
    best = torch.cat(scores, 1).argmin(1, keepdim=True)
    chosen = torch.cat(values, 1).gather(1, best)[:, 0]
    return permutation_p_value(float(chosen[0]) * (1 - 1e-12), chosen[1:])


TESTS = {
    "lfi lsdd_test": lambda x, y, seed: (
        lfi.comparison.lsdd_test(x, y, permutations=PERMUTATIONS, seed=seed).p_value
    ),
    "cross-validated": cross_validated,
    "lfi mmd_test": lambda x, y, seed: (
        lfi.mmd_test(x, y, permutations=PERMUTATIONS, seed=seed).p_value
    ),
    "lfi energy_test": lambda x, y, seed: (
        lfi.energy_test(x, y, permutations=PERMUTATIONS, seed=seed).p_value
    ),
}


def main() -> None:
    """Measure, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repetitions", type=int, default=200, help="of each test")
    parser.add_argument("--draws", type=int, default=20, help="of each distance")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 500, 2000])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = []
    for n in arguments.sizes:
        for d, mu in DISTANCES:
            exact = 2 * (1 - math.exp(-d * mu**2 / 4)) / (4 * math.pi) ** (d / 2)
            begin = time.monotonic()
            rngs = [torch.Generator().manual_seed(i) for i in range(arguments.draws)]
            pairs = [torch.randn(2, n, d, generator=rng) for rng in rngs]
            values = torch.stack([lfi.discrepancies.LSDD()(x, y + mu) for x, y in pairs])
            seconds = (time.monotonic() - begin) / len(rngs)
            bias, deviation = float(values.mean() / exact - 1), float(values.std() / exact)
            print(f"{n:>5} points, {d} dimensions, shift {mu}: {bias:+.1%} +- {deviation:.1%}")
            task = f"L2 distance {d}d shift {mu}"
            rows.append((task, "lfi LSDD", n, "relative bias", bias, seconds))
            rows.append((task, "lfi LSDD", n, "relative deviation", deviation, seconds))
    for case in CASES:
        print(f"{case.__name__:<16}", end="", flush=True)
        for name, test in TESTS.items():
            begin = time.monotonic()
            rejected = 0
            for i in range(arguments.repetitions):
                x, y = case(torch.Generator().manual_seed(i))
                rejected += test(x, y, i) <= LEVEL
            seconds = (time.monotonic() - begin) / arguments.repetitions
            power = rejected / arguments.repetitions
            print(f"  {name} {power:.3f} ({1e3 * seconds:.0f} ms)", end="", flush=True)
            task = f"two-sample {case.__name__}"
            rows.append((task, name, SIZE, "power at 0.05", power, seconds))
        print()
    with (HERE / "results.csv").open("a", newline="") as file:
        csv.writer(file).writerows(
            (commit, date.today(), task, method, n, 0, metric, f"{value:.4f}", f"{seconds:.3f}")
            for task, method, n, metric, value, seconds in rows
        )


if __name__ == "__main__":
    main()
