"""Parallel lines: a generator that starts where the Jensen-Shannon divergence is flat.

    python tests/benchmarks/parallel_lines.py                    # 5 seeds, side by side
    python tests/benchmarks/parallel_lines.py --games "NS R1"

Data lie on the line x_1 = 0, which is 0.01 thick; the generator starts at x_1 = 1 with the right
shape (Fedus et al. 2018; `simulators/parallel_lines.py`). It is affine, x = A z + b, and moves with
plain Adam; the critic is a residual network of the library. Every game plays the same steps from
the same starts. Printed at the end, as medians over the seeds with the least and the largest: how
far the generator's line is from the data's (the distance of the means), the error of the
covariance (the Frobenius norm of the difference of its roots), and the step at which 0.1 of the
distance was first left, or a dash. Each figure is appended to results.csv.
"""

import argparse
import csv
import subprocess
import time
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn

import lfi
from lfi.generation.adversarial import duel
from lfi.networks import VectorCritic, side_by_side
from lfi.networks import members as members_of
from lfi.training import EachItsOwn, Shuffled, fit
from simulators import parallel_lines

HERE = Path(__file__).parent
ROWS, BATCH = 20_000, 128
GAMES = {
    "minimax": lfi.GAN(),
    "NS": lfi.NonSaturatingGAN(),
    "NS R1": lfi.NonSaturatingGAN(r1=1.0),
    "NS DRAGAN": lfi.DRAGANNS(),
    "NS GP": lfi.GANGP(),
    "minimax R1": lfi.Adversarial(lfi.Bernoulli(), lfi.Bernoulli(), lfi.R1(1.0)),
    "WGAN-GP": lfi.WGANGP(),
}


class Affine(nn.Module):
    """x = A z + b, which starts as the line at an offset."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.diag(torch.tensor([parallel_lines.thickness, 1.0])))
        self.shift = nn.Parameter(torch.tensor([parallel_lines.start, 0.0]))

    def forward(self, z: Tensor) -> Tensor:
        """Return samples."""
        return z @ self.matrix.T + self.shift


def root(covariance: Tensor) -> Tensor:
    """Return the root of a covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T


def errors(generator: Affine) -> tuple[float, float]:
    """Return the distance of the means, and the error of the root of the covariance."""
    matrix = generator.matrix.detach()
    exact = torch.diag(torch.tensor([parallel_lines.thickness, 1.0]))
    return float(generator.shift.detach().norm()), float((root(matrix @ matrix.T) - exact).norm())


def play(comparison: lfi.Adversarial, seeds: int, steps: int, seed: int) -> list[list[tuple]]:
    """Return for every seed (step, distance, covariance error) along the way."""
    torch.manual_seed(seed)
    generators = side_by_side([Affine() for _ in range(seeds)])
    critics = side_by_side([VectorCritic([(2,)], width=64) for _ in range(seeds)])
    rng = torch.Generator().manual_seed(seed)
    data = parallel_lines.sample(ROWS, rng)
    batches = EachItsOwn(*(Shuffled((data,), size=BATCH) for _ in range(seeds)))
    regime = lfi.Regime(steps=steps, generator_rate=1e-3, critic_rate=1e-3, average=None)

    def draw(rng: torch.Generator) -> Tensor:
        return generators(torch.randn(seeds * BATCH, 2, generator=rng))

    paths = [[(0, *errors(one))] for one in members_of(generators)]

    def watch(done: int, latest: dict[str, float]) -> None:
        if done % 25 == 0:
            for path, one in zip(paths, members_of(generators), strict=True):
                path.append((done, *errors(one)))

    players = duel(generators, critics, draw, comparison, regime=regime, members=seeds)
    fit(players, batches, steps=steps, schedule=regime.schedule, seed=seed, callbacks=[watch])
    return paths


def spread(values: list[float]) -> str:
    """Return median, least and largest."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:>9.3f} {f'({ordered[0]:.3f}-{ordered[-1]:.3f})':>16}"


def main() -> None:
    """Play, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--games", nargs="+", choices=list(GAMES), default=list(GAMES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--plot", type=Path, help="a file for the figure")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{'game':<12}{'distance':>26}{'covariance':>26}{'steps to 0.1':>26}{'s':>5}")
    curves = {}
    for name in arguments.games:
        begin = time.monotonic()
        paths = play(GAMES[name], arguments.seeds, arguments.steps, arguments.seed)
        seconds = time.monotonic() - begin
        curves[name] = paths
        reached = [
            next((step for step, far, _ in path if far < 0.1), float("nan")) for path in paths
        ]
        there = [step for step in reached if step == step]
        print(
            f"{name:<12}{spread([p[-1][1] for p in paths])}{spread([p[-1][2] for p in paths])}"
            f"{str(sorted(there)) if there else '-':>26}{seconds:>5.0f}",
            flush=True,
        )
        with (HERE / "results.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                [commit, date.today(), "parallel lines", name, ROWS, arguments.seed + i, metric]
                + [f"{value:.4f}", f"{seconds / arguments.seeds:.1f}"]
                for i, (path, step) in enumerate(zip(paths, reached, strict=True))
                for metric, value in (
                    ("distance", path[-1][1]),
                    ("covariance error", path[-1][2]),
                    ("steps to 0.1", step),
                )
            )
    if arguments.plot is not None:
        from matplotlib import pyplot as plt

        figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharex=True)
        for k, (name, paths) in enumerate(curves.items()):
            for i, path in enumerate(paths):
                for column, axis in enumerate(axes, start=1):
                    axis.plot(
                        [point[0] for point in path],
                        [point[column] for point in path],
                        color=f"C{k}",
                        label=name if i == 0 else None,
                    )
        axes[0].set(ylabel="distance of the means", xlabel="step")
        axes[1].set(ylabel="error of the covariance's root", xlabel="step")
        axes[0].legend()
        figure.savefig(arguments.plot)


if __name__ == "__main__":
    main()
