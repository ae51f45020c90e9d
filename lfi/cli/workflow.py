"""The main workflow: from a simulator and an observation to a posterior, a surrogate and a report.

What takes long (rounds' simulations and fits, the surrogate) is kept as it is finished; the rest
follows from it and the seed, so a resumed call gives the numbers of an uninterrupted one.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.cli.surrogate import NEEDED, SurrogateJob
from lfi.diagnostics import Checks, PredictiveCheck, check, predictive_check
from lfi.diagnostics.verdict import Verdict
from lfi.generation import Fidelity, fidelity
from lfi.inference import Draws, fit_rounds, inference_data, plan_budget
from lfi.report import write_report
from lfi.report.verdicts import Assessment, assess
from lfi.runtime import Saved, check_writable, child, numpy_rng, replace_file
from lfi.runtime.workers.beside import Beside
from lfi.simulation import Simulator, simulate, simulate_at

HELD_OUT, IMPORTANCE_SAMPLES = 400, 4_096  # of `lfi.check`
FILES = ("report.html", "summary.json", "posterior.nc", "posterior.lfi", "surrogate.lfi")
PARAMETERS, SAMPLES = 8, 1_000  # of `lfi.fidelity`


@dataclass(frozen=True)
class WorkflowSettings:
    """What is asked for, as the options of `lfi run` say it."""

    simulator: Simulator
    x_obs: Float[np.ndarray, "..."] | None  # None takes the simulator's own
    out: Path
    budget: int
    rounds: int
    draws: int
    seed: int
    device: str
    command: str  # for the report
    minutes: float | None = None  # for the fits; None for as long as they need
    workers: int | None = None  # processes that fit; None for one on each core


def run_workflow(
    settings: WorkflowSettings, *, echo: Callable[[str], None], progress: bool
) -> None:
    """Carry out the rest of a workflow; ValueError if it cannot be, OSError if not written."""
    torch.set_num_threads(1)  # small networks; and sums that do not depend on the machine's cores
    try:
        torch.empty(0, device=settings.device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--device: {settings.device} is not available: {reason}") from error
    simulator, out = settings.simulator, settings.out
    x_obs = simulator.x_obs
    if settings.x_obs is not None:
        x_obs = as_simulated(torch.from_numpy(settings.x_obs), simulator, settings.seed)
    if x_obs is None:
        raise ValueError(f"{simulator.name} has no x_obs: give --observation FILE")
    whole = out.absolute()
    folder = next(path for path in (whole, *whole.parents) if path.exists())
    for name in FILES if folder == whole else whole.relative_to(folder).parts[:1]:
        check_writable(folder / name)
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        seconds[name] = time.monotonic() - begin
        echo(f"{name:<42} {seconds[name]:6.1f} s")

    seeds = [child(settings.seed, i) for i in range(100, 108)]
    with stage("posterior in truncated rounds"):
        posterior = fit_rounds(
            simulator,
            x_obs,
            rounds=settings.rounds,
            budget=settings.budget,
            minutes=settings.minutes,
            workers=settings.workers,
            store=out / "rounds",
            seed=settings.seed,
            device=settings.device,
            progress=progress,
        )
        assert isinstance(posterior, Saved)  # as those of lfi's own methods are
        posterior.save(out / "posterior.lfi")
    prior, short = posterior.prior, [part.describe() for part in posterior.stages if part.short]
    job = SurrogateJob(
        out / "rounds",
        settings.rounds,
        plan_budget(settings.budget, settings.rounds)[-1],
        prior,
        seeds[4],
        settings.device,
    )
    workers = 1 if settings.workers is None and settings.device != "cpu" else settings.workers
    with Beside(job.calls, workers, needed=NEEDED, progress=progress) as beside:
        with stage(f"{settings.draws:,} posterior draws"):
            draws = posterior.draw(settings.draws, x_obs, seed=seeds[0])
            assert isinstance(draws, Draws)  # of one observation
        with stage("calibration on held-out simulations"):
            held_out = simulate(simulator, HELD_OUT, prior=prior, seed=seeds[1], progress=progress)
            checks = check(
                posterior, held_out, importance_samples=IMPORTANCE_SAMPLES, seed=seeds[2]
            )
        with stage("posterior predictive check"):
            predictive = predictive_check(draws, simulator, x_obs, seed=seeds[3])
        with stage("surrogate generator"):
            beside.results()
            surrogate = job.trained(out / "surrogate.lfi")
    with stage("surrogate against simulator"):
        agreement = fidelity(surrogate, simulator, thetas=PARAMETERS, n=SAMPLES, seed=seeds[5])
    with stage("files and report"):
        rng = numpy_rng(settings.seed, 106)
        own = simulator.prior.sample(settings.draws, seed=rng)
        narrower = prior.fingerprint != simulator.prior.fingerprint
        truncated = prior.sample(settings.draws, seed=rng) if narrower else None
        data = inference_data(draws, own, x_obs, predictive.x, truncated)
        replace_file(
            out / "posterior.nc", lambda part: data.to_netcdf(str(part), engine="h5netcdf")
        )
        said = assess(draws=draws, predictive=predictive, checks=checks, fidelity=agreement)
        results = summary(draws, checks, predictive, agreement, said) | {"short_of_time": short}
        text = json.dumps(results, indent=1)
        replace_file(out / "summary.json", lambda part: part.write_text(text))
        chosen = {
            "simulations": f"{settings.budget:,}",
            "rounds": str(settings.rounds),
            "seed": str(settings.seed),
            "device": settings.device,
        }
        if settings.minutes is not None:
            chosen["minutes for the fits"] = f"{settings.minutes:g}"
            chosen["short of time"] = "; ".join(short) or "nothing"
        write_report(
            out / "report.html",
            simulator=simulator,
            x_obs=x_obs,
            posterior=posterior,
            draws=draws,
            checks=checks,
            predictive=predictive,
            surrogate=surrogate,
            fidelity=agreement,
            command=settings.command,
            settings=chosen,
            seconds=seconds,
            seed=seeds[7],
        )
    columns = zip(draws.names, draws.theta.double().T, strict=True)
    estimates = [f"{name:<16} {c.mean():10.4g} +- {c.std():.2g}" for name, c in columns]
    late = [f"short of time: {what}" for what in short]
    for line in ("", *estimates, "", *said.describe().splitlines(), *late):
        echo(line)
    echo(f"report: {out / 'report.html'}")


def as_simulated(
    x_obs: Float[Tensor, "..."], simulator: Simulator, seed: int
) -> Float[Tensor, "..."]:
    """Return an observation in the shape of one simulation, where it has as many entries.

    A table whose axes longer than one are those of a simulation in another order is left as it is:
    which entry is which cannot be told.
    """
    if simulator.x_obs is not None:
        shape = simulator.x_obs.shape
    else:
        theta = simulator.prior.sample(1, seed=numpy_rng(seed, 108))
        x = simulate_at(simulator, theta, seed=child(seed, 108)).x
        shape = x_obs.shape if x is None else x.shape[1:]
    ours, theirs = ([n for n in sizes if n != 1] for sizes in (shape, x_obs.shape))
    same_order = ours == theirs or 1 in (len(ours), len(theirs))
    return x_obs.reshape(shape) if x_obs.numel() == shape.numel() and same_order else x_obs


def summary(
    draws: Draws,
    checks: Checks,
    predictive: PredictiveCheck,
    agreement: Fidelity,
    assessment: Assessment,
) -> dict[str, Any]:
    """Return the results as plain values, each verdict as the terminal and the page have it."""
    columns = zip(draws.names, draws.theta.double().T, strict=True)
    said = {name: stated(verdict) for name, verdict in assessment.parts.items()}
    return {
        **stated(assessment.overall),
        "marginals": {name: {"mean": float(c.mean()), "sd": float(c.std())} for name, c in columns},
        "draws": {
            **said["draws"],
            "sampler": draws.sampler,
            "n": len(draws.theta),
            "ess": draws.ess,
            "unique": draws.unique,
            "pareto_k": draws.khat,
            "r_hat": None if draws.r_hat is None else draws.r_hat.tolist(),
        },
        "calibration": {
            **said["calibration"],
            "scope": checks.scope,
            "p_values": checks.p_values,
        },
        "predictive": {
            **said["predictive"],
            "p_value": predictive.p_value,
        },
        "surrogate": {
            **said["surrogate"],
            "c2st": agreement.statistic.tolist(),
            "mean": agreement.mean,
        },
    }


def stated(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values; `ok` is null where it is neither good nor a problem."""
    return {
        "verdict": verdict.text,
        "state": None if verdict.state is None else verdict.state.value,
        "ok": verdict.ok,
        "advice": verdict.advice,
    }
