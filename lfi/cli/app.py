"""The `lfi` command: what a person types, and how it ends.

Exit codes: 0 for done, 1 where a simulator or lfi itself has failed, 2 for a call that cannot be
carried out (explained in one line, nothing damaged), 130 for an interruption, after which the same
call resumes. Whatever can be found wrong about a call is found before anything heavy is imported.
"""

import math
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

import lfi
from lfi.cli.information import doctor, list_simulators, new_simulator
from lfi.cli.observations import read_observation
from lfi.cli.sources import check_simulator, load_simulator

BUDGET = 360_000
MIN_ROUND, MIN_BUDGET, MAX_ROUNDS = 200, 2_400, 7  # of `lfi.fit_rounds`: one round, more rounds
MIN_DRAWS = 100  # for a report
DEVICES = ("cpu", "cuda", "xpu")
INTERRUPTED = 130

USAGE_ERRORS: tuple[type[BaseException], ...] = typer.BadParameter.__bases__  # of typer's own click

app: typer.Typer = typer.Typer(
    name="lfi",
    help="Likelihood-free inference: compare two samples, and use the comparison twice.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(asked: bool | None) -> None:
    if asked:
        typer.echo(f"lfi {lfi.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    """Likelihood-free inference: compare two samples, and use the comparison twice.

    Begin with `lfi new my_sim.py` and `lfi run my_sim.py`, or with `lfi run influenza`.
    """


app.command("new")(new_simulator)
app.command("doctor")(doctor)
app.command("list")(list_simulators)


@app.command("run")
def run_job(
    simulator: Annotated[
        str,
        typer.Argument(
            help="A name of `lfi list`, a Python file, or an object in one: FILE.py:NAME."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write to; a second call goes on there.")],
    budget: Annotated[int, typer.Option(help="Simulations in all.")] = BUDGET,
    rounds: Annotated[int, typer.Option(help="Rounds of truncation around the observation.")] = 3,
    draws: Annotated[int, typer.Option(help="Posterior draws.")] = 10_000,
    minutes: Annotated[
        float | None,
        typer.Option(help="Minutes for fitting the posterior, beside simulating and all else."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that fit, and simulate; by default fit on every core."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal results.")] = 1,
    observation: Annotated[
        Path | None,
        typer.Option(
            help="The data: text in columns, JSON, .npy or .nc; by default the simulator's x_obs."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Which column of it, by name or number from 1; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where networks train, such as cuda.")] = "cpu",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print errors only.")] = False,
) -> None:
    """Simulate, fit a posterior, check it, train a surrogate and write a report.

    DIR then holds report.html, posterior.nc (ArviZ), posterior.lfi and surrogate.lfi (lfi.load),
    summary.json, and the simulations and fits of each round.
    """
    check_simulator(simulator)
    _check("rounds", rounds, 1, MAX_ROUNDS)
    _check("budget", budget, MIN_BUDGET if rounds > 1 else MIN_ROUND)
    _check("draws", draws, MIN_DRAWS)
    _check("seed", seed, 0)
    if workers is not None:
        _check("workers", workers, 1)
    if minutes is not None and not 0 < minutes < math.inf:
        raise ValueError(f"--minutes: got {minutes:g}, expected a positive number")
    if device.partition(":")[0] not in DEVICES:
        raise ValueError(f"--device: {device} is not one of {', '.join(DEVICES)}")
    file = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not file.is_dir():
        raise ValueError(f"--out: {file} is a file, expected a folder")
    if column and observation is None:
        raise ValueError("--column: it is of the file of --observation, which is not given")
    x_obs = None if observation is None else read_observation(observation, column or ())

    from lfi.cli.workflow import WorkflowSettings, run_workflow  # torch and all else

    settings = WorkflowSettings(
        simulator=load_simulator(simulator),
        x_obs=x_obs,
        out=out,
        budget=budget,
        rounds=rounds,
        draws=draws,
        seed=seed,
        device=device,
        command=shlex.join(["lfi", *sys.argv[1:]]),
        minutes=minutes,
        workers=workers,
    )
    run_workflow(settings, echo=(lambda line: None) if quiet else typer.echo, progress=not quiet)


def _check(option: str, value: int, low: int, high: float = math.inf) -> None:
    if not low <= value <= high:
        limit = f"at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"--{option}: got {value}, expected {limit}")


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # other packages' announcements
            code = app(sys.argv[1:] or ["--help"], standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # of a simulator's too, which may be of any kind
        if os.environ.get("LFI_DEBUG") and not isinstance(error, USAGE_ERRORS):
            raise
        refused = isinstance(error, (*USAGE_ERRORS, ValueError, TypeError, OSError))
        code, how = (2, "error") if refused else (1, "failed")
        message = getattr(error, "format_message", error.__str__)()  # a usage error has more to say
        if not refused and not isinstance(error, RuntimeError):
            message = f"{type(error).__name__}: {message} (LFI_DEBUG=1 shows where)"
        line = f"lfi: {how}: {' '.join(message.split())}\n"
        sys.stderr.write(line.encode(errors="backslashreplace").decode())
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code itself
        sys.stderr.write("lfi: interrupted; the same call goes on from here\n")
    sys.exit(code)
