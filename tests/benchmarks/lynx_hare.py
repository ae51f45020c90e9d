"""The posterior of the lynx and hare data against 10,000 draws of the exact one.

    python tests/benchmarks/lynx_hare.py                       # two rounds, 90,000 simulations
    python tests/benchmarks/lynx_hare.py --budget 10000 30000 --seeds 1 2

`lfi.fit_rounds` with a surrogate likelihood; eight parameters, 21 years of two populations. The
reference draws are of a long MCMC run of the exact posterior and agree with the published Stan fit.
Printed and appended to results.csv: C2ST (sbibm's classifier, 10,000 draws unless told), the
largest error of a marginal mean in reference standard deviations, of a standard deviation as a
share of the reference's, simulations, and seconds to simulate, fit and draw.
"""

import argparse
import csv
import subprocess
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from brief import few_steps

import lfi
from simulators import lynx_hare

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "reference" / "lynx_hare.npz"
DRAWS = 10_000


def main() -> None:
    """Fit, draw and compare."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--budget", type=int, nargs="+", default=[10_000, 80_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--c2st-draws", type=int, default=DRAWS)
    parser.add_argument("--brief", action="store_true", help="a few steps: does it run?")
    arguments = parser.parse_args()
    with np.load(REFERENCE) as file:
        exact = torch.from_numpy(file["samples"]).double()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    method = few_steps() if arguments.brief else lfi.SurrogateLikelihood()
    for seed in arguments.seeds:
        begin = time.monotonic()
        posterior = lfi.fit_rounds(
            lynx_hare,
            lynx_hare.x_obs,
            budget=arguments.budget,
            method=method,
            preliminary=method,
            seed=seed,
            progress=False,
        )
        theta = posterior.sample(DRAWS, lynx_hare.x_obs, seed=seed).double()
        seconds = time.monotonic() - begin
        rows = slice(arguments.c2st_draws)
        found = {
            f"C2ST of {arguments.c2st_draws}": lfi.c2st(exact[rows], theta[rows], seed=1).statistic,
            "mean error": float(((theta.mean(0) - exact.mean(0)) / exact.std(0)).abs().max()),
            "sd error": float((theta.std(0) / exact.std(0) - 1).abs().max()),
        }
        print(f"{sum(arguments.budget):>8} simulations  seed {seed}  {seconds:.0f} s", end="")
        print("".join(f"   {name} {value:.3f}" for name, value in found.items()), flush=True)
        head = [commit, date.today(), "lynx_hare", "lfi SurrogateLikelihood"]
        with (HERE / "results.csv").open("a", newline="") as file:
            for name, value in found.items():
                row = [*head, sum(arguments.budget), seed, name, f"{value:.4f}", f"{seconds:.1f}"]
                csv.writer(file).writerow(row)


if __name__ == "__main__":
    main()
