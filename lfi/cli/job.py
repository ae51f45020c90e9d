"""The main job: from a simulator and an observation to a posterior, a surrogate and a report.

What takes long is kept as it is finished (every round's simulations and fit, the surrogate), and
everything else follows from it and the seed, so a call that goes on ends with the same numbers as
one that was never interrupted.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from lfi.diagnostics import Checks, PredictiveCheck, check, predictive_check
from lfi.generation import Fidelity, Surrogate, fidelity, fit_surrogate
from lfi.inference import Draws, fit_rounds, inference_data, plan
from lfi.loading import load
from lfi.report import write_report
from lfi.runtime import child, numpy_rng, replace_file
from lfi.simulation import Prior, Simulations, Simulator, simulate

HELD_OUT, CANDIDATES = 400, 4_096  # simulations that calibration is checked on; see `lfi.check`
PARAMETERS, SAMPLES = 8, 1_000  # where and with how many samples the surrogate is tested

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        simulator: The simulator.
        x_obs: The observation; None takes the simulator's own.
        out: The folder to write to.
        budget: Simulations in all.
        rounds: Rounds of truncation.
        draws: Posterior draws.
        seed: Names every random number of the job.
        device: Where networks train.
        command: What was typed, for the report.
    """

    simulator: Simulator
    x_obs: Tensor | None
    out: Path
    budget: int
    rounds: int
    draws: int
    seed: int
    device: str
    command: str


@dataclass
class Clock:
    """Says what is being done, and notes how long it took."""

    say: Say
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        begin = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin
        self.say(f"{name:<42} {self.seconds[name]:6.1f} s")


def run(job: Job, *, say: Say, progress: bool) -> None:
    """Carry out a job, or what is left of it.

    Args:
        job: What to do.
        say: Takes each line for the person who waits.
        progress: Show bars on a terminal.

    Raises:
        ValueError: If the job cannot be done as asked, or its folder holds another one.
        OSError: If the folder cannot be written.
    """
    x_obs = job.simulator.x_obs if job.x_obs is None else job.x_obs
    if x_obs is None:
        raise ValueError(f"{job.simulator.name} has no x_obs: give --observation FILE")
    if job.draws < 100:
        raise ValueError(f"draws: {job.draws} are too few for a report, need at least 100")
    clock = Clock(say)
    with clock.stage("posterior in truncated rounds"):
        posterior = fit_rounds(
            job.simulator,
            x_obs,
            rounds=job.rounds,
            budget=job.budget,
            store=job.out / "rounds",
            seed=job.seed,
            device=job.device,
            progress=progress,
        )
        posterior.save(job.out / "posterior.lfi")
    with clock.stage(f"{job.draws:,} posterior draws"):
        draws = posterior.draw(job.draws, x_obs, seed=child(job.seed, 100))
    with clock.stage("calibration on held-out simulations"):
        held_out = simulate(
            job.simulator,
            HELD_OUT,
            prior=posterior.prior,
            seed=child(job.seed, 101),
            progress=progress,
        )
        checks = check(posterior, held_out, candidates=CANDIDATES, seed=child(job.seed, 102))
    with clock.stage("posterior predictive check"):
        predictive = predictive_check(draws.theta, job.simulator, x_obs, seed=child(job.seed, 103))
    with clock.stage("surrogate generator"):
        surrogate = train_surrogate(job, posterior.prior, progress)
    with clock.stage("surrogate against simulator"):
        agreement = fidelity(
            surrogate,
            job.simulator,
            thetas=PARAMETERS,
            n=SAMPLES,
            seed=child(job.seed, 105),
        )
    with clock.stage("files and report"):
        prior_theta = posterior.prior.sample(job.draws, rng=numpy_rng(job.seed, 106))
        data = inference_data(draws, prior_theta, x_obs, predictive.x)
        replace_file(
            job.out / "posterior.nc", lambda part: data.to_netcdf(str(part), engine="h5netcdf")
        )
        results = summary(draws, checks, predictive, agreement)
        replace_file(
            job.out / "summary.json",
            lambda part: part.write_text(json.dumps(results, indent=1)),
        )
        write_report(
            job.out / "report.html",
            title=job.simulator.name,
            posterior=posterior,
            draws=draws,
            checks=checks,
            predictive=predictive,
            surrogate=surrogate,
            fidelity=agreement,
            units=job.simulator.units,
            command=job.command,
            settings={
                "simulations": f"{job.budget:,}",
                "rounds": str(job.rounds),
                "seed": str(job.seed),
                "device": job.device,
            },
            seconds=clock.seconds,
            seed=child(job.seed, 107),
        )
    for line in conclusion(draws, checks, predictive, agreement):
        say(line)
    say(f"report: {job.out / 'report.html'}")


def train_surrogate(job: Job, prior: Prior, progress: bool) -> Surrogate:
    """Train the surrogate on the last round's simulations, or load it where that is done."""
    rounds = job.out / "rounds"  # beside the rounds it was trained on, under the same record
    done = rounds / "surrogate.lfi"
    if done.is_file():
        surrogate = load(done, prior=prior).to(job.device)
    else:
        simulations = Simulations.open(rounds / f"round_{job.rounds}.zarr", prior=prior)
        surrogate = fit_surrogate(
            simulations[: plan(job.budget, job.rounds)[-1]],
            seed=child(job.seed, 104),
            device=job.device,
            progress=progress,
        )
        surrogate.save(done)
    surrogate.save(job.out / "surrogate.lfi")
    return surrogate


def summary(
    draws: Draws, checks: Checks, predictive: PredictiveCheck, agreement: Fidelity
) -> dict[str, Any]:
    """Return the job's numbers as plain values."""
    columns = zip(draws.names, draws.theta.double().T, strict=True)
    return {
        "marginals": {
            name: {"mean": float(column.mean()), "sd": float(column.std())}
            for name, column in columns
        },
        "draws": {
            "sampler": draws.sampler,
            "n": len(draws.theta),
            "ess": draws.ess,
            "unique": draws.unique,
            "pareto_k": draws.khat,
            "r_hat": None if draws.r_hat is None else draws.r_hat.tolist(),
        },
        "calibration": {"ok": checks.ok, "scope": checks.scope, "p_values": checks.p_values},
        "predictive": {"ok": predictive.ok, "p_value": predictive.p_value},
        "surrogate": {"c2st": agreement.statistic.tolist(), "mean": agreement.mean},
    }


def conclusion(
    draws: Draws, checks: Checks, predictive: PredictiveCheck, agreement: Fidelity
) -> list[str]:
    """Return the job's result in lines for people."""
    columns = zip(draws.names, draws.theta.double().T, strict=True)
    return [
        "",
        *(f"{name:<16} {c.mean():10.4g} +- {c.std():.2g}" for name, c in columns),
        "",
        checks.describe()[0],
        predictive.describe()[0],
        agreement.describe()[0],
    ]
