"""Posteriors of sbibm's tasks against its reference draws, lfi beside sbi.

    python tests/benchmarks/posterior_tasks.py two_moons slcp                  # lfi's ratio
    python tests/benchmarks/posterior_tasks.py slcp --method default --peer NRE_C
    python tests/benchmarks/posterior_tasks.py all --c2st-draws 2000   # quicker, for development

For each task, method and seed: `--budget` simulations, one fit, 10,000 draws for each observation,
and C2ST (0.5 is perfect) against the reference draws of sbibm 1.1.0, which must be installed:
pip install --no-deps sbibm==1.1.0. The judge is sbibm's network or, by `--judge forest`, the random
forest that sbi has by default; both may be asked for. `--held-out 2000` checks a fit by as many new
simulations: the least of coverage minus level, and the p-value of lfi.check. Settings are the same
for all tasks. Both libraries get the same simulations, and one thread. A run has a process of its
own, so that its peak memory is its own; seconds are of the clock, and of the processor in brackets.
Methods in rounds simulate and fit for each observation: their fit is in the seconds of its draws.
`--frontier` limits the default by `minutes=` to .5, 1, 2 and 4 times what sbi's NPE_C has taken.

Each figure is appended to results.csv as it is reached. A run that stands there, of lfi at this
commit or of a peer at any, is not repeated: an interrupted table goes on where it was.
"""

import argparse
import csv
import importlib
import importlib.util
import multiprocessing
import queue
import resource
import subprocess
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from brief import few_steps

import lfi

HERE = Path(__file__).parent
RESULTS = HERE / "results.csv"
TASKS = (
    "two_moons",
    "slcp",
    "gaussian_mixture",
    "gaussian_linear",
    "gaussian_linear_uniform",
    "bernoulli_glm",
    "sir",
    "lotka_volterra",
    "slcp_distractors",
    "bernoulli_glm_raw",
)
DRAWS = 10_000
METHODS = {
    "ratio": lambda: lfi.NeuralRatio(),
    "ratio, quick": lambda: lfi.NeuralRatio(
        settings=lfi.TrainSettings(steps=800), rank=0, head_layers=None
    ),
    "ratio, 3 members": lambda: lfi.NeuralRatio(members=3),
    "ratio, NRE-C": lambda: lfi.NeuralRatio(loss=lfi.losses.NREC()),
    "ratio, Bernoulli": lambda: lfi.NeuralRatio(loss=lfi.losses.Bernoulli()),
    "flow": lambda: lfi.PosteriorFlow(),
    "likelihood": lambda: lfi.SurrogateLikelihood(),
    "default": lambda: None,
    "default, once": lambda: lfi.Pool(again=()),
    "brief": few_steps,
}
ROUNDS = {  # arguments of `fit_rounds`, which is called anew for each observation
    "rounds": {},
    "rounds, ratio": {
        "method": lfi.NeuralRatio(settings=lfi.TrainSettings(steps=1_500), head_layers=None),
        "preliminary": lfi.NeuralRatio(settings=lfi.TrainSettings(steps=600), head_layers=None),
    },
}
LIMITED = {f"default, {share:g} x NPE_C": share for share in (0.5, 1, 2, 4)}  # of its seconds
CHECKED = ("least coverage minus level", "p-value of lfi.check")
JUDGES = {"network": "", "forest": " by a forest"}  # and their part of a row's name
PEERS = ("NRE_A", "NRE_C", "BNRE", "NPE_C")


def reference(task: str, observation: int) -> torch.Tensor:
    """Return sbibm's reference draws, (10000, D)."""
    import pandas as pd

    package = importlib.util.find_spec("sbibm")
    if package is None:
        raise SystemExit("the reference draws are sbibm's: pip install --no-deps sbibm==1.1.0")
    family = next(name for name in ("bernoulli_glm", "slcp", task) if task.startswith(name))
    files = Path(package.submodule_search_locations[0]) / "tasks" / family / "files"
    path = files / f"num_observation_{observation}" / "reference_posterior_samples.csv.bz2"
    return torch.from_numpy(pd.read_csv(path).to_numpy())


@dataclass(frozen=True)
class Fitted:
    """A function of (observation, seed) that draws; what the fit said; what lfi.check takes."""

    draw: Callable[[torch.Tensor, int], torch.Tensor]
    said: str = ""
    posterior: object = None


@dataclass(frozen=True)
class Judging:
    """How draws are judged: by which judges and how many draws, and by how many simulations."""

    judges: tuple[str, ...]
    draws: int
    held_out: int

    def metric(self, judge: str, observation: int) -> str:
        """Return the name of a row of the results."""
        return f"C2ST{JUDGES[judge]} {observation} of {self.draws}"


def judged(judge: str, exact: torch.Tensor, theta: torch.Tensor) -> float:
    """Return the C2ST of draws against the exact ones."""
    from sklearn.ensemble import RandomForestClassifier

    classifier = RandomForestClassifier() if judge == "forest" else None
    return lfi.c2st(exact, theta.to(exact), classifier=classifier, seed=1).statistic


def clocks() -> tuple[float, float]:
    """Return seconds of the clock and of the processor."""
    return time.monotonic(), time.process_time()


def fit_in_rounds(task: str, method: str, simulations: lfi.Simulations, seed: int) -> Fitted:
    """Return what simulates anew, as often in all, fits in rounds, and draws."""
    module = importlib.import_module(f"simulators.{task}")

    def draw(x: torch.Tensor, seed: int) -> torch.Tensor:
        posterior = lfi.fit_rounds(
            module,
            x,
            budget=len(simulations),
            seed=seed,
            workers=1,
            progress=False,
            **ROUNDS[method],
        )
        return posterior.sample(DRAWS, x, seed=seed)

    return Fitted(draw)


def fit_lfi(task: str, method: str, simulations: lfi.Simulations, seed: int) -> Fitted:
    """Return an amortised fit of lfi."""
    minutes = None
    if method in LIMITED:
        minutes = LIMITED[method] * peer_seconds(task, "NPE_C", len(simulations), seed) / 60
    chosen = None if method in LIMITED else METHODS[method]()
    posterior = lfi.fit_posterior(
        simulations, method=chosen, minutes=minutes, seed=seed, workers=1, progress=False
    )
    history = getattr(posterior, "history", ())
    said = history[-1].stopped if history else ""
    return Fitted(lambda x, seed: posterior.sample(DRAWS, x, seed=seed), said, posterior)


def peer_seconds(task: str, method: str, budget: int, seed: int) -> float:
    """Return the processor seconds that a peer's latest fit on record has taken."""
    run = [f"sbibm {task}", f"sbi {method}", str(budget), str(seed), "fit cpu seconds"]
    seconds = [float(row[7]) for row in rows_on_record() if row[2:7] == run]
    if not seconds:
        raise SystemExit(f"{task}: no seconds of {method} on record: run --peer {method} first")
    return seconds[-1]


def between(lower: torch.Tensor, upper: torch.Tensor) -> torch.distributions.constraints.Constraint:
    """Return the constraint of a parameter between bounds, the upper one or both infinite."""
    constraints = torch.distributions.constraints
    if upper.isfinite():
        return constraints.interval(lower.float(), upper.float())
    return constraints.greater_than(lower.float()) if lower.isfinite() else constraints.real


def fit_sbi(task: str, method: str, simulations: lfi.Simulations, seed: int) -> Fitted:
    """Return a fit of one of sbi's trainers, by name, with its defaults."""
    import sbi.inference
    from sbi.utils import process_prior

    ours = simulations.prior

    class Priors(torch.distributions.Distribution):
        """Our prior, as sbi takes it."""

        def __init__(self) -> None:
            super().__init__(event_shape=torch.Size([ours.dim]), validate_args=False)
            self.rng = np.random.default_rng(seed)

        @property
        def support(self) -> torch.distributions.constraints.Constraint:
            """Return the bounds of each parameter, as sbi joins those of its own priors."""
            constraints = torch.distributions.constraints
            if not ours.lower.isfinite().any():
                return constraints.real_vector
            parts = [between(*ends) for ends in zip(ours.lower, ours.upper, strict=True)]
            return constraints.independent(constraints.cat(parts, dim=-1), 1)

        def sample(self, shape: tuple[int, ...] = ()) -> torch.Tensor:
            """Draw from our prior."""
            draws = ours.sample(int(np.prod(shape)), seed=self.rng)
            return draws.float().reshape(*shape, ours.dim)

        def log_prob(self, theta: torch.Tensor) -> torch.Tensor:
            """Return our log density."""
            return ours.log_prob(theta)

    torch.manual_seed(seed)
    prior, _, _ = process_prior(Priors())
    trainer = getattr(sbi.inference, method)(prior=prior, show_progress_bars=False)
    trainer.append_simulations(simulations.theta.float(), simulations.x.float().flatten(1))
    trainer.train()
    posterior = trainer.build_posterior()

    def draw(x: torch.Tensor, seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return posterior.sample((DRAWS,), x=x.float().flatten(), show_progress_bars=False)

    return Fitted(draw)


def run(
    task: str,
    method: str,
    budget: int,
    seed: int,
    observations: list[int],
    judging: Judging,
    answers: multiprocessing.Queue,
) -> None:
    """Fit once and judge each observation, in a process of its own; put each answer in a queue."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    module = importlib.import_module(f"simulators.{task}")
    simulations = lfi.simulate(module, budget, seed=seed, progress=False)
    before = clocks()
    fit = fit_sbi if method in PEERS else fit_in_rounds if method in ROUNDS else fit_lfi
    fitted = fit(task, method, simulations, seed)
    after = clocks()
    answers.put(("fit", after[0] - before[0], after[1] - before[1], fitted.said))
    if judging.held_out and fitted.posterior is not None:
        before = clocks()
        held_out = lfi.simulate(module, judging.held_out, seed=seed + 1_000_000, progress=False)
        checks = lfi.check(fitted.posterior, held_out, seed=seed)
        short = (checks.coverage - checks.levels).min().item()
        found = dict(zip(CHECKED, (short, checks.p_value), strict=True))
        answers.put(("check", clocks()[0] - before[0], found))
    for observation in observations:
        before = clocks()
        theta = fitted.draw(module.observations[observation - 1], seed + observation)
        after = clocks()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        exact = reference(task, observation)
        rows = torch.randperm(len(exact), generator=torch.Generator().manual_seed(observation))
        rows = rows[: judging.draws]
        found = {
            judging.metric(judge, observation): judged(judge, exact[rows], theta[rows])
            for judge in judging.judges
        }
        if task == "two_moons":
            for name, draws in (("share of a mode", theta), ("the reference's", exact)):
                found[f"{name} {observation}"] = (
                    (draws[:, 0] + draws[:, 1] > 0).double().mean().item()
                )
        answers.put((observation, after[0] - before[0], after[1] - before[1], found, memory))
    answers.put(None)


def rows_on_record() -> list[list[str]]:
    """Return the rows of the results file."""
    with RESULTS.open(newline="") as file:
        return list(csv.reader(file))


def main() -> None:
    """Run what is asked for and not on record, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="+", choices=[*TASKS, "all"])
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--observations", default="1-5", help="such as 1-5 or 6-10")
    parser.add_argument("--method", nargs="*", default=["ratio"], choices=[*METHODS, *ROUNDS])
    parser.add_argument("--frontier", action="store_true", help="fits in shares of NPE_C's time")
    parser.add_argument("--peer", nargs="*", default=[], choices=[*PEERS, "sbi"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--c2st-draws", type=int, default=DRAWS)
    parser.add_argument("--judge", nargs="+", default=["network"], choices=JUDGES)
    parser.add_argument("--held-out", type=int, default=0, help="simulations to check a fit by")
    arguments = parser.parse_args()
    first, _, last = arguments.observations.partition("-")
    observations = list(range(int(first), int(last or first) + 1))
    tasks = TASKS[:8] if "all" in arguments.tasks else arguments.tasks
    peers = ["NRE_C" if peer == "sbi" else peer for peer in arguments.peer]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    title = f"C2ST of observations {arguments.observations}"
    print(
        f"{'task':<24}{'method':<24}{'seed':>5}  {title:<42}"
        f"{'mean':>6}{'fit s (cpu)':>16}{'draw s (cpu)':>16}{'MiB':>7}"
    )
    for task in tasks:
        for method in [*arguments.method, *peers, *(LIMITED if arguments.frontier else ())]:
            for seed in arguments.seeds:
                table(task, method, seed, observations, commit, arguments)


def table(
    task: str,
    method: str,
    seed: int,
    observations: list[int],
    commit: str,
    arguments: argparse.Namespace,
) -> None:
    """Print a row of the table, after running what of it is not on record."""
    place = f"sbibm {task}"
    name = f"sbi {method}" if method in PEERS else method
    budget = arguments.budget
    judging = Judging(tuple(arguments.judge), arguments.c2st_draws, arguments.held_out)

    def on_record() -> dict[str, tuple[float, float]]:
        same = [place, name, str(budget), str(seed)]
        return {
            row[6]: (float(row[7]), float(row[8]))
            for row in rows_on_record()
            if row[2:6] == same and (method in PEERS or row[0] == commit)
        }

    known = on_record()
    missing = [
        i
        for i in observations
        if any(judging.metric(judge, i) not in known for judge in judging.judges)
    ]
    if missing:
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        process = context.Process(
            target=run, args=(task, method, budget, seed, missing, judging, answers)
        )
        process.start()
        record(process, answers, [commit, date.today(), place, name, budget, seed])
        known = on_record()
    drawing = [known[f"draw cpu seconds {i}"] for i in observations]
    fit = known["fit cpu seconds"]
    for judge in judging.judges:
        scores = [known[judging.metric(judge, i)][0] for i in observations]
        print(
            f"{task:<24}{name + JUDGES[judge]:<24}{seed:>5}  "
            f"{' '.join(f'{v:.3f}' for v in scores):<42}"
            f"{np.mean(scores):>6.3f}{fit[1]:>8.0f} ({fit[0]:.0f})"
            f"{np.mean([d[1] for d in drawing]):>9.1f} ({np.mean([d[0] for d in drawing]):.1f})"
            f"{known['peak MiB'][0]:>9.0f}",
            flush=True,
        )
    for metric in filter(known.__contains__, CHECKED):
        print(f"    {metric}: {known[metric][0]:.3f}", flush=True)


def record(process: multiprocessing.Process, answers: multiprocessing.Queue, head: list) -> None:
    """Append what a run answers to the results file, as it comes.

    Raises:
        SystemExit: If the run dies.
    """

    def append(metric: str, value: float, seconds: float) -> None:
        with RESULTS.open("a", newline="") as file:
            csv.writer(file).writerow([*head, metric, f"{value:.4f}", f"{seconds:.1f}"])

    while True:
        try:
            answer = answers.get(timeout=5)
        except queue.Empty:
            if not process.is_alive():
                raise SystemExit(f"the run of {head[2:]} died") from None
            continue
        if answer is None:
            process.join()
            return
        if answer[0] == "fit":
            append("fit cpu seconds", answer[2], answer[1])
            if answer[3]:
                print(f"    {head[2]}, {head[3]}: {answer[3]}", flush=True)
            continue
        if answer[0] == "check":
            for metric, value in answer[2].items():
                append(metric, value, answer[1])
            continue
        observation, wall, cpu, found, memory = answer
        append(f"draw cpu seconds {observation}", cpu, wall)
        append("peak MiB", memory, wall)
        for metric, value in found.items():
            append(metric, value, wall)


if __name__ == "__main__":
    main()
