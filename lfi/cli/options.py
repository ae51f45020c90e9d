"""Options that several commands share, and the limits of their values."""

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from lfi.cli.sources import available_simulators

DEFAULTS: dict[str, Any] = {
    "rounds": 3,
    "method": "pool",
    "seed": 1,
    "draws": 10_000,
    "surrogate": True,
}
MIN_ROUND, MIN_BUDGET, MAX_ROUNDS = 200, 2_400, 7  # of `lfi.fit_rounds`: one round, more rounds
MIN_DRAWS = 100  # for a report
DEVICES = ("cpu", "cuda", "xpu")
METHOD_NAMES = ("pool", "flow", "likelihood", "ratio", "adversarial")


def _complete_simulator(incomplete: str) -> list[str]:
    """Return what the name of a simulator may go on with: those of lfi, and Python files."""
    names = [*available_simulators(), *(str(path) for path in Path().glob("*.py"))]
    return [name for name in names if name.startswith(incomplete)]


def _complete_method(incomplete: str) -> list[str]:
    return [name for name in METHOD_NAMES if name.startswith(incomplete)]


SimulatorName = Annotated[
    str,
    typer.Argument(
        help="A name of `lfi list`, a Python file, or an object in one: FILE.py:NAME.",
        autocompletion=_complete_simulator,
    ),
]
RunFolder = Annotated[Path, typer.Argument(help="The folder of the run.")]
Out = Annotated[
    Path | None,
    typer.Option(help="The folder to write to, where a second call goes on; by default runs/NAME."),
]
Budget = Annotated[
    int | None,
    typer.Option(
        help="Simulations in all; by default 360,000, or as many as 10 minutes of simulating allow."
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(help="Rounds of truncation around the observation; by default 3."),
]
Draws = Annotated[int | None, typer.Option(help="Posterior draws; by default 10,000.")]
MethodName = Annotated[
    str | None,
    typer.Option(
        help=f"How the last round is fitted: {', '.join(METHOD_NAMES)}; by default pool.",
        autocompletion=_complete_method,
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(help="Minutes for fitting the posterior, beside simulating and all else."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that fit, and simulate; by default every core fits, and simulates what "
        "takes more than 20 seconds."
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(help="Seconds after which one simulation is ended and counts as failed."),
]
Seed = Annotated[int | None, typer.Option(help="Equal seeds give equal results; by default 1.")]
Observation = Annotated[
    Path | None,
    typer.Option(
        help="The data: text in columns, JSON, .npy or .nc; by default the simulator's x_obs."
    ),
]
Column = Annotated[
    list[str] | None,
    typer.Option(help="Which column of it, by name or number from 1; may be repeated."),
]
Device = Annotated[str, typer.Option(help="Where networks train, such as cuda.")]
WithSurrogate = Annotated[
    bool | None,
    typer.Option(
        "--surrogate/--no-surrogate", help="Whether to train a surrogate; by default it is."
    ),
]
Title = Annotated[
    str | None, typer.Option("--name", help="The report's title; by default the simulator's name.")
]
Restart = Annotated[
    bool,
    typer.Option(
        "--restart",
        help="Start again. The old run is kept beside as DIR-old-1; simulations that still apply "
        "are used again.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what is to do and how long it takes; do nothing.")
]
Log = Annotated[Path | None, typer.Option(help="A file to which messages are added, with times.")]
JsonOutput = Annotated[
    bool, typer.Option("--json", help="Print the results as JSON, and nothing else.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print errors only.")]


def check_limits(option: str, value: int | None, low: int, high: float = math.inf) -> None:
    """Raise ValueError where a value is given that lies outside its limits."""
    if value is not None and not low <= value <= high:
        limit = f"at least {low}" if high == math.inf else f"from {low} to {high}"
        raise ValueError(f"--{option}: got {value}, expected {limit}")


def check_positive_number(option: str, value: float | None) -> None:
    """Raise ValueError where a number is given that is not positive and finite."""
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"--{option}: got {value:g}, expected a positive number")


def check_choice(option: str, value: str | None, choices: tuple[str, ...]) -> None:
    """Raise ValueError where a word is given that is none of the choices."""
    if value is not None and value not in choices:
        raise ValueError(f"--{option}: {value} is not one of {', '.join(choices)}")
