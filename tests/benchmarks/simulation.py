"""What simulating costs beyond the simulator: lfi beside sbi's runner and joblib.

    python tests/benchmarks/simulation.py                 # all parts
    python tests/benchmarks/simulation.py --part calls    # calls, workers or commands

calls      microseconds a call beyond the call itself, of a function of one vector, in process: with
           an `rng` argument, and drawing from the global state
workers    how many times faster two workers are than one, on a simulator that computes for 5 ms a
           call: the median of paired runs, of which the first also starts processes (sbi's are
           joblib's, and have been started before)
commands   milliseconds a run of a C program beyond starting it by itself

Each figure is appended to results.csv.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch.distributions import Normal, Uniform

import lfi

HERE = Path(__file__).parent
PRIOR = {"a": Uniform(0.0, 1.0), "b": Normal(0.0, 1.0)}
C_PROGRAM = "#include <stdio.h>\nint main(int n, char **a) { puts(a[1]); return 0; }\n"


def with_rng(theta, rng):
    """A cheap simulator with a generator."""
    return rng.normal(size=4)


def with_global_state(theta):
    """A cheap simulator that draws from the global state."""
    return np.random.normal(size=4)


def five_milliseconds(theta, rng):
    """A simulator that computes, whatever else the machine does, for 5 ms of processor time."""
    end = time.process_time() + 0.005
    x = rng.normal(size=4)
    while time.process_time() < end:
        x = np.tanh(x)
    return x


def seconds(function) -> float:
    """Return how long a call takes."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def calls(n: int, repeats: int) -> dict[tuple[str, str], float]:
    """Return microseconds a call beyond the call itself, the least of some repeats."""
    rng, theta, figures = np.random.default_rng(0), torch.zeros(2), {}
    for name, function, bare in (
        ("rng", with_rng, lambda: with_rng(theta, rng)),
        ("global state", with_global_state, lambda: with_global_state(theta)),
    ):
        wrapped = lfi.Simulator(function, prior=PRIOR, batched=False)
        lfi.simulate(wrapped, 100, seed=1)
        own = min(seconds(lambda b=bare: [b() for _ in range(n)]) for _ in range(repeats))
        ours = min(seconds(lambda w=wrapped: lfi.simulate(w, n, seed=1)) for _ in range(repeats))
        figures["lfi", f"microseconds a call beyond it, {name}"] = 1e6 * (ours - own) / n
    from joblib import Parallel, delayed

    prior = lfi.simulation.as_prior(PRIOR)
    rows = prior.sample(n, seed=rng)
    own = min(seconds(lambda: [with_rng(theta, rng) for _ in range(n)]) for _ in range(repeats))
    one = lambda row: with_rng(row, rng)
    took = min(
        seconds(lambda: Parallel(n_jobs=1)(delayed(one)(row) for row in rows))
        for _ in range(repeats)
    )
    figures["joblib", "microseconds a call beyond it, rng"] = 1e6 * (took - own) / n
    took = min(
        seconds(lambda: sbi_run(lambda t: torch.from_numpy(one(t)), n, 1)) for _ in range(repeats)
    )
    figures["sbi", "microseconds a call beyond it, rng"] = 1e6 * (took - own) / n
    return figures


def sbi_run(function, n: int, workers: int) -> None:
    """Simulate by sbi's runner."""
    from sbi.inference import simulate_for_sbi
    from torch.distributions import Independent

    prior = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    simulate_for_sbi(function, prior, n, num_workers=workers, show_progress_bar=False)


def workers(n: int, repeats: int, methods: list[str]) -> dict[tuple[str, str], float]:
    """Return how many times faster two workers are than one, the median of paired runs."""
    from joblib import Parallel, delayed

    wrapped = lfi.Simulator(five_milliseconds, prior=PRIOR, batched=False)
    rng = np.random.default_rng(0)
    theta = lfi.simulation.as_prior(PRIOR).sample(n, seed=rng)
    runs = {
        "lfi": lambda k: lfi.simulate(wrapped, n, seed=1, workers=k),
        "joblib": lambda k: Parallel(n_jobs=k)(delayed(five_milliseconds)(t, rng) for t in theta),
        "sbi": lambda k: sbi_run(lambda t: torch.from_numpy(five_milliseconds(t, rng)), n, k),
    }
    figures = {}
    for name in methods:
        run = runs[name]
        pairs = [(seconds(lambda: run(1)), seconds(lambda: run(2))) for _ in range(repeats)]  # noqa: B023
        figures[name, "speed of 2 workers over 1"] = statistics.median(a / b for a, b in pairs)
        figures[name, "seconds, 2 workers"] = statistics.median(b for _, b in pairs)
        figures[name, "seconds, 2 workers, first run"] = pairs[0][1]
    return figures


def commands(n: int, repeats: int) -> dict[tuple[str, str], float]:
    """Return milliseconds a run beyond starting the program by itself."""
    if shutil.which("cc") is None:
        raise SystemExit("the part `commands` needs a C compiler, cc")
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "echo.c", Path(folder) / "echo"
        source.write_text(C_PROGRAM)
        subprocess.run(["cc", "-O2", "-o", program, source], check=True)
        wrapped = lfi.Simulator.from_command(f"{program} {{a}} {{b}}", prior=PRIOR)
        lfi.simulate(wrapped, 10, seed=1)

        def bare() -> None:
            for _ in range(n):
                os.waitpid(
                    os.posix_spawn(
                        program,
                        [str(program), "0.5"],
                        os.environ,
                        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
                    ),
                    0,
                )

        own = min(seconds(bare) for _ in range(repeats))
        ours = min(seconds(lambda: lfi.simulate(wrapped, n, seed=1)) for _ in range(repeats))
    return {
        ("bare", "milliseconds a start"): 1e3 * own / n,
        ("lfi", "milliseconds a run beyond its start"): 1e3 * (ours - own) / n,
    }


METHODS = ["lfi", "joblib", "sbi"]
PARTS = {"calls": (calls, 3_000, 5), "workers": (workers, 1_500, 5), "commands": (commands, 500, 5)}


def main() -> None:
    """Run the parts that are asked for, print a table and append its rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--calls", type=int, help="of each run, instead of each part's own number")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS, help="of workers")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for part in arguments.part:
        measure, n, repeats = PARTS[part]
        n = arguments.calls or n
        begin = time.monotonic()
        which = {"methods": arguments.methods} if part == "workers" else {}
        figures = measure(n, repeats, **which)
        took = f"{time.monotonic() - begin:.1f}"
        for (method, metric), value in figures.items():
            print(f"{part:<10}{method:<8}{metric:<45}{value:>10.3f}", flush=True)
            with (HERE / "results.csv").open("a", newline="") as file:
                row = [commit, date.today(), f"simulation {part}", method, n, 1]
                csv.writer(file).writerow([*row, metric, f"{value:.4f}", took])


if __name__ == "__main__":
    main()
