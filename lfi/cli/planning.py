"""From what is asked for, and what a folder holds already, to a run that can be carried out.

Settings that are not given are those of the folder. Where simulations or fits were made with
others, that is said: `--restart` keeps the old folder beside the new one, and takes from it the
simulations that still apply. A folder without a simulation that succeeded holds nothing to lose.
"""

import ast
import hashlib
import inspect
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.cli.observations import listed, of_array, read_observation
from lfi.cli.options import DEFAULTS
from lfi.cli.runfolder import (
    FILES,
    FITTED,
    SIMULATED,
    RunState,
    aside,
    differences,
    fitting_begun,
    simulated,
)
from lfi.cli.sources import load_simulator, module_of
from lfi.cli.timing import (
    ALL_CORES,
    default_budget,
    estimate,
    seconds_per_simulation,
)
from lfi.cli.workflow import TITLES, Run
from lfi.inference.rounds.fit import simulated_shape
from lfi.numerics.arrays import as_observation
from lfi.runtime import check_writable
from lfi.runtime.durations import duration
from lfi.runtime.workers.beside import usable_cores
from lfi.simulation import Simulator, observed_entries

APART = {"x_obs", "units", "observations", "true_parameters", "x_names", "x_axis", "x_units"}


@dataclass(frozen=True)
class Request:
    """What a command asks for; None leaves it to the folder, or to the default."""

    out: Path
    source: str | None
    observation: Path | None
    columns: tuple[str, ...]
    settings: dict[str, Any]  # budget, rounds, method, minutes, seed, draws, surrogate, name
    workers: int | None
    timeout: float | None
    device: str
    restart: bool
    command: str


def prepare(request: Request, echo: Callable[[str], None], progress: bool) -> Run:
    """Return the run; ValueError where it cannot be, or would mix with another one."""
    torch.set_num_threads(1)  # small networks; and sums that do not depend on the machine's cores
    _check_device(request.device)
    before = RunState.read(request.out)
    source = request.source or (before.source if before else "")
    source = str(Path(source).absolute()) if ".py" in source else source
    simulator = load_simulator(source)
    where = _data_file(request, before)
    x_obs, missing = _observed(simulator, where)
    after = _wanted(request, before, source, simulator, where, x_obs)
    if before is not None and not request.restart:
        _check_same(request.out, before, after)
        same = before.settings["simulator"] == after.settings["simulator"]
        after.steps = before.steps if same else {}
    _check_places(request.out)
    if x_obs is not None and missing:
        simulator = observed_entries(simulator, x_obs)
        echo(_left_out(missing, x_obs.numel()))
    long = after.settings["budget"] * after.seconds > ALL_CORES and request.device == "cpu"
    simulators = request.workers or (usable_cores() if long else 1)
    return Run(
        out=request.out,
        state=after,
        simulator=simulator,
        x_obs=simulator.x_obs if missing else x_obs,
        missing=missing,
        device=request.device,
        workers=request.workers or (simulators if simulators > 1 else None),
        simulators=simulators,
        timeout=request.timeout,
        command=request.command,
        echo=echo,
        progress=progress,
    )


def start_anew(run: Run) -> None:
    """Move the old run of a folder aside, but copy the simulations that still apply."""
    before, place = RunState.read(run.out), aside(run.out)
    if before is None and not (run.out / "rounds").is_dir():
        return  # there is no run in this folder, whatever else is
    os.rename(run.out, place)
    run.echo(f"the old run is kept in {place}")
    store = FILES["simulate"][0]
    alike = before is not None and all(
        before.settings.get(name) == run.state.settings.get(name)
        for name in ("simulator", "missing", "seed")
    )
    if alike and (place / store).is_dir():
        shutil.copytree(place / store, run.out / store)
        run.echo("its simulations of the first round are used again")


def tell(run: Run, steps: Sequence[str], restart: bool, dry: bool) -> None:
    """Say how long the run takes; of a dry one, which steps there are to do."""
    settings, seconds = run.state.settings, run.state.seconds
    left = [step for step in steps if restart or not run.state.done(step, run.out)]
    if {"simulate", "fit"} & set(left):
        simulating, whole = estimate(settings, seconds, run.simulators)
        processes = f"{run.simulators} process{'es' * (run.simulators > 1)}"
        run.echo(
            f"one simulation takes {duration(seconds)}: {settings['budget']:,} take about "
            f"{duration(simulating)} on {processes}, the whole job about {duration(whole)}"
        )
    if dry:
        for step in steps:
            run.echo(f"{TITLES[step]:<42}   {'to do' if step in left else 'done before'}")


def described(run: Run, steps: Sequence[str]) -> dict[str, Any]:
    """Return the settings of a run, how long it takes and what is done, as plain values."""
    simulating, whole = estimate(run.state.settings, run.state.seconds, run.simulators)
    return {
        "settings": run.state.settings,
        "seconds_per_simulation": run.state.seconds,
        "seconds_of_simulating": simulating,
        "seconds_of_the_job": whole,
        "done": {step: run.state.done(step, run.out) for step in steps},
    }


def fingerprint_of(source: str, simulator: Simulator) -> str:
    """Return a text that changes with a simulator, its file included.

    Comments, and what only fits and reports read (x_obs, units), do not count.
    """
    module = module_of(source)
    parts = [simulator.identity, "" if module is None else _code_of(module)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _code_of(module: ModuleType) -> str:
    """Return the code of a module without its docstring and data that simulations do not read."""
    tree = ast.parse(inspect.getsource(module))
    read = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    kept = []
    for node in tree.body:
        names = {t.id for t in getattr(node, "targets", ()) if isinstance(t, ast.Name)}
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not text and not (names and names <= APART - read):
            kept.append(ast.dump(node))
    return "\n".join(kept)


def _data_file(request: Request, before: RunState | None) -> dict[str, Any] | None:
    """Return the file of the data and its columns; None for the simulator's own x_obs."""
    if request.observation is None:
        return None if before is None else before.observation
    return {"file": str(request.observation.absolute()), "columns": list(request.columns)}


def _observed(
    simulator: Simulator, where: dict[str, Any] | None
) -> tuple[Float[Tensor, "..."] | None, tuple[str, ...]]:
    """Return the observation in the shape of one simulation, and which of its entries are NaN."""
    if where is not None:
        found = read_observation(Path(where["file"]), where["columns"])
        x_obs, missing = torch.from_numpy(found.values), found.missing
    elif simulator.x_obs is None:
        return None, ()
    else:
        x_obs, missing = simulator.x_obs, _gaps(simulator.name, simulator.x_obs)
    shape = simulated_shape(simulator)
    return as_observation(as_simulated(x_obs, shape), shape, missing=True), missing


def _gaps(name: str, x_obs: Float[Tensor, "..."]) -> tuple[str, ...]:
    """Return which entries of a simulator's own x_obs are missing; ValueError if all are."""
    try:
        return of_array(x_obs.numpy(force=True)).missing
    except ValueError as error:
        raise ValueError(f"x_obs of {name}: {error}") from error


def _left_out(missing: Sequence[str], entries: int) -> str:
    """Return which entries of the observation are left out, in words."""
    return (
        f"missing in the observation, and left out of all that is simulated: {len(missing)} of "
        f"{entries} entries ({listed(missing)})"
    )


def as_simulated(
    x_obs: Float[Tensor, "..."], shape: tuple[int, ...] | None
) -> Float[Tensor, "..."]:
    """Return an observation in the shape of one simulation, where it has as many entries.

    A table whose axes longer than one are those of a simulation in another order is left as it is:
    which entry is which cannot be told.
    """
    if shape is None or x_obs.numel() != torch.Size(shape).numel():
        return x_obs
    ours, theirs = ([n for n in sizes if n != 1] for sizes in (shape, x_obs.shape))
    return x_obs.reshape(shape) if ours == theirs or 1 in (len(ours), len(theirs)) else x_obs


def _wanted(
    request: Request,
    before: RunState | None,
    source: str,
    simulator: Simulator,
    observation: dict[str, Any] | None,
    x_obs: Float[Tensor, "..."] | None,
) -> RunState:
    """Return what is asked for, with what the folder has on record, and defaults."""
    known = {} if before is None or (request.restart and request.source) else before.settings
    settings: dict[str, Any] = {
        "simulator": fingerprint_of(source, simulator),
        "x_obs": None if x_obs is None else _hash(x_obs),
    }
    if x_obs is not None and (gaps := x_obs.isnan()).any():
        settings["missing"] = f"{int(gaps.sum())} of {gaps.numel()}, {_hash(gaps.double())}"
    for name, value in request.settings.items():
        given = known.get(name, DEFAULTS.get(name)) if value is None else value
        settings[name] = given
    same = before is not None and before.settings["simulator"] == settings["simulator"]
    seconds = before.seconds if before is not None and same else None
    if seconds is None:
        seconds = seconds_per_simulation(simulator, settings["seed"], request.timeout)
    if settings["budget"] is None:
        settings["budget"] = default_budget(seconds, request.workers or usable_cores())
    return RunState(source, observation, settings, seconds)


def _hash(x_obs: Float[Tensor, "..."]) -> str:
    return hashlib.sha256(x_obs.double().numpy().tobytes()).hexdigest()


def _check_same(out: Path, before: RunState, after: RunState) -> None:
    """Raise ValueError where simulations or fits of the folder were made with other settings."""
    changed = differences(before, after, SIMULATED) if simulated(out) else []
    if fitting_begun(out):
        changed += differences(before, after, [name for name in FITTED if name not in SIMULATED])
    if changed:
        raise ValueError(
            f"{out} holds a run with {', '.join(changed)}: --restart starts again and keeps the "
            f"old run as {aside(out)}; or give another --out"
        )


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch raises either
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--device: {device} is not available: {reason}") from error


def _check_places(out: Path) -> None:
    """Raise OSError where a file of the run could not be written."""
    whole = out.absolute()
    folder = next(path for path in (whole, *whole.parents) if path.exists())
    names = [name for files in FILES.values() for name in files if "/" not in name]
    for name in names if folder == whole else whole.relative_to(folder).parts[:1]:
        check_writable(folder / name)
