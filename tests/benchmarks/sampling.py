"""How long 10,000 draws from a fitted ratio take, by every sampler, and what they are worth.

    python tests/benchmarks/sampling.py                                   # all, 5 minutes
    python tests/benchmarks/sampling.py --tasks slcp --samplers Automatic SMC

A ratio of width 128 and three residual blocks is fitted briefly to 5,000 simulations of each task:
what it has learnt hardly matters to what it costs. Seconds are of processor time on one thread, so
that they mean the same on a busy machine; embedding, weighing and moving are all in them. Each
figure is appended to results.csv.
"""

import argparse
import csv
import subprocess
import time
from datetime import date
from importlib import import_module
from pathlib import Path

import torch

import lfi

HERE = Path(__file__).parent
DRAWS = 10_000
TASKS = (
    "two_moons",
    "gaussian_mixture",
    "sir",
    "lotka_volterra",
    "slcp",
    "lynx_hare",
    "bernoulli_glm",
    "gaussian_linear",
    "gaussian_linear_uniform",
)
SAMPLERS = (
    lfi.samplers.Automatic(),
    lfi.samplers.Importance(),
    lfi.samplers.DifferentialEvolution(),
    lfi.samplers.HMC(),
    lfi.samplers.SMC(),
)
BY_NAME = {type(sampler).__name__: sampler for sampler in SAMPLERS}


def measure(name: str, sampler: str, steps: int, seed: int) -> dict[str, float]:
    """Return what 10,000 draws of one task's first observation cost and are worth."""
    task = import_module(f"simulators.{name}")
    simulations = lfi.simulate(task, 5_000, seed=seed, progress=False)
    method = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=steps), width=128, head_layers=3)
    posterior = lfi.fit_posterior(simulations, method=method, seed=seed, workers=1, progress=False)
    begin = time.process_time()
    draws = posterior.draw(DRAWS, task.x_obs, seed=seed, sampler=BY_NAME[sampler])
    figures = {
        "seconds": time.process_time() - begin,
        "ess": draws.ess,
        "unique": draws.unique,
        "log evidence": draws.log_evidence,
    }
    return {key: value for key, value in figures.items() if value is not None}


def main() -> None:
    """Measure, print and append."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--samplers", nargs="+", default=["Automatic"], choices=BY_NAME)
    parser.add_argument("--steps", type=int, default=150, help="of training")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True
    ).stdout.strip()
    for name in options.tasks:
        for sampler in options.samplers:
            figures = measure(name, sampler, options.steps, options.seed)
            print(name, sampler, {key: round(value, 2) for key, value in figures.items()})
            with (HERE / "results.csv").open("a", newline="") as file:
                for metric, value in figures.items():
                    row = [commit, date.today(), f"sampling {name}", sampler, 5_000, options.seed]
                    seconds = round(figures["seconds"], 2)
                    csv.writer(file, lineterminator="\n").writerow(
                        [*row, metric, f"{value:.4g}", seconds]
                    )


if __name__ == "__main__":
    main()
