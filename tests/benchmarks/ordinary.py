"""Ordinary problems: posteriors against draws of the exact ones, lfi beside sbi's NPE.

    python tests/benchmarks/ordinary.py yeast fuel                  # some, three observations each
    python tests/benchmarks/ordinary.py all --peer                  # beside sbi, hours of one core
    python tests/benchmarks/ordinary.py all --rounds                # anew for each observation

What people bring, in `simulators/`: growth, drugs and counts, heavy tails, label switching, series,
twelve parameters, edges of the prior, parameters of 1e6 and 1e-9, yes and no, trials of varying
number. Observation 1 is the real one where there is one, others are made from draws of the prior,
the same every time; on_off has three of its own, at edges. Of `--simulations`, all observations
share one fit; in rounds, each has as many. Exact draws are those of tests/support/exact_draws.py.

Printed for every observation and appended to results.csv: C2ST (sbibm's network; 0.5 is perfect),
the largest error of a mean in exact standard deviations, the smallest and largest ratio of a
standard deviation to the exact one, and seconds of the processor, of the fit and of 10,000 draws.
What stands there, of lfi at this commit or of sbi at any, is not repeated.
"""

import argparse
import importlib.util
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from importlib import import_module

import torch
from noise import append
from posterior_tasks import DRAWS, fit_lfi, fit_sbi, rows_on_record
from standing import Figures, cpu, drawn, head, posterior_in_rounds, simulations_of, told_apart
from support.exact_draws import exact_draws, observation
from threadpoolctl import threadpool_limits
from torch import Tensor

PROBLEMS = (
    "yeast",
    "theophylline",
    "earthquakes",
    "heavy_tails",
    "mixture_means",
    "lake_huron",
    "fuel",
    "on_off",
    "rc_circuit",
    "o_rings",
    "reaction_times",
)
PEER = "sbi NPE_C"
SECONDS = ("fit cpu seconds", "draw cpu seconds")
Fit = Callable[[Tensor, int], Tensor]


def fit(problem: str, method: str, simulations: int, seed: int) -> Fit:
    """Fit a method that is amortised, and return a function of observation and seed that draws."""
    data = simulations_of(problem, simulations, seed)
    fitted = fit_sbi if method == PEER else fit_lfi
    return fitted(problem, method.removeprefix("sbi "), data, seed).draw


def judge(exact: Tensor, theta: Tensor, judged: int) -> Figures:
    """Return C2ST of as many draws as are judged, and errors of means and spreads of all."""
    rows = torch.randperm(len(exact), generator=torch.Generator().manual_seed(1))[:judged]
    theta, exact = theta.double(), exact.double()
    spread = theta.std(0) / exact.std(0)
    return {
        f"C2ST of {judged}": told_apart(exact[rows], theta[:judged]),
        "mean error": float(((theta.mean(0) - exact.mean(0)) / exact.std(0)).abs().max()),
        "smallest spread": float(spread.min()),
        "largest spread": float(spread.max()),
    }


def measure(problem: str, method: str, numbers: Sequence[int], options: argparse.Namespace) -> None:
    """Fit, draw and judge observations by number, and append the figures of each."""
    module, n, seed = import_module(f"simulators.{problem}"), options.simulations, options.seed
    rounds, spent = "rounds" in method, 0.0
    if not rounds:
        draw, spent = cpu(partial(fit, problem, method, n, seed))
    for number in numbers:
        x, begin = observation(module, number), time.monotonic()
        if rounds:
            task = partial(posterior_in_rounds, problem, x, n, seed, options.brief)
            posterior, spent = cpu(task)
            draw = lambda x, seed, posterior=posterior: drawn(posterior, DRAWS, x, seed)
        theta, drawing = cpu(partial(draw, x, seed + number))
        seconds = time.monotonic() - begin
        exact = exact_draws(module, x, DRAWS).theta
        found = judge(exact, theta, options.c2st_draws)
        row = [options.commit, date.today(), f"ordinary {problem} {number}", method, n, seed]
        append(row, {**found, **dict(zip(SECONDS, (spent, drawing), strict=True))}, seconds)


def on_record(problem: str, method: str, number: int, options: argparse.Namespace) -> Figures:
    """Return the figures of an observation that results.csv has, of sbi at any commit."""
    same = [f"ordinary {problem} {number}", method, str(options.simulations), str(options.seed)]
    return {
        row[6]: float(row[7])
        for row in rows_on_record()
        if row[2:6] == same and (method == PEER or row[0] == options.commit)
    }


def figures(
    problem: str, method: str, numbers: Sequence[int], options: argparse.Namespace
) -> list[Figures]:
    """Return the figures of observations by number, measuring those that are not on record."""
    wanted = f"C2ST of {options.c2st_draws}"
    missing = [i for i in numbers if wanted not in on_record(problem, method, i, options)]
    if missing:
        measure(problem, method, missing, options)
    return [on_record(problem, method, number, options) for number in numbers]


def table(
    method: str, names: Sequence[str], numbers: Sequence[int], options: argparse.Namespace
) -> None:
    """Print the rows of a method, and what they come to."""
    kinds = [f"C2ST of {options.c2st_draws}", "mean error", "smallest spread", "largest spread"]
    everything = []
    print(f"{method:<20}{'C2ST':>8}{'mean':>8}{'spreads':>14}{'fit s':>9}{'draw s':>8}")
    for problem in names:
        rows = figures(problem, method, numbers, options)
        everything += rows
        for number, row in zip(numbers, rows, strict=True):
            c2st, mean, least, most = (row[kind] for kind in kinds)
            spent, drawing = (row[kind] for kind in SECONDS)
            print(
                f"{problem + ' ' + str(number):<20}{c2st:>8.3f}{mean:>8.2f}"
                f"{least:>7.2f}{most:>7.2f}{spent:>9.0f}{drawing:>8.1f}",
                flush=True,
            )
    c2st, mean, least, most = ([row[kind] for row in everything] for kind in kinds)
    print(
        f"{'mean C2ST, worst':<20}{statistics.mean(c2st):>8.3f}{max(mean):>8.2f}"
        f"{min(least):>7.2f}{max(most):>7.2f}\n"
    )


def main() -> None:
    """Run what is asked for and not on record, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("problems", nargs="+", choices=[*PROBLEMS, "all"])
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--observations", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", action="store_true", help="lfi.fit_rounds for each observation")
    parser.add_argument("--peer", action="store_true", help="sbi's NPE on the same simulations")
    parser.add_argument("--c2st-draws", type=int, default=DRAWS)
    parser.add_argument("--brief", action="store_true", help="a few steps: does it run?")
    options = parser.parse_args()
    if options.peer and importlib.util.find_spec("sbi") is None:
        raise SystemExit("--peer: sbi is not installed; it comes with the extra `bench`")
    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.simplefilter("ignore")
    options.commit = head()
    names = PROBLEMS if "all" in options.problems else options.problems
    method = "rounds" if options.rounds else "default"
    if options.brief:
        method = "brief rounds" if options.rounds else "brief"
    for each in [method, *([PEER] if options.peer else [])]:
        table(each, names, options.observations, options)


if __name__ == "__main__":
    main()
