"""Sequential ABC beside pyABC: the same task, summaries, population and budget, in one run.

    python tests/benchmarks/abc_smc.py g_and_k lotka_volterra --seeds 1 2 3 --peer python

`--peer` is a Python interpreter that has pyABC, torch and SciPy (this one, if the extra `bench` is
installed in it); each method runs in a process of its own, on one thread, timed in seconds of
processor time. pyABC runs with its adaptive distance, median tolerances and normal kernel, ends
with the generation that reaches the budget, and reports what it used. Its lotka_volterra is
SciPy's `odeint`, since ours is written for batches.

Measured against the exact posterior given all data, by ensemble chains over the likelihood or
sbibm's draws (pip install --no-deps sbibm==1.1.0): C2ST of 1,000 weighted draws, and the largest
error of a mean and of the logarithm of a standard deviation, in reference sds. Summaries lose
information, in g_and_k much: what counts is who is nearer. Each figure is appended to results.csv.
"""

import argparse
import bz2
import csv
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib import import_module
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # the simulators, for the peer's interpreter
TASKS = ("g_and_k", "lotka_volterra")
DRAWS = 1_000
METHODS = ("lfi", "lfi, local kernel", "lfi, adjusted")


def observation(task: str) -> torch.Tensor:
    """Return the observed data."""
    from simulators import g_and_k, lotka_volterra

    if task == "lotka_volterra":
        return lotka_volterra.x_obs.float()
    theta = torch.tensor([g_and_k.theta_true])
    return g_and_k.simulate(theta, torch.Generator().manual_seed(1))[0]


def summaries(task: str, x: torch.Tensor) -> torch.Tensor:
    """Return what both methods see of the data: octiles, or logarithms of counts."""
    from simulators import g_and_k

    return x.clamp(min=1e-10).log() if task == "lotka_volterra" else g_and_k.summaries(x)


def run_lfi(
    task: str, method: str, seed: int, budget: int, particles: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return particles, weights and simulations."""
    import lfi
    from lfi.inference import DefensiveMixture, LocalCovariance

    simulator = lfi.simulation.as_simulator(import_module(f"simulators.{task}"))
    accepted = lfi.abc_smc(
        simulator,
        observation(task),
        discrepancy=lfi.abc.Summaries(lambda x: summaries(task, x)),
        kernel=LocalCovariance() if "local" in method else DefensiveMixture(),
        particles=particles,
        budget=budget,
        seed=seed,
        progress=False,
    )
    if "adjusted" in method:
        accepted = accepted.adjust(lfi.abc.LocalLinear(lambda x: summaries(task, x)))
    return accepted.theta.numpy(), accepted.weights.numpy(), accepted.simulations


def run_pyabc(
    task: str, seed: int, budget: int, particles: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the same of pyABC."""
    import logging

    import pyabc
    from scipy.integrate import odeint

    logging.getLogger("ABC").setLevel(logging.ERROR)
    module, rng = import_module(f"simulators.{task}"), torch.Generator().manual_seed(seed)
    np.random.seed(seed)

    def slope(u: np.ndarray, t: float, *p: float) -> tuple[float, float]:
        return p[0] * u[0] - p[1] * u[0] * u[1], p[3] * u[0] * u[1] - p[2] * u[1]

    def model(parameters: dict[str, float]) -> dict[str, np.ndarray]:
        theta = [parameters[name] for name in module.prior]
        if task == "g_and_k":
            x = module.simulate(torch.tensor([theta], dtype=torch.float32), rng)
        else:
            mean = odeint(slope, module.start, module.times, args=tuple(theta)).T.ravel()
            noise = module.error * np.random.standard_normal(len(mean))
            x = torch.from_numpy(np.clip(mean, 1e-10, 1e4) * np.exp(noise))[None]
        return {f"s{i}": float(s) for i, s in enumerate(summaries(task, x)[0])}

    if task == "g_and_k":
        prior = pyabc.Distribution(**{name: pyabc.RV("uniform", 0, 10) for name in module.prior})
    else:
        prior = pyabc.Distribution(
            **{
                name: pyabc.RV("lognorm", float(law.scale), 0, float(law.loc.exp()))
                for name, law in module.prior.items()
            }
        )
    abc = pyabc.ABCSMC(
        model,
        prior,
        pyabc.AdaptivePNormDistance(p=2),
        population_size=particles,
        eps=pyabc.MedianEpsilon(),
        sampler=pyabc.sampler.SingleCoreSampler(),
    )
    observed = summaries(task, observation(task)[None])[0]
    with tempfile.TemporaryDirectory() as folder:
        abc.new(
            f"sqlite:///{folder}/history.db", {f"s{i}": float(s) for i, s in enumerate(observed)}
        )
        history = abc.run(max_total_nr_simulations=budget, max_nr_populations=60)
        frame, weights = history.get_distribution()
        return (
            frame[list(module.prior)].to_numpy(),
            np.asarray(weights),
            int(history.total_nr_simulations),
        )


def child(task: str, method: str, seed: int, budget: int, particles: int, out: str) -> None:
    """Run one method and write what it found."""
    torch.set_num_threads(1)
    begin = time.process_time()
    if method == "pyABC":
        theta, weights, simulations = run_pyabc(task, seed, budget, particles)
    else:
        theta, weights, simulations = run_lfi(task, method, seed, budget, particles)
    seconds = time.process_time() - begin
    np.savez(out, theta=theta, weights=weights, simulations=simulations, seconds=seconds)


def exact(task: str) -> torch.Tensor:
    """Return draws of the exact posterior: sbibm's, or by ensemble chains, kept on disk."""
    if task == "lotka_volterra":
        package = importlib.util.find_spec("sbibm")
        if package is None:
            raise SystemExit("the reference draws are sbibm's: pip install --no-deps sbibm==1.1.0")
        files = Path(package.submodule_search_locations[0]) / "tasks" / task / "files"
        path = files / "num_observation_1" / "reference_posterior_samples.csv.bz2"
        return torch.from_numpy(np.loadtxt(bz2.open(path), delimiter=",", skiprows=1)).float()[
            :DRAWS
        ]
    import lfi
    from lfi.inference.samplers.differential_evolution import run_chains
    from simulators import g_and_k

    kept = Path(tempfile.gettempdir()) / f"lfi_exact_{task}.npy"
    if kept.is_file():
        return torch.from_numpy(np.load(kept))
    prior, x = lfi.simulation.as_prior(g_and_k.prior), observation(task).double()
    rng = torch.Generator().manual_seed(0)
    truth = torch.tensor([g_and_k.theta_true])
    spread = torch.exp(0.1 * torch.randn(DRAWS, truth.shape[1], generator=rng))

    def target(u: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:  # of one observation
        theta, log_jacobian = prior.from_unconstrained(u[0])
        likelihood = g_and_k.log_likelihood(theta.double(), x).to(u)
        density = prior.log_prob(theta) + log_jacobian + likelihood.nan_to_num(nan=-torch.inf)
        return density[None]

    end = run_chains(target, prior.to_unconstrained(truth * spread)[None], rng)
    print(f"{task}: exact posterior by {int(end.steps)} steps, R-hat {float(end.r_hat.max()):.3f}")
    theta = prior.from_unconstrained(end.u[0])[0]
    np.save(kept, theta.numpy())
    return theta


def judge(reference: torch.Tensor, theta: torch.Tensor) -> dict[str, float]:
    """Return C2ST and the largest errors of marginal mean and spread."""
    import lfi

    error = (theta.mean(0) - reference.mean(0)) / reference.std(0)
    spread = (theta.std(0) / reference.std(0)).log()
    return {
        "c2st": float(lfi.c2st(reference, theta, permutations=1, seed=1).statistic),
        "mean error": float(error.abs().max()),
        "log sd error": float(spread.abs().max()),
    }


def main() -> None:
    """Run what is asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="+", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--budget", type=int, default=20_000)
    parser.add_argument("--particles", type=int, default=1_000)
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=METHODS)
    parser.add_argument("--peer", help="a Python interpreter that has pyABC")
    parser.add_argument("--child", nargs=3, metavar=("METHOD", "SEED", "OUT"), help="internal")
    arguments = parser.parse_args()
    if arguments.child:
        method, seed, out = arguments.child
        task, budget, particles = arguments.tasks[0], arguments.budget, arguments.particles
        child(task, method, int(seed), budget, particles, out)
        return
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    jobs = [(method, sys.executable) for method in arguments.methods]
    jobs += [("pyABC", arguments.peer)] if arguments.peer else []
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    for task in arguments.tasks:
        reference = exact(task)
        for seed in arguments.seeds:
            for method, python in jobs:
                with tempfile.TemporaryDirectory() as folder:
                    out = f"{folder}/found.npz"
                    command = [python, __file__, task, "--child", method, str(seed), out]
                    command += ["--budget", str(arguments.budget)]
                    command += ["--particles", str(arguments.particles)]
                    subprocess.run(command, check=True, env=one_thread)
                    found = dict(np.load(out))
                rng = torch.Generator().manual_seed(seed)
                weights = torch.from_numpy(found["weights"]).double()
                rows = torch.multinomial(weights, DRAWS, replacement=True, generator=rng)
                draws = torch.from_numpy(found["theta"]).float()[rows]
                values = judge(reference, draws)
                values["ess"] = float(weights.sum() ** 2 / weights.square().sum())
                seconds, used = float(found["seconds"]), int(found["simulations"])
                shown = "".join(f"{name:>14} {value:7.3f}" for name, value in values.items())
                print(
                    f"{task:<16}{method:<20}{seed:>3}{used:>8}{shown}{seconds:>9.1f} s", flush=True
                )
                with (HERE / "results.csv").open("a", newline="") as file:
                    csv.writer(file).writerows(
                        (commit, date.today(), f"abc {task}", method, used, seed, name)
                        + (f"{value:.4f}", f"{seconds:.1f}")
                        for name, value in values.items()
                    )


if __name__ == "__main__":
    main()
