"""Which comparison for which posterior: losses by tasks, on the same simulations.

    python tests/benchmarks/posterior_losses.py                       # the table of the tutorial
    python tests/benchmarks/posterior_losses.py --tasks slcp --losses KL LSIF

Each loss trains the same critics (`NeuralRatio(head_layers=None)`) on 10,000 simulations, in
1,500 steps.
Two figures: the mean log posterior density of the parameters behind 500 other simulations, each
normalised by a sum over 8,192 prior draws; and C2ST against sbibm's reference draws of two
observations, 2,000 draws each (0.5 is perfect). Appends to results.csv; rows on record at this
commit are not measured again.
"""

import argparse
import csv
import importlib
import math
import subprocess
import time
import warnings
from datetime import date

import torch
from posterior_tasks import RESULTS, reference, rows_on_record

import lfi

TASKS = ("gaussian_linear", "two_moons", "slcp")
LOSSES = {
    "NREB": lfi.losses.NREB(),
    "NREC": lfi.losses.NREC(),
    "Bernoulli": lfi.losses.Bernoulli(),
    "Bernoulli, balanced": lfi.losses.Bernoulli(),
    "Brier": lfi.losses.Brier(),
    "Spherical": lfi.losses.Spherical(),
    "Exponential": lfi.losses.Exponential(),
    "KL": lfi.losses.KL(),
    "ReverseKL": lfi.losses.ReverseKL(),
    "LSIF": lfi.losses.LSIF(),
}
STEPS, BUDGET, HELD_OUT, CANDIDATES, DRAWS = 1_500, 10_000, 500, 8_192, 2_000


def log_density(posterior: object, simulations: lfi.Simulations, seed: int) -> float:
    """Return the mean log posterior density of the parameters behind simulations."""
    weighted = posterior.weighted(simulations.x.float(), CANDIDATES, seed=seed)
    theta, x = weighted.theta[:1].expand(len(simulations), -1), simulations.x
    first = posterior.log_ratio(theta, x).double()
    log_z = first - weighted.log_weights[:, 0] - math.log(CANDIDATES)
    ratio = posterior.log_ratio(simulations.theta, simulations.x).double()
    return float((simulations.prior.log_prob(simulations.theta).double() + ratio - log_z).mean())


def measure(task: str, name: str, seed: int, steps: int) -> dict[str, float]:
    """Return the figures of one loss on one task, and the seconds of the processor to fit."""
    module = importlib.import_module(f"simulators.{task}")
    penalties = (lfi.penalties.Balance(100.0),) if name.endswith("balanced") else ()
    method = lfi.NeuralRatio(
        settings=lfi.TrainSettings(steps=steps),
        loss=LOSSES[name],
        penalties=penalties,
        head_layers=None,
    )
    simulations = lfi.simulate(module, BUDGET, seed=seed, progress=False)
    before = time.process_time()
    posterior = method.fit(simulations, seed=seed, progress=False)
    seconds = time.process_time() - before
    others = lfi.simulate(module, HELD_OUT, seed=seed + 1, progress=False)
    figures = {"log posterior density": log_density(posterior, others, seed)}
    if task != "gaussian_linear":  # its classifier of ten dimensions takes minutes
        accuracies = []
        for observation in (1, 2):
            x_obs = module.observations[observation - 1]
            theta = posterior.sample(DRAWS, x_obs, seed=observation)
            exact = reference(task, observation)[:: len(reference(task, observation)) // DRAWS]
            accuracies.append(lfi.c2st(exact, theta.to(exact), seed=1).statistic)
        figures["C2ST"] = sum(accuracies) / len(accuracies)
    return {**figures, "seconds": seconds}


def main() -> None:
    """Measure what is asked for and print a row for each loss."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--losses", nargs="+", choices=list(LOSSES), default=list(LOSSES))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    done = {tuple(row[2:4]) for row in rows_on_record() if row[0] == commit}
    for task in arguments.tasks:
        for name in arguments.losses:
            if (f"losses {task}", name) in done:
                continue
            figures = measure(task, name, arguments.seed, arguments.steps)
            seconds = figures.pop("seconds")
            said = "".join(f"  {metric} {value:8.3f}" for metric, value in figures.items())
            print(f"{task:<18}{name:<22}{said}  {seconds:6.0f} s", flush=True)
            with RESULTS.open("a", newline="") as file:
                csv.writer(file).writerows(
                    [
                        commit,
                        date.today(),
                        f"losses {task}",
                        name,
                        BUDGET,
                        arguments.seed,
                        metric,
                        f"{value:.4f}",
                        f"{seconds:.1f}",
                    ]
                    for metric, value in figures.items()
                )


if __name__ == "__main__":
    main()
