"""Whether fitted posteriors are calibrated, and balanced ratios cover at least nominally.

    python tests/benchmarks/calibrated_ratios.py                              # all, 15 minutes
    python tests/benchmarks/calibrated_ratios.py --part uniform --tasks slcp --seeds 1 2
    python tests/benchmarks/calibrated_ratios.py --part uniform --method flow likelihood default
    python tests/benchmarks/calibrated_ratios.py --part balanced

uniform: a method, `lfi.NeuralRatio()` unless named, on 10,000 simulations, judged by `lfi.check` on
500 others. Ranks are uniform at the 1% level after correction where the least p-value of D
parameters is at least 0.01 / D. Printed is D times that least one, and the other tests' p-values.

balanced: `NeuralRatio(loss=Bernoulli(), penalties=(Balance(100.0),))` on 1,000 simulations
(Delaunoy et al. 2022), beside the same without penalty, on the same 500 others. Printed are the
mean over levels of coverage less level (positive: regions are too large) and the p-value of a
one-sided Kolmogorov-Smirnov test of regions that hold the truth too rarely: nominal or more where
it is at least 0.01.

Simulations and fits take seed, held-out simulations 1,000 + seed. Each figure is appended to
results.csv.
"""

import argparse
import csv
import importlib
import subprocess
import time
from datetime import date
from pathlib import Path

import scipy.stats
import torch
from brief import few_steps

import lfi

HERE = Path(__file__).parent
CANDIDATES = {  # enough for `checks.enough`: posteriors of slcp fill a small part of the prior
    "two_moons": 2**12,
    "slcp": 2**14,
    "gaussian_linear": 2**12,
    "gaussian_mixture": 2**12,
    "gaussian_linear_uniform": 2**16,
    "sir": 2**14,
}
HELD_OUT = 500
PARTS = ("uniform", "balanced")
METHODS = {
    "ratio": lfi.NeuralRatio(),
    "flow": lfi.PosteriorFlow(),
    "likelihood": lfi.SurrogateLikelihood(),
    "default": lfi.Pool(),
    "brief": few_steps(),
}


def record(task: str, method: str, n: int, seed: int, found: dict[str, float], s: float) -> None:
    """Print figures and append them to results.csv."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"{task:<18}{method:<22}{n:>7}{seed:>5}{s:>7.0f} s", end="")
    print("".join(f"   {metric} {value:.3g}" for metric, value in found.items()), flush=True)
    with (HERE / "results.csv").open("a", newline="") as file:
        for metric, value in found.items():
            csv.writer(file).writerow(
                [commit, date.today(), task, method, n, seed, metric, f"{value:.4g}", f"{s:.1f}"]
            )


def judged(
    task: str, method: object, n: int, seed: int, candidates: int, others: int
) -> tuple[object, float, float]:
    """Fit on n simulations and return the checks on others, and the seconds of fit and checks."""
    simulator = importlib.import_module(f"simulators.{task}")
    simulations = lfi.simulate(simulator, n, seed=seed)
    held_out = lfi.simulate(simulator, others, seed=1000 + seed)
    begin = time.monotonic()
    posterior = lfi.fit_posterior(simulations, method=method, seed=seed, workers=1, progress=False)
    fitted = time.monotonic()
    checks = lfi.check(posterior, held_out, importance_samples=candidates, seed=seed)
    return checks, fitted - begin, time.monotonic() - fitted


def uniform(task: str, seed: int, name: str, n: int, others: int) -> None:
    """Judge a method's posterior."""
    checks, seconds, judging = judged(task, METHODS[name], n, seed, CANDIDATES[task], others)
    names = checks.names
    found = {"ranks: least p, corrected": len(names) * min(checks.p_values[n] for n in names)}
    found |= {f"{test}: p": p for test, p in checks.p_values.items() if test not in names}
    found |= {"tests failed at 0.01": len(checks.failed), "effective candidates": checks.ess}
    found |= {f"seconds to check {others}": judging}
    record(task, f"lfi {type(METHODS[name]).__name__}", n, seed, found, seconds)


def balanced(task: str, seed: int) -> None:
    """Judge a balanced ratio beside a plain one."""
    for name, penalties in (("Balance(100)", (lfi.penalties.Balance(100.0),)), ("plain", ())):
        method = lfi.NeuralRatio(loss=lfi.losses.Bernoulli(), penalties=penalties)
        # wide posteriors
        checks, seconds, judging = judged(task, method, 1_000, seed, 2**12, HELD_OUT)
        rarely = scipy.stats.kstest(checks.credibility.numpy(), "uniform", alternative="less")
        found = {
            "coverage less level": float((checks.coverage - checks.levels).mean()),
            "coverage too low: p": float(rarely.pvalue),
            "effective candidates": checks.ess,
        }
        record(task, f"lfi Bernoulli {name}", 1_000, seed, found, seconds)


def main() -> None:
    """Run what is asked for."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    three = ["two_moons", "slcp", "gaussian_linear"]
    parser.add_argument("--tasks", nargs="+", choices=CANDIDATES, default=three)
    parser.add_argument("--method", nargs="+", choices=METHODS, default=["ratio"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--budget", type=int, default=10_000, help="simulations of `uniform`")
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="those of `uniform`")
    arguments = parser.parse_args()
    for part in arguments.part:
        for task in arguments.tasks:
            for seed in arguments.seeds:
                if part == "balanced":
                    balanced(task, seed)
                    continue
                for name in arguments.method:
                    uniform(task, seed, name, arguments.budget, arguments.held_out)


if __name__ == "__main__":
    main()
