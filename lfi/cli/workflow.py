"""The steps of a run: from a simulator and an observation to a posterior, a surrogate, a report.

Each step reads what those before it have left in the folder, and leaves files of its own, so `lfi
run` and the commands of single steps are the same. What takes long is kept as it is finished; the
rest follows from it and the seed, so a resumed call gives the numbers of an uninterrupted one.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from lfi.cli.results import keep, kept, summary
from lfi.cli.runfolder import COMMAND, FILES, RunState
from lfi.cli.surrogate import NEEDED, NICENESS, SurrogateJob
from lfi.cli.timing import fidelity_samples
from lfi.diagnostics import Checks, PredictiveCheck, check, predictive_check
from lfi.generation import Fidelity, fidelity
from lfi.inference import (
    AdversarialPosterior,
    Draws,
    NeuralRatio,
    Pool,
    PosteriorFlow,
    SurrogateLikelihood,
    fit_rounds,
    inference_data,
    plan_budget,
)
from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.inference.rounds.fit import simulation_seed
from lfi.inference.types import Method
from lfi.loading import load
from lfi.report import write_report
from lfi.report.verdicts import Assessment, assess
from lfi.runtime import child, numpy_rng, replace_file
from lfi.runtime.workers.beside import Beside
from lfi.simulation import Simulations, Simulator, simulate

HELD_OUT, IMPORTANCE_SAMPLES = 400, 4_096  # of `lfi.check`
PARAMETERS = 8  # of `lfi.fidelity`
METHODS: dict[str, Callable[[], Method]] = {  # by what --method calls them
    "pool": Pool,
    "flow": PosteriorFlow,
    "likelihood": SurrogateLikelihood,
    "ratio": NeuralRatio,
    "adversarial": AdversarialPosterior,
}


@dataclass(frozen=True, eq=False)
class Run:
    """A run and how it is computed: its folder, its state, and what the state names.

    `workers` is how many processes fit, None for one on each core; `simulators` how many simulate.
    `missing` are the entries of the observation that are left out, here and of the simulator.
    `simulated` is called with the simulations of the last round, before they are fitted.
    """

    out: Path
    state: RunState
    simulator: Simulator
    x_obs: Float[Tensor, "..."] | None
    device: str
    workers: int | None
    simulators: int
    timeout: float | None
    command: str
    echo: Callable[[str], None]
    progress: bool
    missing: tuple[str, ...] = ()
    simulated: Callable[[Simulations], object] | None = None

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.state.settings["seed"]

    def stream(self, number: int) -> int:
        """Return the seed of a step."""
        return child(self.seed, number)

    def file(self, step: str, number: int = 0) -> Path:
        """Return where a step leaves what it has computed."""
        return self.out / FILES[step][number]

    @property
    def observed(self) -> Float[Tensor, "..."]:
        """The observation; ValueError if there is none."""
        if self.x_obs is None:
            raise ValueError(f"{self.simulator.name} has no x_obs: give --observation FILE")
        return self.x_obs

    @property
    def compared(self) -> bool:
        """Whether there is a surrogate that was compared with the simulator, and is wanted."""
        return self.state.settings["surrogate"] and self.state.done("fidelity", self.out)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many simulations each round gets."""
        return plan_budget(self.state.settings["budget"], self.state.settings["rounds"])

    def posterior(self) -> SavedDrawnPosterior:
        """Return the fitted posterior."""
        try:
            found = load(self.file("fit"))
        except ValueError:  # a prior that no file can name: the rounds' store has the fit as well
            return self.fitted()
        assert isinstance(found, SavedDrawnPosterior)  # under that name
        return found.to(self.device)

    def fitted(self) -> SavedDrawnPosterior:
        """Fit the posterior, or take it from the rounds' store."""
        settings = self.state.settings
        return fit_rounds(
            self.simulator,
            self.observed,
            rounds=settings["rounds"],
            budget=settings["budget"],
            method=METHODS[settings["method"]](),
            minutes=settings["minutes"],
            workers=self.workers,
            timeout=self.timeout,
            store=self.out / "rounds",
            simulated=self.simulated,
            seed=self.seed,
            device=self.device,
            progress=self.progress,
        )

    def surrogate_job(self, last: SavedDrawnPosterior | Simulations) -> SurrogateJob:
        """Return what to train a surrogate on: the last round's simulations."""
        return SurrogateJob(
            self.out / "rounds",
            self.state.settings["rounds"],
            self.counts[-1],
            last.prior,
            self.stream(104),
            self.device,
        )


def simulate_first(run: Run) -> None:
    """Simulate what the first round needs."""
    simulate(
        run.simulator,
        run.counts[0],
        seed=simulation_seed(run.seed, 0),
        workers=run.simulators,
        timeout=run.timeout,
        store=run.file("simulate"),
        progress=run.progress,
    )


def fit_run(run: Run) -> None:
    """Fit the posterior in rounds."""
    run.fitted().save(run.file("fit"))


def sample_run(run: Run) -> None:
    """Draw from the posterior."""
    draws = run.posterior().draw(run.state.settings["draws"], run.observed, seed=run.stream(100))
    assert isinstance(draws, Draws)  # of one observation
    keep(run.file("sample"), draws)


def calibrate_run(run: Run) -> None:
    """Check the posterior's calibration by simulations that it was not fitted to."""
    posterior = run.posterior()
    held_out = simulate(
        run.simulator,
        HELD_OUT,
        prior=posterior.prior,
        seed=run.stream(101),
        workers=run.simulators,
        timeout=run.timeout,
        progress=run.progress,
    )
    checks = check(posterior, held_out, importance_samples=IMPORTANCE_SAMPLES, seed=run.stream(102))
    keep(run.file("calibration"), checks)


def predict_run(run: Run) -> None:
    """Compare the observation with simulations of the posterior."""
    draws = kept(run.file("sample"), Draws)
    predictive = predictive_check(
        draws,
        run.simulator,
        run.observed,
        seed=run.stream(103),
        workers=run.simulators,
        timeout=run.timeout,
    )
    keep(run.file("predictive"), predictive)


def train_run(run: Run) -> None:
    """Take over the surrogate, which is trained beside the steps before."""
    run.surrogate_job(run.posterior()).trained(run.file("surrogate"))


def compare_run(run: Run) -> None:
    """Compare the surrogate with the simulator."""
    agreement = fidelity(
        run.surrogate_job(run.posterior()).trained(run.file("surrogate")),
        run.simulator,
        thetas=PARAMETERS,
        n=fidelity_samples(run.state.seconds, PARAMETERS),
        seed=run.stream(105),
        workers=run.simulators,
        timeout=run.timeout,
    )
    keep(run.file("fidelity"), agreement)


@dataclass(frozen=True)
class Results:
    """What the steps before the report have left."""

    draws: Draws
    checks: Checks
    predictive: PredictiveCheck
    agreement: Fidelity | None

    @staticmethod
    def of(run: Run) -> "Results":
        """Return the results of a run."""
        return Results(
            kept(run.file("sample"), Draws),
            kept(run.file("calibration"), Checks),
            kept(run.file("predictive"), PredictiveCheck),
            kept(run.file("fidelity"), Fidelity) if run.compared else None,
        )

    @property
    def assessment(self) -> Assessment:
        """The verdicts."""
        return assess(
            draws=self.draws,
            predictive=self.predictive,
            checks=self.checks,
            fidelity=self.agreement,
        )


def report_run(run: Run) -> None:
    """Write the report, the summary and the draws for ArviZ."""
    settings, simulator, posterior = run.state.settings, run.simulator, run.posterior()
    found, prior = Results.of(run), posterior.prior
    rng = numpy_rng(run.seed, 106)
    own = simulator.prior.sample(settings["draws"], seed=rng)
    narrower = prior.fingerprint != simulator.prior.fingerprint
    truncated = prior.sample(settings["draws"], seed=rng) if narrower else None
    data = inference_data(found.draws, own, run.observed, found.predictive.x, truncated)
    replace_file(run.file("report", 2), lambda part: data.to_netcdf(str(part), engine="h5netcdf"))
    text = json.dumps(summary_of(run, found), indent=1)
    replace_file(run.file("report", 1), lambda part: part.write_text(text))
    chosen = {
        "simulations": f"{settings['budget']:,}",
        "rounds": str(settings["rounds"]),
        "seed": str(settings["seed"]),
        "device": run.device,
    }
    if settings["method"] != "pool":
        chosen["method"] = settings["method"]
    if settings["minutes"] is not None:
        chosen["minutes for the fits"] = f"{settings['minutes']:g}"
        chosen["short of time"] = "; ".join(short_of_time(run)) or "nothing"
    surrogate = None
    if settings["surrogate"]:
        surrogate = run.surrogate_job(posterior).trained(run.file("surrogate"))
    write_report(
        run.file("report"),
        title=settings["name"],
        simulator=simulator,
        x_obs=run.observed,
        data=None if run.state.observation is None else Path(run.state.observation["file"]).name,
        posterior=posterior,
        draws=found.draws,
        checks=found.checks,
        predictive=found.predictive,
        surrogate=surrogate,
        fidelity=found.agreement,
        command=run.command,
        settings=chosen,
        seconds={TITLES[step]: run.state.steps[step]["seconds"] for step in run.state.steps},
        seed=run.stream(107),
    )


STEPS: dict[str, Callable[[Run], None]] = {
    "simulate": simulate_first,
    "fit": fit_run,
    "sample": sample_run,
    "calibration": calibrate_run,
    "predictive": predict_run,
    "surrogate": train_run,
    "fidelity": compare_run,
    "report": report_run,
}
TITLES = {
    "simulate": "simulations of the first round",
    "fit": "posterior in truncated rounds",
    "sample": "posterior draws",
    "calibration": "calibration on held-out simulations",
    "predictive": "posterior predictive check",
    "surrogate": "surrogate generator",
    "fidelity": "surrogate against simulator",
    "report": "files and report",
}
BEFORE: dict[str, tuple[str, ...]] = {  # which steps each reads from
    "simulate": (),
    "fit": (),
    "sample": ("fit",),
    "calibration": ("fit",),
    "predictive": ("fit", "sample"),
    "surrogate": ("fit",),
    "fidelity": ("fit", "surrogate"),
    "report": ("fit", "sample", "calibration", "predictive"),
}


def chosen_steps(run: Run, steps: Sequence[str]) -> list[str]:
    """Return which steps are wanted, without a surrogate where none is."""
    left_out = () if run.state.settings["surrogate"] else ("surrogate", "fidelity")
    return [step for step in steps if step not in left_out]


def perform(run: Run, steps: Sequence[str]) -> None:
    """Carry out steps in order, but those that are done; ValueError where one before is not."""
    out, state = run.out, run.state
    if "fit" in steps:
        _ = run.observed  # if it is missing, that is said before anything is simulated
    left = [step for step in steps if not state.done(step, out)]
    needed = {before for step in left for before in before_step(run, step)} - set(steps)
    for step in (step for step in STEPS if step in needed and not state.done(step, out)):
        command = COMMAND.get(step, step)
        raise ValueError(f"{out} has no {TITLES[step]} yet: first, lfi {command} {out}")
    state.write(out)
    for step in steps:
        if step not in left:
            run.echo(f"{TITLES[step]:<42}   done before")
    fits = [step for step in left if step in ("simulate", "fit")]
    workers = 1 if run.workers is None and run.device != "cpu" else run.workers
    with ExitStack() as stack:
        training: list[Beside[None]] = []

        def train(last: SavedDrawnPosterior | Simulations) -> None:
            """Begin to train the surrogate, beside what follows."""
            calls = run.surrogate_job(last).calls
            beside = Beside(calls, workers, needed=NEEDED, niceness=NICENESS, progress=run.progress)
            training.append(stack.enter_context(beside))

        early = "surrogate" in left and run.state.settings["minutes"] is None
        for step in fits:
            _carry_out(replace(run, simulated=train if early else None), step)
        if "surrogate" in left and not training:
            train(run.posterior())
        for step in left[len(fits) :]:
            _carry_out(run, step, *training)


def before_step(run: Run, step: str) -> tuple[str, ...]:
    """Return which steps a step of this run reads from."""
    more = ("surrogate", "fidelity") if run.state.settings["surrogate"] else ()
    return BEFORE[step] + (more if step == "report" else ())


def _carry_out(run: Run, step: str, beside: Beside[None] | None = None) -> None:
    """Carry out a step, record it and say how long it took."""
    began = time.monotonic()
    if beside is not None and step == "surrogate":
        beside.results()
    STEPS[step](run)
    seconds = time.monotonic() - began
    run.state.finish(step, seconds)
    run.state.write(run.out)
    run.echo(f"{TITLES[step]:<42} {seconds:6.1f} s")


def conclusions(run: Run, found: Results) -> list[str]:
    """Return estimates and verdicts, as the terminal shows them."""
    columns = zip(found.draws.names, found.draws.theta.double().T, strict=True)
    estimates = [f"{name:<16} {c.mean():10.4g} +- {c.std():.2g}" for name, c in columns]
    late = [f"short of time: {what}" for what in short_of_time(run)]
    return ["", *estimates, "", *found.assessment.describe().splitlines(), *late]


def summary_of(run: Run, found: Results) -> dict[str, Any]:
    """Return what summary.json holds."""
    parts = found.draws, found.checks, found.predictive, found.agreement
    more = {"short_of_time": short_of_time(run), "missing": list(run.missing)}
    return summary(*parts, found.assessment) | more


def short_of_time(run: Run) -> list[str]:
    """Return what there was no time to fit, in words."""
    return [part.describe() for part in run.posterior().stages if part.short]
