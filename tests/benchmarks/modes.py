"""Modes: which of the narrow modes of a ring and of a grid do generators cover, and how well?

    python tests/benchmarks/modes.py                          # all, on the ring, 5 seeds: an hour
    python tests/benchmarks/modes.py --only GAN R3GAN         # two of them
    python tests/benchmarks/modes.py grid --only default      # the default, on the grid
    python tests/benchmarks/modes.py --keep /tmp/modes        # goes on where it was interrupted

Every preset of `lfi.gans` at its own defaults, beside the default of `lfi.fit_generator`. The end
says of how many seeds each covers all modes.

The protocol is PacGAN's (Lin et al. 2018): a ring of 8 Gaussians of radius 1 and deviation 0.01, a
grid of 25 on {-4, -2, 0, 2, 4}^2 of deviation 0.05, and 2,500 samples of each generator. A sample
is of high quality within 3 deviations of the nearest mode (98.9% of the data are); a mode counts
with 60 such samples on the ring and 20 on the grid, a fifth of its share. Beside them: the reverse
KL divergence of the modes' shares from equal ones; the spread, which is the deviation of a mode's
high-quality samples over that of the data's (the median over modes, the least and the largest); and
how far away samples are from the nearest mode, the median in deviations (1.2 of the data). The best
published there: 7.9 of 8 modes and 24.8 of 25.

The seeds train side by side, each with 50,000 data of its task; seconds are those of the whole call
divided by the seeds. Each figure is appended to results.csv, steps in its label if they are given.
"""

import argparse
import csv
import math
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

import lfi
from lfi.training import Checkpoint
from simulators import grid, ring

HERE = Path(__file__).parent
TASKS = {"ring": (ring, 60), "grid": (grid, 20)}
DATA, SAMPLES = 50_000, 2_500
WITHIN = math.sqrt(1 - 4.5 * math.exp(-4.5) / (1 - math.exp(-4.5)))  # a Gaussian's, cut at 3 sd

PRESETS: dict[str, Callable] = {
    "default": lambda: None,
    "GAN": lfi.gans.GAN,
    "NonSaturatingGAN": lfi.gans.NonSaturatingGAN,
    "NonSaturatingGAN R1": lambda: lfi.gans.NonSaturatingGAN(r1=0.1),
    "LSGAN": lfi.gans.LSGAN,
    "fGAN KL": lambda: lfi.gans.fGAN(lfi.losses.KL()),
    "bGAN Pearson": lambda: lfi.gans.bGAN(lfi.losses.PearsonChiSquared()),
    "HingeGAN": lfi.gans.HingeGAN,
    "WGAN": lfi.gans.WGAN,
    "WGANGP": lfi.gans.WGANGP,
    "DRAGANNS": lfi.gans.DRAGANNS,
    "GANGP": lfi.gans.GANGP,
    "R3GAN": lfi.gans.R3GAN,
    "GMMN": lfi.gans.GMMN,
    "CramerGAN": lfi.gans.CramerGAN,
    "Energy": lfi.discrepancies.Energy,
    "SlicedWasserstein": lfi.discrepancies.SlicedWasserstein,
    "SinkhornGAN": lfi.gans.SinkhornGAN,
    "MMDGAN": lfi.gans.MMDGAN,
    "PacGAN": lfi.gans.PacGAN,
    "UnrolledGAN": lfi.gans.UnrolledGAN,
}


def figures(task: str, x: Tensor) -> dict[str, float]:
    """Return what is measured of a generator's samples."""
    simulator, least = TASKS[task]
    distance, mode = torch.cdist(x.double(), simulator.centres).min(dim=1)
    good = distance <= 3 * simulator.scale
    counts = torch.bincount(mode[good], minlength=simulator.modes)
    shares = counts / counts.sum().clamp_min(1)
    kl = torch.xlogy(shares, shares * simulator.modes).sum()
    spreads = torch.tensor(
        [
            (x[good & (mode == k)].std(0).square().mean().sqrt() / simulator.scale / WITHIN).item()
            for k in range(simulator.modes)
            if counts[k] > 1
        ]
        or [math.nan]
    )
    return {
        "modes": float((counts >= least).sum()),
        "distance": float(distance.median()) / simulator.scale,
        "high quality": float(good.double().mean()),
        "reverse KL": float(kl),
        "spread": float(spreads.median()),
        "least spread": float(spreads.min()),
        "largest spread": float(spreads.max()),
    }


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="*", help=f"of {', '.join(TASKS)}; the ring by default")
    parser.add_argument("--only", nargs="+", choices=list(PRESETS), default=list(PRESETS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, help="of training; by default, each preset's own")
    parser.add_argument("--keep", type=Path, help="a folder for checkpoints")
    parser.add_argument("--quiet", action="store_true", help="append nothing to results.csv")
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(TASKS):
        parser.error(f"there is no task {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(
        f"{'task':<6}{'comparison':<22}{'seed':>5}{'modes':>6}{'away':>7}{'HQ':>8}{'KL':>8}"
        f"{'spread':>8}{'from':>6}{'to':>6}{'s':>6}"
    )
    summary = []
    for task in arguments.tasks or ["ring"]:
        data = TASKS[task][0].sample(DATA, torch.Generator().manual_seed(arguments.seed))
        for name in arguments.only:
            rows, seconds = measure(task, name, data, arguments)
            modes = TASKS[task][0].modes
            full = sum(found["modes"] == modes for found in rows)
            quality = sorted(found["high quality"] for found in rows)[len(rows) // 2]
            summary.append(
                f"{task:<6}{name:<22}{full} of {len(rows)} seeds with {modes} of {modes} modes, "
                f"{quality:.1%} near one, {seconds:.0f} s a seed"
            )
            if not arguments.quiet:
                label = f"{name} at {arguments.steps} steps" if arguments.steps else name
                with (HERE / "results.csv").open("a", newline="") as file:
                    csv.writer(file).writerows(
                        [commit, date.today(), f"modes {task}", label, DATA, seed, metric]
                        + [f"{value:.4f}", f"{seconds:.1f}"]
                        for seed, found in enumerate(rows, start=arguments.seed)
                        for metric, value in found.items()
                    )
    print("\n" + "\n".join(summary))


def measure(
    task: str, name: str, data: Tensor, arguments: argparse.Namespace
) -> tuple[list[dict[str, float]], float]:
    """Fit generators of all seeds, print and return their figures, and the seconds of one."""
    checkpoint = None
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
        checkpoint = Checkpoint(arguments.keep / f"{task} {name}.lfi", every=100)
    begin = time.monotonic()
    generators = lfi.fit_generators(
        data,
        arguments.seeds,
        comparison=PRESETS[name](),
        settings=lfi.AdversarialSettings(steps=arguments.steps),
        checkpoint=checkpoint,
        seed=arguments.seed,
    )
    whole = generators[0].history.seconds if checkpoint else time.monotonic() - begin
    seconds, rows = whole / arguments.seeds, []
    for seed, generator in enumerate(generators, start=arguments.seed):
        found = figures(task, generator.sample(SAMPLES, seed=seed))
        rows.append(found)
        print(
            f"{task:<6}{name:<22}{seed:>5}{found['modes']:>6.0f}{found['distance']:>7.1f}"
            f"{found['high quality']:>8.1%}{found['reverse KL']:>8.3f}{found['spread']:>8.2f}"
            f"{found['least spread']:>6.2f}{found['largest spread']:>6.2f}{seconds:>6.0f}",
            flush=True,
        )
    return rows, seconds


if __name__ == "__main__":
    main()
