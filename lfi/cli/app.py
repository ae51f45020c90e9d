"""The `lfi` command: what a person types, and how it ends.

Exit codes: 0 for done, 1 where a simulator or lfi itself has failed, 2 for a call that cannot be
carried out (explained in one line, nothing damaged), 3 and 4 for a problem and for what could not
be assessed (`lfi check`), 130 for an interruption, after which the same
call resumes. Whatever can be found wrong about a call is found before anything heavy is imported.
"""

import os
import sys
import warnings
from typing import Annotated

import typer

import lfi
from lfi.cli.information import doctor, list_simulators, new_simulator
from lfi.cli.jobs import (
    check_step,
    fit_step,
    report_step,
    run_job,
    sample_step,
    simulate_step,
    surrogate_step,
)

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


COMMANDS = {
    "new": new_simulator,
    "doctor": doctor,
    "list": list_simulators,
    "run": run_job,
    "simulate": simulate_step,
    "fit": fit_step,
    "sample": sample_step,
    "surrogate": surrogate_step,
    "check": check_step,
    "report": report_step,
}
for _name, _command in COMMANDS.items():
    app.command(_name)(_command)


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
