"""The standing benchmark: in about half an hour of one core, what must not get worse unseen.

    python tests/benchmarks/standing.py                               # all lines, then compare
    python tests/benchmarks/standing.py --only 'rounds*' influenza    # some, by name or pattern
    python tests/benchmarks/standing.py --quick                       # a minute: does it all run?
    python tests/benchmarks/standing.py --list                        # the names

Lines, all as the library does it by default and of one seed:

TASK-1000, TASK-10000   `fit_posterior` with so many simulations of a task of sbibm
rounds-TASK             `fit_rounds` with 10,000 simulations of one observation
influenza               `fit_rounds` as `lfi run` calls it, against the exact posterior
ring, grid              `fit_generator`: modes covered, as modes.py counts them
steps                   training steps a second, and of those of a loop by hand, as in steps.py
ulsif                   a kernel ratio: time and error where p is shifted, as in kernel_ratio.py
mmd_test                its time, and its mean p-value under equal and under shifted distributions
simulate                its overhead for each simulation, of a function of one vector
import, help            processor time of `import lfi` beyond bare Python's, and of `lfi --help`
first-run               `lfi new` and `lfi run` of what it writes, to the report: by the clock on
                        all cores, and by the processor

Every figure is printed beside the latest of the same line in results.csv, with its commit, and is
marked where it is worse by more than its noise, which noise.py states. Figures are appended to
results.csv line by line: the task there is `standing NAME`, a note follows the method. Times of a
figure are of the processor; the last column of results.csv has the clock's, of the whole line.
What is measured is the checkout that this file stands in; sbibm's reference draws must be
installed: pip install --no-deps sbibm==1.1.0.
"""

import argparse
import fnmatch
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # what the first optimiser imports: no line should be the one to pay for it
from threadpoolctl import threadpool_limits
from torch import Tensor

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE.parent)]

from brief import few_steps  # noqa: E402
from influenza import judge  # noqa: E402
from kernel_ratio import CASES, normalised_error  # noqa: E402
from modes import SAMPLES, TASKS, figures  # noqa: E402
from noise import append, report  # noqa: E402
from posterior_tasks import reference  # noqa: E402
from simulation import PRIOR, with_rng  # noqa: E402
from steps import by_hand, by_lfi  # noqa: E402
from support.two_samples import PAIRS  # noqa: E402

import lfi  # noqa: E402

Figures = dict[str, float]


@dataclass(frozen=True)
class Effort:
    """How much is done: all of it by default.

    Attributes:
        budgets: Simulations of `fit_posterior`.
        rounds: Simulations of one observation in rounds.
        influenza: Simulations of influenza in rounds.
        observations: Which ones of sbibm's are judged, after one fit; rounds have the first.
        draws: Draws of a posterior.
        judged: Draws that C2ST judges, of sbibm's tasks.
        data: Data for generators.
        steps: Of training, where steps are counted.
        calls: Of a simulator that takes no time.
        repeats: Of what takes little time.
        brief: Whether every fit is one of a few steps, in place of the default.
    """

    budgets: tuple[int, ...] = (1_000, 10_000)
    rounds: int = 10_000
    influenza: int = 360_000
    observations: tuple[int, ...] = (1, 2)
    draws: int = 10_000
    judged: int = 2_000
    data: int = 50_000
    steps: int = 2_000
    calls: int = 3_000
    repeats: int = 20
    brief: bool = False


QUICK = Effort((200, 300), 2_400, 2_400, (1,), 200, 100, 1_000, 20, 200, 2, brief=True)


@dataclass(frozen=True)
class Line:
    """What is measured under one name.

    Attributes:
        name: Without a space.
        method: As results.csv names it.
        simulations: Simulations, data or repeats, as results.csv has them.
        measure: Returns the figures of a seed.
    """

    name: str
    method: str
    simulations: int
    measure: Callable[[int], Figures]


# What is called of the library; each call stands here alone.


def simulations_of(task: str, n: int, seed: int) -> object:
    """Simulate a task."""
    return lfi.simulate(import_module(f"simulators.{task}"), n, seed=seed, progress=False)


def posterior_of(simulations: object, seed: int, brief: bool) -> object:
    """Fit the default."""
    method = few_steps() if brief else None
    return lfi.fit_posterior(simulations, method=method, seed=seed, workers=1, progress=False)


def posterior_in_rounds(task: str, x: Tensor, budget: int, seed: int, brief: bool) -> object:
    """Fit in rounds, as it comes."""
    chosen = {"method": few_steps(), "preliminary": few_steps()} if brief else {}
    simulator = import_module(f"simulators.{task}")
    return lfi.fit_rounds(
        simulator, x, budget=budget, seed=seed, workers=1, progress=False, **chosen
    )


def drawn(posterior: object, n: int, x: Tensor, seed: int) -> Tensor:
    """Draw from a posterior."""
    return posterior.sample(n, x, seed=seed)


def told_apart(a: Tensor, b: Tensor) -> float:
    """Return C2ST."""
    return lfi.c2st(a, b.to(a), seed=1).statistic


def generator_of(data: Tensor, seed: int, brief: bool) -> object:
    """Train the default generator."""
    settings = lfi.AdversarialSettings(steps=20) if brief else None
    return lfi.fit_generator(data, settings=settings, seed=seed, progress=False)


def generated(generator: object, n: int, seed: int) -> Tensor:
    """Draw from a generator."""
    return generator.sample(n, seed=seed)


def kernel_log_ratio(p: Tensor, q: Tensor, seed: int) -> Tensor:
    """Fit uLSIF and return the log ratio at q."""
    return lfi.KernelRatio(loss=lfi.losses.LSIF()).fit(p, q, seed=seed).log_ratio(q)


def mmd_p_value(a: np.ndarray, b: np.ndarray, permutations: int, seed: int) -> float:
    """Return the p-value of the test."""
    return lfi.mmd_test(a, b, permutations=permutations, seed=seed).p_value


def simulate_each(n: int, seed: int) -> None:
    """Simulate by a function of one vector that takes next to no time."""
    wrapped = lfi.Simulator(with_rng, prior=PRIOR, batched=False)
    lfi.simulate(wrapped, n, seed=seed, progress=False)


IMPORT = "import lfi"
HELP = "from lfi.cli import main; main()"


# What is measured.


def cpu(run: Callable[[], object]) -> tuple[object, float]:
    """Return a result and the seconds of the processor that it took."""
    begin = time.process_time()
    result = run()
    return result, time.process_time() - begin


def score(task: str, observation: int, theta: Tensor, judged: int) -> float:
    """Return C2ST against the reference draws of an observation, of as many as are judged."""
    exact = reference(task, observation)
    order = torch.randperm(len(exact), generator=torch.Generator().manual_seed(observation))
    return told_apart(exact[order[:judged]], theta[:judged])


def amortised(task: str, budget: int, effort: Effort, seed: int) -> Figures:
    """Fit the default once, and judge draws of each observation."""
    observations = import_module(f"simulators.{task}").observations
    simulations = simulations_of(task, budget, seed)
    posterior, fit = cpu(lambda: posterior_of(simulations, seed, effort.brief))
    scores, seconds = [], []
    for number in effort.observations:
        x = observations[number - 1]
        theta, spent = cpu(partial(drawn, posterior, effort.draws, x, seed + number))
        seconds.append(spent)
        scores.append(score(task, number, theta, effort.judged))
    return {
        "C2ST": statistics.mean(scores),
        "fit cpu seconds": fit,
        "draw cpu seconds": statistics.mean(seconds),
    }


def in_rounds(task: str, effort: Effort, seed: int) -> Figures:
    """Simulate and fit in rounds for the first observation, and judge draws."""
    x = import_module(f"simulators.{task}").observations[0]
    posterior, fit = cpu(lambda: posterior_in_rounds(task, x, effort.rounds, seed, effort.brief))
    theta, draw = cpu(lambda: drawn(posterior, effort.draws, x, seed + 1))
    c2st = score(task, 1, theta, effort.judged)
    return {"C2ST": c2st, "fit cpu seconds": fit, "draw cpu seconds": draw}


def influenza(effort: Effort, seed: int) -> Figures:
    """Do the main job's fit, and judge as influenza.py does."""
    x = import_module("simulators.influenza").x_obs
    fitted = partial(posterior_in_rounds, "influenza", x, effort.influenza, seed, effort.brief)
    posterior, fit = cpu(fitted)
    theta, draw = cpu(lambda: drawn(posterior, effort.draws, x, seed))
    found = judge(theta)
    return {
        "C2ST": found["c2st"],
        "mean error": found["mean error"],
        "sd error": found["sd error"],
        "fit cpu seconds": fit,
        "draw cpu seconds": draw,
    }


def modes(task: str, effort: Effort, seed: int) -> Figures:
    """Train the default generator, and judge its samples as modes.py does."""
    data = TASKS[task][0].sample(effort.data, torch.Generator().manual_seed(seed))
    generator, fit = cpu(lambda: generator_of(data, seed, effort.brief))
    found = figures(task, generated(generator, SAMPLES, seed))
    kept = ("modes", "high quality", "reverse KL")
    return {**{name: found[name] for name in kept}, "fit cpu seconds": fit}


def training_steps(effort: Effort, seed: int) -> Figures:
    """Train on the ring with R1, in turns with the loop by hand."""
    del seed  # steps.py has its own
    pairs = [
        (by_hand("ring", False, effort.steps), by_lfi("ring", False, effort.steps))
        for _ in range(min(effort.repeats, 3))
    ]
    return {
        "steps a second": effort.steps / statistics.median(ours for _, ours in pairs),
        "of by hand": statistics.median(hand / ours for hand, ours in pairs),
    }


def kernel_ratio(effort: Effort, seed: int) -> Figures:
    """Fit uLSIF to samples of 1,000, of which p is shifted by 1 in two dimensions."""
    errors, seconds = [], []
    for repeat in range(effort.repeats):
        rng = torch.Generator().manual_seed(1_000 * seed + repeat)
        (p, q), exact = CASES["2-D shift by 1"](1_000, rng)
        log_ratio, spent = cpu(partial(kernel_log_ratio, p, q, repeat))
        errors.append(normalised_error(log_ratio.exp(), exact(q).exp()))
        seconds.append(spent)
    return {"error": statistics.mean(errors), "cpu seconds": statistics.median(seconds)}


def two_sample_test(effort: Effort, seed: int) -> Figures:
    """Test samples of 100 in five dimensions, equal and shifted; time 1,000 relabellings."""
    values: dict[str, list[float]] = {"equal": [], "shifted": []}
    seconds = []
    for repeat in range(effort.repeats):
        rng = np.random.default_rng((seed, repeat))
        a, b = PAIRS["shift"](rng, 100)
        values["shifted"].append(mmd_p_value(a, b, 199, repeat))
        values["equal"].append(mmd_p_value(a, rng.normal(size=a.shape), 199, repeat))
        seconds.append(cpu(partial(mmd_p_value, a, b, 1_000, repeat))[1])
    means = {f"p-value, {name}": statistics.mean(each) for name, each in values.items()}
    return {**means, "cpu seconds": statistics.median(seconds)}


def simulating(effort: Effort, seed: int) -> Figures:
    """Time what a simulation takes beyond the call itself; the least of the repeats."""
    n, rng, theta = effort.calls, np.random.default_rng(0), torch.zeros(2)
    bare = min(
        cpu(lambda: [with_rng(theta, rng) for _ in range(n)])[1] for _ in range(effort.repeats)
    )
    ours = min(cpu(partial(simulate_each, n, seed))[1] for _ in range(effort.repeats))
    return {"cpu microseconds a simulation": 1e6 * (ours - bare) / n}


def process(code: str, *arguments: str, cwd: str | Path = ROOT) -> float:
    """Return the processor's milliseconds of a Python process, with what is at hand here."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", code, *arguments]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    quiet = subprocess.DEVNULL
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run(command, cwd=cwd, check=True, stdout=quiet, stderr=quiet, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def importing(effort: Effort, seed: int) -> Figures:
    """Time `import lfi` beyond bare Python, in turns."""
    del seed
    process(IMPORT)  # compiles
    added = [process(IMPORT) - process("pass") for _ in range(effort.repeats)]
    return {"cpu milliseconds": statistics.median(added)}


def helping(effort: Effort, seed: int) -> Figures:
    """Time `lfi --help`."""
    del seed
    times = [process(HELP, "--help") for _ in range(min(effort.repeats, 5))]
    return {"cpu milliseconds": statistics.median(times)}


def first_run(effort: Effort, seed: int) -> Figures:
    """Time a new user's first run: posterior, checks, surrogate and report."""
    words = "--budget 400 --rounds 1 --method flow --draws 100 --no-surrogate"
    brief = words.split() * effort.brief
    with tempfile.TemporaryDirectory() as folder:
        spent = process(HELP, "new", "my_sim.py", cwd=folder)
        start = time.monotonic()
        spent += process(HELP, "run", "my_sim.py", "--seed", str(seed), *brief, cwd=folder)
        return {"seconds": time.monotonic() - start, "cpu seconds": spent / 1e3}


def all_lines(effort: Effort) -> list[Line]:
    """Return the lines, those that take least first."""
    few = min(effort.repeats, 5)
    lines = [
        Line("import", "lfi", effort.repeats, partial(importing, effort)),
        Line("help", "lfi", few, partial(helping, effort)),
        Line("simulate", "lfi", effort.calls, partial(simulating, effort)),
        Line("ulsif", "lfi uLSIF", effort.repeats, partial(kernel_ratio, effort)),
        Line("mmd_test", "lfi mmd_test", effort.repeats, partial(two_sample_test, effort)),
        Line("steps", "lfi", effort.steps, partial(training_steps, effort)),
    ]
    for task in TASKS:
        lines.append(Line(task, "default", effort.data, partial(modes, task, effort)))
    for task in ("two_moons", "slcp"):
        measure = partial(in_rounds, task, effort)
        lines.append(Line(f"rounds-{task}", "rounds as they come", effort.rounds, measure))
    for full, budget in zip(Effort().budgets, effort.budgets, strict=True):
        for task in ("two_moons", "slcp", "gaussian_linear", "lotka_volterra"):
            measure = partial(amortised, task, budget, effort)
            lines.append(Line(f"{task}-{full}", "default", budget, measure))
    measure = partial(influenza, effort)
    lines.append(Line("influenza", "rounds as they come", effort.influenza, measure))
    lines.append(Line("first-run", "lfi run", effort.influenza, partial(first_run, effort)))
    return lines


def head() -> str:
    """Return the commit that is checked out, with a + if what is measured has changed since."""
    run = partial(subprocess.run, cwd=ROOT, capture_output=True, text=True)
    commit = run(["git", "rev-parse", "--short", "HEAD"], check=True).stdout.strip()
    changed = run(["git", "diff", "--quiet", "HEAD", "--", "lfi", "simulators"]).returncode
    return commit + "+" * bool(changed)


def selected(lines: Sequence[Line], patterns: Sequence[str] | None) -> list[Line]:
    """Return the lines that any pattern matches.

    Raises:
        SystemExit: If a pattern matches none.
    """
    for pattern in patterns or ():
        if not fnmatch.filter([line.name for line in lines], pattern):
            names = ", ".join(line.name for line in lines)
            raise SystemExit(f"--only: no line is named {pattern}; there are {names}")
    return [
        line
        for line in lines
        if patterns is None or any(fnmatch.fnmatch(line.name, pattern) for pattern in patterns)
    ]


def main() -> None:
    """Measure what is asked for, print it beside what was before, and append it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="LINE", help="names or patterns of lines")
    parser.add_argument("--quick", action="store_true", help="run all, briefly; append nothing")
    parser.add_argument("--list", action="store_true", help="print the names of the lines")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--note", default="", help="is appended to the method in results.csv")
    parser.add_argument("--commit", default=None, help="the one that is measured, if not HEAD")
    arguments = parser.parse_args()
    lines = selected(all_lines(QUICK if arguments.quick else Effort()), arguments.only)
    if arguments.list:
        print("\n".join(line.name for line in lines))
        return
    torch.set_num_threads(1)
    threadpool_limits(1)
    warnings.simplefilter("ignore")
    commit, worse, begin = arguments.commit or head(), [], time.monotonic()
    note = f"; {arguments.note}" * bool(arguments.note)
    print(f"{'line':<24}{'metric':<31}{commit:>10}{'before':>10} {'commit':<9}{'change':>10}")
    for line in lines:
        start = time.monotonic()
        found = line.measure(arguments.seed)
        seconds = time.monotonic() - start
        row = [f"standing {line.name}", line.method, line.simulations, arguments.seed]
        worse += report(row, found)
        print(f"{'':<24}{seconds:.0f} s by the clock", flush=True)
        if not arguments.quick:
            row[1] += note
            append([commit, date.today(), *row], found, seconds)
    print(f"{(time.monotonic() - begin) / 60:.1f} minutes by the clock, {len(worse)} worse")
    for name in worse:
        print(f"worse by more than the noise: {name}")


if __name__ == "__main__":
    main()
