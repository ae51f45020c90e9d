"""Black boxes: what critics and distances find through simulators without a likelihood.

    python tests/benchmarks/black_boxes.py PIECE                      # all its cases, one seed
    python tests/benchmarks/black_boxes.py PIECE CASE --seeds 1 2 3

A piece is a subcommand; its help says what its figures are. `--brief` is a run of seconds, of which
nothing is to be concluded. One thread. Each figure is appended to results.csv.
"""

import argparse
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import adversarial_posteriors
import black_box_search
import minimum_distance
import numpy as np
import torch
import variational_optimisation
from noise import append

import lfi
from simulators import experts

HERE = Path(__file__).parent

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Piece:
    """A part of the benchmark.

    Attributes:
        about: What its figures are, for `--help`.
        cases: Its cases.
        run: Called with a case, a seed and whether it is brief; returns the number of simulations,
            and figures by name.
    """

    about: str
    cases: Sequence[str]
    run: Callable[[str, int, bool], tuple[int, Figures]]


IMITATION = """Imitation of ten episodes of a scripted expert, of CartPole-v1 and Pendulum-v1.

return: the mean over 20 episodes of the fitted policy's most likely actions. share: where that lies
between a random policy (0) and the expert (1), all three in episodes that begin alike. cloning: the
same of behaviour cloning, of the same episodes. "from states" is imitation by a critic that sees
(state, next state), "two episodes" of two of the ten. seconds: the processor's, of the fit.
Simulations are steps.
"""
BUDGETS = {"CartPole": 60_000, "Pendulum": 160_000}


def imitate(case: str, seed: int, brief: bool) -> tuple[int, Figures]:
    """Return the figures of an environment."""
    task, _, how = case.partition(", ")
    name, budget = f"{task}-v1", 2_000 if brief else BUDGETS[task]
    seen = lfi.imitation.Trajectories(**experts.trajectories(name))
    seen = seen[:2] if how == "two episodes" else seen
    begin = time.process_time()
    policy = lfi.fit_imitation(
        name, seen, budget=budget, state_only=how == "from states", seed=seed, progress=False
    )
    seconds = time.process_time() - begin
    cloned = lfi.imitation.fit_cloning(name, seen, seed=seed, progress=False)
    space, rng = (0, 2) if task == "CartPole" else (-2.0, 2.0), np.random.default_rng(seed)

    def at_random(states: np.ndarray) -> np.ndarray:
        if task == "CartPole":
            return rng.integers(*space, size=len(states))
        return rng.uniform(*space, size=(len(states), 1))

    acts = {"return": policy.act, "cloning": cloned.act, "expert": experts.EXPERTS[name]}
    found = {
        label: lfi.imitation.record(name, act, 20, seed=1_000 + seed).returns.mean().item()
        for label, act in (acts | {"random": at_random}).items()
    }
    low, high = found["random"], found["expert"]
    shares = {label: (found[label] - low) / (high - low) for label in ("return", "cloning")}
    steps = policy.history.columns["steps of an episode"][-1][1]
    return budget, found | {
        "share": shares["return"],
        "cloning share": shares["cloning"],
        "last steps": steps,
        "seconds": seconds,
    }


PIECES: dict[str, Piece] = {
    "adversarial_posterior": Piece(
        adversarial_posteriors.__doc__, adversarial_posteriors.CASES, adversarial_posteriors.run
    ),
    "avo": Piece(
        variational_optimisation.__doc__,
        variational_optimisation.CASES,
        variational_optimisation.run,
    ),
    "imitation": Piece(
        IMITATION,
        [f"{task}{how}" for how in ("", ", two episodes", ", from states") for task in BUDGETS],
        imitate,
    ),
    "minimum_distance": Piece(
        minimum_distance.__doc__, minimum_distance.CASES, minimum_distance.minimum_distance
    ),
    "search": Piece(black_box_search.__doc__, black_box_search.CASES, black_box_search.run),
}


def main() -> None:
    """Run what is asked for, print and append the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="piece", required=True, metavar="PIECE")
    for name, piece in PIECES.items():
        command = commands.add_parser(
            name, help=piece.about.partition(".")[0], description=piece.about
        )
        command.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(piece.cases))
        command.add_argument("--seeds", type=int, nargs="+", default=[1])
        command.add_argument("--brief", action="store_true")
    arguments = parser.parse_args()
    piece = PIECES[arguments.piece]
    if unknown := set(arguments.cases) - set(piece.cases):
        parser.error(f"no case {', '.join(unknown)}, of {', '.join(piece.cases)}")
    torch.set_num_threads(1)
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    for case in arguments.cases or piece.cases:
        for seed in arguments.seeds:
            begin = time.monotonic()
            simulations, found = piece.run(case, seed, arguments.brief)
            seconds = time.monotonic() - begin
            cells = (f"{name} {value:.4g}" for name, value in found.items())
            print(f"{case:<22}{seed:>4}{seconds:>7.0f} s ", "; ".join(cells), flush=True)
            task = f"black boxes {case}"
            row = [commit, date.today(), task, f"lfi {arguments.piece}", simulations, seed]
            append(row, found, seconds)


if __name__ == "__main__":
    main()
