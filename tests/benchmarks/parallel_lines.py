"""Parallel lines: a generator that starts where the Jensen-Shannon divergence is flat.

    python tests/benchmarks/parallel_lines.py                    # 5 seeds, both steps, 8 minutes
    python tests/benchmarks/parallel_lines.py --games "NS R1" --moves adam --plot lines.png

Data lie on the line x_1 = 0, which is 0.01 thick; the generator starts at x_1 = 1 with the right
shape (Fedus et al. 2018; `simulators/parallel_lines.py`). It is affine, x = A z + b; the critic is
a residual network of the library, and moves by itself 200 times before the game begins, so that it
knows the lines apart, as the theory of flat divergences has it. Every game plays the same steps
from the same starts, one move of each player a step.

Penalties have small weights: those of images, 10, hold the critic's slope near one, and with it the
steps of whoever follows it. They stand beside.

The generator moves in two ways. A plain gradient step is as long as the gradient, which is what
vanishes. Adam, which trains generators in practice, divides by the gradient's size, and so sees a
small gradient as long as it is above its epsilon of 1e-8.

Printed at the end, as medians over the seeds with the least and the largest: how far the
generator's line is from the data's (the distance of the means), the error of the covariance (the
Frobenius norm of the difference of its roots), the mean pull of the generator's loss when the game
begins, |dG/dh|, and the steps at which the distance is first below 0.1 and from which on it stays
there, of the seeds that get so far. Each figure is appended to results.csv.
"""

import argparse
import csv
import math
import subprocess
import time
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

import lfi
from lfi.comparison import GeneratorLoss
from lfi.generation.objectives import adversarial_players
from lfi.generation.settings import DEFAULTS
from lfi.networks import VectorCritic, stack_modules, unstack_modules
from lfi.training import Shuffled, StackedBatches, fit
from simulators import parallel_lines

HERE = Path(__file__).parent
MOVES = ("plain", "adam")
ROWS, BATCH = 20_000, 128
RATE, AHEAD = 3e-3, 200  # the generator's rate, and the critic's moves before the game
ONE_SIDED = lfi.penalties.GradientPenalty(10.0, one_sided=True)
GAMES = {
    "minimax": lfi.gans.GAN(),
    "NS": lfi.gans.NonSaturatingGAN(),
    "NS R1": lfi.gans.NonSaturatingGAN(r1=1.0),
    "NS DRAGAN": lfi.gans.DRAGANNS(),
    "NS GP": lfi.gans.GANGP(0.01),
    "NS GP one-sided": lfi.Adversarial(
        lfi.losses.Bernoulli(), lfi.losses.NonSaturating(), ONE_SIDED
    ),
    "NS GP 10": lfi.gans.GANGP(10.0),
    "NS DRAGAN 10": lfi.gans.DRAGANNS(10.0),
    "minimax R1": lfi.Adversarial(
        lfi.losses.Bernoulli(), lfi.losses.Bernoulli(), lfi.penalties.R1(1.0)
    ),
    "WGAN-GP": lfi.gans.WGANGP(10.0),
    "WGAN-GP one-sided": lfi.Adversarial(
        lfi.losses.Wasserstein(), lfi.losses.Wasserstein(), ONE_SIDED
    ),
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


@dataclass(frozen=True)
class Game:
    """How one seed's game went.

    Attributes:
        path: Step, distance and covariance error along the way.
        pull: The mean of |dG/dh| when the game begins.
    """

    path: tuple[tuple[int, float, float], ...]
    pull: float

    @property
    def first(self) -> float:
        """The first step at which the distance is below 0.1, nan if there is none."""
        return next((step for step, distance, _ in self.path if distance < 0.1), math.nan)

    @property
    def there(self) -> float:
        """The step from which on the distance stays below 0.1, nan if it does not."""
        away = [k for k, (_, distance, _) in enumerate(self.path) if distance >= 0.1]
        after = self.path[away[-1] + 1 :] if away else self.path
        return after[0][0] if after else math.nan


def root(covariance: Tensor) -> Tensor:
    """Return the root of a covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T


def errors(generator: Affine) -> tuple[float, float]:
    """Return the distance of the means, and the error of the root of the covariance."""
    matrix = generator.matrix.detach()
    exact = torch.diag(torch.tensor([parallel_lines.thickness, 1.0]))
    return float(generator.shift.detach().norm()), float((root(matrix @ matrix.T) - exact).norm())


def play(comparison: lfi.Adversarial, moves: str, seeds: int, steps: int, seed: int) -> list[Game]:
    """Return for every seed how the game went."""
    torch.manual_seed(seed)
    generators = stack_modules([Affine() for _ in range(seeds)])
    critics = stack_modules([VectorCritic([(2,)], width=64) for _ in range(seeds)])
    rng = torch.Generator().manual_seed(seed)
    data = parallel_lines.sample(ROWS, rng)
    batches = StackedBatches(*(Shuffled((data,), size=BATCH) for _ in range(seeds)))
    settings = DEFAULTS.updated(
        lfi.AdversarialSettings(
            steps=steps, critic_steps=1, learning_rate=RATE, critic_learning_rate=1e-3, average=0
        )
    )

    def draw(rng: torch.Generator) -> Tensor:
        return generators(torch.randn(seeds * BATCH, 2, generator=rng))

    critic, generator = adversarial_players(
        generators, critics, draw, comparison, settings, members=seeds
    )
    fit([critic], batches, steps=AHEAD, seed=seed)
    with torch.no_grad():
        h_q = critics(draw(rng)).chunk(seeds)
    pulls = [pull(comparison.generator_loss, h) for h in h_q]
    paths = [[(0, *errors(one))] for one in unstack_modules(generators)]

    def watch(done: int, latest: dict[str, float]) -> None:
        if done % 25 == 0:
            for path, one in zip(paths, unstack_modules(generators), strict=True):
                path.append((done, *errors(one)))

    if moves == "plain":
        # the players' objective is a mean over members, each of which moves by its own gradient
        plain = partial(torch.optim.SGD, lr=RATE * seeds)
        generator = replace(generator, optimiser=plain)
    players = critic, generator
    fit(players, batches, steps=steps, schedule=settings.schedule, seed=seed, callbacks=[watch])
    return [Game(tuple(path), first) for path, first in zip(paths, pulls, strict=True)]


def pull(loss: GeneratorLoss, h_q: Tensor) -> float:
    """Return the mean of |dG/dh| at samples."""
    h_q = h_q.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss.generator(h_q.detach(), h_q), h_q)
    return float(slope.abs().sum())


def spread(values: list[float]) -> str:
    """Return median, least and largest."""
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:>9.3f} {f'({ordered[0]:.3f}-{ordered[-1]:.3f})':>16}"


def main() -> None:
    """Play, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--games", nargs="+", choices=list(GAMES), default=list(GAMES))
    parser.add_argument("--moves", nargs="+", choices=MOVES, default=list(MOVES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--plot", type=Path, help="a file for the figure")
    parser.add_argument("--quiet", action="store_true", help="append nothing to results.csv")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(
        f"{'moves':<7}{'game':<18}{'pull':>9}{'distance':>26}{'covariance':>26}{'s':>5}"
        f"  {'steps to 0.1':<24}  for good"
    )
    curves = {}
    for moves, name in product(arguments.moves, arguments.games):
        begin = time.process_time()
        games = play(GAMES[name], moves, arguments.seeds, arguments.steps, arguments.seed)
        seconds = time.process_time() - begin
        curves[moves, name] = games
        ends = [game.path[-1] for game in games]
        first, there = (
            " ".join(str(int(step)) for step in sorted(steps) if math.isfinite(step)) or "-"
            for steps in ([game.first for game in games], [game.there for game in games])
        )
        print(
            f"{moves:<7}{name:<18}{sorted(game.pull for game in games)[len(games) // 2]:>9.1e}"
            f"{spread([end[1] for end in ends])}{spread([end[2] for end in ends])}{seconds:>5.0f}"
            f"  {first:<24}  {there}",
            flush=True,
        )
        if arguments.quiet:
            continue
        with (HERE / "results.csv").open("a", newline="") as file:
            csv.writer(file).writerows(
                [commit, date.today(), f"parallel lines {moves}", name, ROWS, arguments.seed + i]
                + [metric, f"{value:.4g}", f"{seconds / arguments.seeds:.1f}"]
                for i, game in enumerate(games)
                for metric, value in (
                    ("pull", game.pull),
                    ("distance", game.path[-1][1]),
                    ("covariance error", game.path[-1][2]),
                    ("steps to 0.1", game.first),
                    ("steps to 0.1 for good", game.there),
                )
            )
    if arguments.plot is not None:
        draw_figure(curves, arguments.plot)


def draw_figure(curves: dict[tuple[str, str], list[Game]], place: Path) -> None:
    """Draw distances and covariance errors against steps, a row for each kind of move."""
    from matplotlib import pyplot as plt

    kinds = list(dict.fromkeys(moves for moves, _ in curves))
    figure, axes = plt.subplots(len(kinds), 2, figsize=(10, 4 * len(kinds)), squeeze=False)
    for (moves, name), games in curves.items():
        row, colour = axes[kinds.index(moves)], f"C{list(GAMES).index(name)}"
        for i, game in enumerate(games):
            steps, *errors = zip(*game.path, strict=True)
            for axis, values in zip(row, errors, strict=True):
                axis.plot(steps, values, color=colour, lw=1, label=None if i else name)
    for kind, (left, right) in zip(kinds, axes, strict=True):
        left.set(ylabel=f"distance of the means ({kind})", xlabel="step", yscale="log")
        right.set(ylabel="error of the covariance's root", xlabel="step", yscale="log")
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(place)


if __name__ == "__main__":
    main()
