"""The influenza posterior against its exact reference, beside sbi on the same simulator.

    python tests/benchmarks/influenza.py --seeds 1 2 3              # lfi, as `lfi run` fits it
    python tests/benchmarks/influenza.py --seeds 1 --peer sbi       # and sbi's NRE-C and NPE

lfi spends its budget in truncated rounds. sbi has as many simulations as lfi's first round
(`--peer-simulations`), in one round from the prior and with its defaults: the whole budget would
take it hours. Each figure is appended to results.csv.
"""

import argparse
import csv
import subprocess
import time
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import torch
from brief import few_steps

import lfi
from simulators import influenza

HERE = Path(__file__).parent
REFERENCE = torch.from_numpy(np.load(HERE.parent / "reference" / "influenza.npz")["samples"])
TASK, DRAWS = "influenza", 10_000


def fit_lfi(budget: int, seed: int, brief: bool) -> tuple[torch.Tensor, float, float]:
    """Return draws, and the seconds to simulate and fit and to draw."""
    begin = time.monotonic()
    chosen = {"method": few_steps(), "preliminary": few_steps()} if brief else {}
    posterior = lfi.fit_rounds(influenza, influenza.x_obs, budget=budget, seed=seed, **chosen)
    fitted = time.monotonic()
    theta = posterior.sample(DRAWS, influenza.x_obs, seed=seed)
    return theta, fitted - begin, time.monotonic() - fitted


def fit_sbi(trainer: str, simulations: int, seed: int) -> tuple[torch.Tensor, float, float]:
    """Return the same of one of sbi's methods, by name."""
    import sbi.inference
    from sbi.utils import process_prior

    class Priors(torch.distributions.Distribution):
        """Our prior, as sbi takes it."""

        def __init__(self) -> None:
            super().__init__(event_shape=torch.Size([3]), validate_args=False)
            self.prior = lfi.simulation.as_prior(influenza.prior)
            self.rng = np.random.default_rng(seed)

        support = torch.distributions.constraints.independent(
            torch.distributions.constraints.positive, 1
        )

        def sample(self, shape: tuple[int, ...] = ()) -> torch.Tensor:
            """Draw from our prior."""
            return self.prior.sample(int(np.prod(shape)), seed=self.rng).reshape(*shape, 3)

        def log_prob(self, theta: torch.Tensor) -> torch.Tensor:
            """Return our log density."""
            return self.prior.log_prob(theta)

    torch.manual_seed(seed)
    begin = time.monotonic()
    data = lfi.simulate(influenza, simulations, seed=seed)
    prior, _, _ = process_prior(Priors())
    inference = getattr(sbi.inference, trainer)(prior=prior, show_progress_bars=False)
    inference.append_simulations(data.theta, data.x)
    inference.train()
    posterior = inference.build_posterior()
    fitted = time.monotonic()
    theta = posterior.sample((DRAWS,), x=influenza.x_obs, show_progress_bars=False)
    return theta, fitted - begin, time.monotonic() - fitted


def judge(theta: torch.Tensor) -> dict[str, float]:
    """Return C2ST and the largest errors of marginal mean and spread, in the reference's sd."""
    mean = (theta.mean(0) - REFERENCE.mean(0)) / REFERENCE.std(0)
    return {
        "c2st": lfi.c2st(REFERENCE, theta, seed=1).statistic,
        "mean error": float(mean.abs().max()),
        "sd error": float((theta.std(0) / REFERENCE.std(0) - 1).abs().max()),
    }


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--budget", type=int, default=360_000)
    parser.add_argument("--peer", choices=["sbi"])
    parser.add_argument("--peer-simulations", type=int, default=30_000)
    parser.add_argument("--brief", action="store_true", help="a few steps: does it run?")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    runs = [("lfi", arguments.budget, partial(fit_lfi, brief=arguments.brief))]
    if arguments.peer:
        runs += [
            (
                f"sbi {name}",
                arguments.peer_simulations,
                lambda n, seed, name=name: fit_sbi(name, n, seed),
            )
            for name in ("NRE_C", "NPE_C")
        ]
    print(
        f"{'method':<12}{'simulations':>12}{'seed':>5}{'C2ST':>7}{'mean':>7}{'sd':>7}"
        f"{'fit s':>8}{'draw s':>8}"
    )
    for seed in arguments.seeds:
        for method, simulations, fit in runs:
            theta, fit_seconds, draw_seconds = fit(simulations, seed)
            figures = judge(theta)
            print(
                f"{method:<12}{simulations:>12,}{seed:>5}{figures['c2st']:>7.3f}"
                f"{figures['mean error']:>7.2f}{figures['sd error']:>7.2f}"
                f"{fit_seconds:>8.1f}{draw_seconds:>8.1f}",
                flush=True,
            )
            with (HERE / "results.csv").open("a", newline="") as file:
                csv.writer(file).writerows(
                    [
                        commit,
                        date.today(),
                        TASK,
                        method,
                        simulations,
                        seed,
                        metric,
                        f"{value:.4f}",
                        f"{fit_seconds + draw_seconds:.1f}",
                    ]
                    for metric, value in figures.items()
                )


if __name__ == "__main__":
    main()
