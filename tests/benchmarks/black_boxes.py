"""Black boxes: what adversarial methods find through simulators that have no gradient.

    python tests/benchmarks/black_boxes.py PIECE                      # all its cases, one seed
    python tests/benchmarks/black_boxes.py PIECE CASE --seeds 1 2 3

A piece is a subcommand; its help says what its figures are. `--brief` is a run of seconds, of which
nothing is to be concluded. One thread. Each figure is appended to results.csv.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from noise import append  # noqa: E402

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


PIECES: dict[str, Piece] = {}


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
