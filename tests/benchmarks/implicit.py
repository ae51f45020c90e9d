"""Implicit variational inference beside NUTS and exact draws, and messages by a ratio.

    python tests/benchmarks/implicit.py                          # all, one seed
    python tests/benchmarks/implicit.py banana --seeds 1 2 3

**Posteriors.** Eight schools (Rubin 1981), with standardised effects and centred, against NUTS by
Pyro of the former, thinned; and a banana, z_0 ~ N(0, 4), z_1 ~ N(z_0^2 / 2, 1/4), against exact
draws. C2ST is of 2,000 draws each, by sbibm's network, of log tau in place of tau; beside it, the
same of draws that are corrected by their importance weights, k-hat of these weights, whether the
draws are those of the start (1) or of the trained networks (0), and seconds.

**Message.** The mean and the standard deviations of a Gaussian cavity times a Gaussian factor that
is simulated, by `lfi.inference.ep_message` of 60,000 simulations; the largest error of a mean in
standard deviations, that of a standard deviation, relative, and the standard errors told.

One thread. Each figure is appended to results.csv.
"""

import argparse
import csv
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

import lfi
from lfi.inference import UnreliableDraws, ep_message

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from support.implicit_models import banana, banana_draws, eight_schools  # noqa: E402

TASKS = ("banana", "eight_schools", "eight_schools_centred", "message")
COMPARED = 2_000  # draws


@cache
def nuts(n: int, warmup: int, seed: int = 0) -> Tensor:
    """Return n draws of mu, tau and the standardised effects of eight schools."""
    import pyro
    from pyro.infer import MCMC, NUTS

    pyro.set_rng_seed(seed)
    kernel = NUTS(eight_schools, target_accept_prob=0.95)
    chain = MCMC(kernel, num_samples=2 * n, warmup_steps=warmup, disable_progbar=True)
    chain.run()
    states = chain.get_samples()
    return torch.cat([states["mu"][:, None], states["tau"][:, None], states["eta"]], 1)[::2]


def of_schools(theta: Tensor) -> Tensor:
    """Return draws with log tau in place of tau."""
    return torch.cat([theta[:, :1], theta[:, 1:2].log(), theta[:, 2:]], 1)


def references(task: str, n: int, warmup: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return right draws of a task, and the coordinates to compare them in."""
    if task == "banana":
        return banana_draws(n, torch.Generator().manual_seed(0)), lambda theta: theta
    theta = nuts(n, warmup)
    if task == "eight_schools_centred":
        theta = torch.cat([theta[:, :2], theta[:, :1] + theta[:, 1:2] * theta[:, 2:]], 1)
    return theta, of_schools


def posterior(task: str, seed: int, steps: int | None, n: int) -> tuple[dict[str, float], float]:
    """Return the figures of one fit and its seconds."""
    settings, begin = lfi.AdversarialSettings(steps=steps), time.monotonic()
    if task == "banana":
        fit = lfi.fit_implicit(banana, names=["a", "b"], settings=settings, seed=seed)
    else:
        model = partial(eight_schools, task == "eight_schools_centred")
        fit = lfi.fit_implicit(model, settings=settings, seed=seed)
    drawn, corrected = (fit.draw(n, corrected=way, seed=seed) for way in (False, True))
    seconds = time.monotonic() - begin
    right, map_to = references(task, n, 1_000 if n == COMPARED else 10)
    figures = {
        name: lfi.c2st(map_to(d.theta), map_to(right), permutations=19, seed=seed).statistic
        for name, d in (("C2ST", drawn), ("C2ST corrected", corrected))
    }
    figures["k-hat"] = corrected.khat
    figures["start kept"] = float(fit.verdict.start_kept)
    figures["ELBO below evidence"] = fit.verdict.log_evidence - fit.verdict.elbo
    return figures, seconds


def message(seed: int, simulations: int) -> tuple[dict[str, float], float]:
    """Return the errors of one message's moments, and its seconds."""
    wide = torch.tensor([[2.0, 0.6], [0.6, 1.0]], dtype=torch.float64)
    cavity = MultivariateNormal(torch.tensor([1.0, -1.0], dtype=torch.float64), wide)
    x_obs = torch.tensor([3.0, 0.5], dtype=torch.float64)

    def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
        return theta + 0.5 * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
    prior = {"a": Normal(zero, one), "b": Normal(zero, one)}
    begin = time.monotonic()
    found = ep_message(
        cavity, lfi.Simulator(simulate, prior=prior), x_obs, simulations=simulations, seed=seed
    )
    seconds = time.monotonic() - begin
    covariance = torch.linalg.inv(cavity.precision_matrix + 4 * torch.eye(2))
    mean = covariance @ (cavity.precision_matrix @ cavity.loc + 4 * x_obs)
    sd = covariance.diagonal().sqrt()
    figures = {
        "mean error": float(((found.mean - mean).abs() / sd).max()),
        "sd error": float((found.covariance.diagonal().sqrt() / sd - 1).abs().max()),
        "mean error told": float((found.mean_error / sd).max()),
        "sd error told": float((found.sd_error / sd).max()),
        "k-hat": found.khat,
    }
    return figures, seconds


def rows(task: str, seed: int, steps: int | None, n: int) -> Iterator[list[object]]:
    """Yield the cells of results.csv after the commit and the date."""
    brief = n < COMPARED
    simulations = 400 if brief else 60_000
    if task == "message":
        figures, seconds = message(seed, simulations)
    else:
        figures, seconds = posterior(task, seed, steps, n)
    print(f"{task:<24}{seed:>4}{seconds:>7.0f} s", *(f"{k} {v:.3f}" for k, v in figures.items()))
    for metric, value in figures.items():
        size = simulations if task == "message" else steps or "default"
        yield [f"implicit {task}", "lfi", size, seed, metric, f"{value:.4f}", f"{seconds:.1f}"]


def main() -> None:
    """Run what is asked for, print and append the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, help="of the generator; lfi's default")
    parser.add_argument("--draws", type=int, default=COMPARED, help="that are compared")
    arguments = parser.parse_args()
    if unknown := set(arguments.tasks) - set(TASKS):
        parser.error(f"no task {unknown}, of {', '.join(TASKS)}")
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UnreliableDraws)
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    for task in arguments.tasks or TASKS:
        for seed in arguments.seeds:
            own = [
                [commit, date.today(), *row]
                for row in rows(task, seed, arguments.steps, arguments.draws)
            ]
            with (HERE / "results.csv").open("a", newline="") as file:
                csv.writer(file).writerows(own)


if __name__ == "__main__":
    main()
