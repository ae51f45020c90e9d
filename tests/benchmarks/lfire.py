"""LFIRE's own case, ARCH(1), beside an amortised ratio at a sixth of its simulations.

    python tests/benchmarks/lfire.py --methods LFIRE ratio --seeds 1

LFIRE as in the paper: a grid of 25 x 25 parameters, 500 simulations at each, 312,500 in all and 500
of the prior predictive; one L1-penalised logistic regression on 17 summaries for each. The ratio is
one network for all parameters, `lfi.fit_posterior` on 52,000 simulations, of the same summaries.
What those summaries do not tell, neither method can: "weighted" ones tell more.
Both give log r on the same grid, the exact posterior there is known, and the mean of 50 more
observations counts, not only the paper's at theta = (0.3, 0.7): the divergence of the exact
posterior from the estimated one, in nats, and the root mean square error of posterior means, in
exact sds, to which that of a uniform law in a cell is added: where the posterior is narrower than
one, the grid has no sd. Seconds are of processor time. Each figure is appended to results.csv.
"""

import argparse
import csv
import subprocess
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from brief import few_steps

import lfi
from lfi.inference import parameter_grid
from lfi.inference.abc.summaries import Summary
from simulators import arch1

HERE = Path(__file__).parent
POINTS, SIMULATIONS, SIXTH, OBSERVATIONS = 25, 500, 52_000, 50
CELL = torch.tensor([2.0, 1.0], dtype=torch.float64) / POINTS
# the middles of 25 equal cells of each prior range
GRID = parameter_grid(
    *(low + width * (torch.arange(POINTS) + 0.5) / POINTS for low, width in [(-1, 2), (0, 1)])
)


LogRatio = Callable[[torch.Tensor], torch.Tensor]  # observations to (m, 625)
# a third of the default's width and steps: 52,000 simulations of two parameters need no more
SMALL = lfi.NeuralRatio(
    settings=lfi.TrainSettings(steps=2_000, batch_size=512),
    width=64,
    layers=2,
    head_layers=None,
    noise_model=False,
)


def by_lfire(summary: Summary, seed: int, brief: bool) -> tuple[LogRatio, int]:
    """Return log r of the grid as a function of observations; and simulations."""
    posterior = lfi.fit_lfire(
        arch1,
        GRID,
        simulations=30 if brief else SIMULATIONS,
        summary=summary,
        penalties=2 if brief else 8,
        folds=3,
        seed=seed,
    )
    return posterior.log_ratio, posterior.simulations


def by_ratio(summary: Summary, seed: int, brief: bool) -> tuple[LogRatio, int]:
    """Return the same of one network."""
    simulator = lfi.Simulator(arch1.simulate, prior=arch1.prior, summary=summary)
    simulations = lfi.simulate(simulator, 200 if brief else SIXTH, seed=seed)
    method = few_steps() if brief else SMALL
    posterior = lfi.fit_posterior(simulations, method=method, seed=seed)
    return lambda x: torch.stack([posterior.log_ratio(GRID, s) for s in summary(x)]), len(
        simulations
    )


METHODS = {
    "LFIRE": partial(by_lfire, arch1.summaries),
    "ratio": partial(by_ratio, arch1.summaries),
    "LFIRE, weighted": partial(by_lfire, arch1.weighted_summaries),
    "ratio, weighted": partial(by_ratio, arch1.weighted_summaries),
}


def judge(log_ratio: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return divergences and squared errors of posterior means, one for each observation."""
    points = GRID.double()
    exact = torch.stack([arch1.log_likelihood(points, one.double()) for one in x]).log_softmax(1)
    found = log_ratio.double().log_softmax(1)
    divergence = (exact.exp() * (exact - found)).sum(1)
    mean = exact.exp() @ points
    variance = exact.exp() @ points.square() - mean.square() + CELL.square() / 12
    missed = (found.exp() @ points - mean).square() / variance
    return divergence, missed.mean(1)


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--brief", action="store_true", help="few simulations: does it run?")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    rng = torch.Generator().manual_seed(0)
    prior = lfi.simulation.as_prior(arch1.prior)
    theta = prior.sample(OBSERVATIONS, seed=np.random.default_rng(0))
    theta = torch.cat([torch.tensor([arch1.theta_true]), theta])
    x = arch1.simulate(theta, rng)
    for method in arguments.methods:
        for seed in arguments.seeds:
            begin = time.process_time()
            log_ratio, used = METHODS[method](seed, arguments.brief)
            seconds = time.process_time() - begin
            values = log_ratio(x)
            divergence, missed = judge(values, x)
            mean = values[0].double().softmax(0) @ GRID.double()
            results = {
                "nats, theta (0.3, 0.7)": float(divergence[0]),
                "mean theta1 at (0.3, 0.7)": float(mean[0]),
                "mean theta2 at (0.3, 0.7)": float(mean[1]),
                "nats, mean of 50": float(divergence[1:].mean()),
                "error of means in sds, 50": float(missed[1:].mean().sqrt()),
            }
            for name, value in results.items():
                print(f"{method:<18}{seed:>3}{used:>8}  {name:<28}{value:8.3f}{seconds:9.1f} s")
            with (HERE / "results.csv").open("a", newline="") as file:
                csv.writer(file).writerows(
                    (commit, date.today(), "arch1", method, used, seed, name)
                    + (f"{value:.4f}", f"{seconds:.1f}")
                    for name, value in results.items()
                )


if __name__ == "__main__":
    main()
