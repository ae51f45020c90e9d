"""The commands that compute: `lfi run` and its steps.

Whatever can be found wrong about a call is found before anything heavy is imported.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from lfi.cli import options
from lfi.cli.options import check_choice, check_limits, check_positive_number
from lfi.cli.output import Output
from lfi.cli.runfolder import RECORD, RunState
from lfi.cli.sources import check_simulator

PROBLEM, NOT_ASSESSED = 3, 4  # exit codes of `lfi check`


@dataclass(frozen=True)
class Asked:
    """The options of a call, as they were typed; None where there was none."""

    out: Path
    source: str | None = None
    observation: Path | None = None
    column: Sequence[str] = ()
    budget: int | None = None
    rounds: int | None = None
    method: str | None = None
    minutes: float | None = None
    seed: int | None = None
    draws: int | None = None
    surrogate: bool | None = None
    name: str | None = None
    workers: int | None = None
    timeout: float | None = None
    device: str = "cpu"
    restart: bool = False
    dry_run: bool = False

    def check(self) -> None:
        """Raise ValueError for values out of their limits, and files that are not there."""
        if self.source is not None:
            check_simulator(self.source)
        check_limits("rounds", self.rounds, 1, options.MAX_ROUNDS)
        check_limits("draws", self.draws, options.MIN_DRAWS)
        check_limits("seed", self.seed, 0)
        check_limits("workers", self.workers, 1)
        check_positive_number("minutes", self.minutes)
        check_positive_number("timeout", self.timeout)
        check_choice("method", self.method, options.METHOD_NAMES)
        check_choice("device", self.device.partition(":")[0], options.DEVICES)
        file = next(path for path in (self.out, *self.out.absolute().parents) if path.exists())
        if not file.is_dir():
            raise ValueError(f"--out: {file} is a file, expected a folder")
        state = RunState.read(self.out)
        known = None if state is None or self.restart else state.settings.get("rounds")
        rounds = self.rounds or known or options.DEFAULTS["rounds"]
        least = options.MIN_BUDGET if rounds > 1 else options.MIN_ROUND
        check_limits("budget", self.budget, least)
        if self.source is None and state is None:
            raise ValueError(
                f"there is no run in {self.out} (no {RECORD}): lfi run or lfi simulate begins one"
            )
        if self.observation is not None:
            from lfi.cli.observations import read_observation

            read_observation(self.observation, self.column)
        elif self.column:
            raise ValueError("--column: it is of the file of --observation, which is not given")


def carry_out(asked: Asked, steps: Sequence[str], output: Output) -> None:
    """Carry out the steps that are asked for."""
    asked.check()

    from lfi.cli import planning, workflow  # torch and all else

    request = planning.Request(
        out=asked.out,
        source=asked.source,
        observation=asked.observation,
        columns=tuple(asked.column),
        settings={
            "budget": asked.budget,
            "rounds": asked.rounds,
            "method": asked.method,
            "minutes": asked.minutes,
            "seed": asked.seed,
            "draws": asked.draws,
            "surrogate": asked.surrogate,
            "name": asked.name,
        },
        workers=asked.workers,
        timeout=asked.timeout,
        device=asked.device,
        restart=asked.restart,
        command=shlex.join(["lfi", *sys.argv[1:]]),
    )
    with output:
        run = planning.prepare(request, output.echo, output.progress)
        chosen = workflow.chosen_steps(run, steps)
        planning.tell(run, chosen, asked.restart, asked.dry_run)
        if asked.dry_run:
            output.result({"folder": str(run.out), **planning.described(run, chosen)})
            return
        if asked.restart:
            planning.start_anew(run)
        workflow.perform(run, chosen)
        done = {"folder": str(run.out), "steps": {step: run.state.steps[step] for step in chosen}}
        if not {"report", "calibration"} & set(chosen):
            output.result(done)
            return
        found = workflow.Results.of(run)
        for line in workflow.conclusions(run, found):
            output.echo(line)
        output.result(done | workflow.summary_of(run, found))
        if "report" in chosen:
            output.echo(f"report: {run.file('report')}")
        else:
            state = found.assessment.overall.ok
            raise typer.Exit({True: 0, False: PROBLEM, None: NOT_ASSESSED}[state])


RUN = (
    "simulate",
    "fit",
    "sample",
    "calibration",
    "predictive",
    "surrogate",
    "fidelity",
    "report",
)


def run_job(
    simulator: options.SimulatorName,
    out: options.Out = None,
    budget: options.Budget = None,
    rounds: options.Rounds = None,
    draws: options.Draws = None,
    method: options.MethodName = None,
    minutes: options.Minutes = None,
    workers: options.Workers = None,
    timeout: options.Timeout = None,
    seed: options.Seed = None,
    observation: options.Observation = None,
    column: options.Column = None,
    device: options.Device = "cpu",
    surrogate: options.WithSurrogate = None,
    name: options.Title = None,
    restart: options.Restart = False,
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate, fit a posterior, check it, train a surrogate and write a report.

    The folder then holds report.html, posterior.nc (ArviZ), posterior.lfi and surrogate.lfi
    (lfi.load), summary.json, and run.json, which says what was done. The same call goes on where it
    was interrupted; other settings do again only what depends on them.
    """
    asked = Asked(
        out=_folder(out, simulator),
        source=simulator,
        observation=observation,
        column=column or (),
        budget=budget,
        rounds=rounds,
        method=method,
        minutes=minutes,
        seed=seed,
        draws=draws,
        surrogate=surrogate,
        name=name,
        workers=workers,
        timeout=timeout,
        device=device,
        restart=restart,
        dry_run=dry_run,
    )
    carry_out(asked, RUN, Output(quiet, as_json, log))


def simulate_step(
    simulator: options.SimulatorName,
    out: options.Out = None,
    budget: options.Budget = None,
    rounds: options.Rounds = None,
    workers: options.Workers = None,
    timeout: options.Timeout = None,
    seed: options.Seed = None,
    observation: options.Observation = None,
    column: options.Column = None,
    restart: options.Restart = False,
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Begin a run: simulate what its first round needs."""
    asked = Asked(
        out=_folder(out, simulator),
        source=simulator,
        observation=observation,
        column=column or (),
        budget=budget,
        rounds=rounds,
        seed=seed,
        workers=workers,
        timeout=timeout,
        restart=restart,
        dry_run=dry_run,
    )
    carry_out(asked, ("simulate",), Output(quiet, as_json, log))


def fit_step(
    folder: options.RunFolder,
    observation: options.Observation = None,
    column: options.Column = None,
    method: options.MethodName = None,
    minutes: options.Minutes = None,
    workers: options.Workers = None,
    timeout: options.Timeout = None,
    device: options.Device = "cpu",
    restart: options.Restart = False,
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit the posterior, in rounds that simulate around the observation."""
    asked = Asked(
        out=folder,
        observation=observation,
        column=column or (),
        method=method,
        minutes=minutes,
        workers=workers,
        timeout=timeout,
        device=device,
        restart=restart,
        dry_run=dry_run,
    )
    carry_out(asked, ("simulate", "fit"), Output(quiet, as_json, log))


def sample_step(
    folder: options.RunFolder,
    draws: options.Draws = None,
    device: options.Device = "cpu",
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Draw from the posterior."""
    asked = Asked(out=folder, draws=draws, device=device, dry_run=dry_run)
    carry_out(asked, ("sample",), Output(quiet, as_json, log))


def surrogate_step(
    folder: options.RunFolder,
    device: options.Device = "cpu",
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a surrogate of the simulator, and compare the two."""
    asked = Asked(out=folder, surrogate=True, device=device, dry_run=dry_run)
    carry_out(asked, ("surrogate", "fidelity"), Output(quiet, as_json, log))


def check_step(
    folder: options.RunFolder,
    workers: options.Workers = None,
    timeout: options.Timeout = None,
    device: options.Device = "cpu",
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Check calibration and predictions, and end with 0, 3 (a problem) or 4 (not assessed)."""
    asked = Asked(out=folder, workers=workers, timeout=timeout, device=device, dry_run=dry_run)
    carry_out(asked, ("calibration", "predictive"), Output(quiet, as_json, log))


def report_step(
    folder: options.RunFolder,
    name: options.Title = None,
    surrogate: options.WithSurrogate = None,
    dry_run: options.DryRun = False,
    log: options.Log = None,
    as_json: options.JsonOutput = False,
    quiet: options.Quiet = False,
) -> None:
    """Write report.html, summary.json and posterior.nc."""
    asked = Asked(out=folder, name=name, surrogate=surrogate, dry_run=dry_run)
    carry_out(asked, ("report",), Output(quiet, as_json, log))


def _folder(out: Path | None, simulator: str) -> Path:
    """Return the folder of a run, by default runs/ and what the simulator is called."""
    path, _, name = simulator.partition(":")
    return Path("runs") / (name or Path(path).stem) if out is None else out
