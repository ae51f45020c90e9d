"""The folder of a run and its run.json: what was asked for, and which steps are done with what.

A step is done where it was finished with the settings that it depends on, and its files are there.
What simulating and fitting depend on is never changed under them: that needs a restart. Other steps
are cheap, and done again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

RECORD = "run.json"
SIMULATED = ("simulator", "missing", "seed", "budget", "rounds")  # what simulations depend on
FITTED = (*SIMULATED, "x_obs", "method", "minutes")
DRAWN = (*FITTED, "draws")
DEPENDS: dict[str, tuple[str, ...]] = {  # what each step depends on
    "simulate": SIMULATED,
    "fit": FITTED,
    "sample": DRAWN,
    "surrogate": FITTED,
    "calibration": FITTED,
    "predictive": DRAWN,
    "fidelity": FITTED,
    "report": (*DRAWN, "surrogate", "name"),
}
FILES: dict[str, tuple[str, ...]] = {  # what each step leaves
    "simulate": ("rounds/round_1.zarr",),
    "fit": ("posterior.lfi",),
    "sample": ("results/draws.lfi",),
    "surrogate": ("surrogate.lfi",),
    "calibration": ("results/calibration.lfi",),
    "predictive": ("results/predictive.lfi",),
    "fidelity": ("results/fidelity.lfi",),
    "report": ("report.html", "summary.json", "posterior.nc"),
}
COMMAND = {step: "check" for step in ("calibration", "predictive", "fidelity")}


@dataclass
class RunState:
    """What run.json holds.

    Attributes:
        source: The simulator: a name of `lfi list`, or the whole path of a file.
        observation: The file of the data and its columns; None for the simulator's own x_obs.
        settings: What results depend on, by name; fingerprints of the simulator and of x_obs, and
            where entries of x_obs are missing, how many and a fingerprint of which, "missing".
        seconds: How long one simulation took when it was tried.
        steps: For each finished step its settings, its seconds and when it ended.
    """

    source: str
    observation: dict[str, Any] | None
    settings: dict[str, Any]
    seconds: float
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    @staticmethod
    def read(folder: Path) -> "RunState | None":
        """Return what the run.json of a folder holds, None without one; ValueError if damaged."""
        path = folder / RECORD
        if not path.is_file():
            return None
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            state = RunState(
                str(record["source"]),
                record["observation"],
                dict(record["settings"]),
                float(record["seconds per simulation"]),
                {name: dict(step) for name, step in record["steps"].items()},
            )
            for values in (state.settings, *(step["settings"] for step in state.steps.values())):
                dict(values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise ValueError(f"{path} is damaged ({reason}): give another --out") from error
        return state

    def write(self, folder: Path) -> None:
        """Write run.json, if that changes it."""
        from lfi.runtime import replace_file  # torch

        record = {
            "source": self.source,
            "observation": self.observation,
            "settings": self.settings,
            "seconds per simulation": self.seconds,
            "steps": self.steps,
        }
        text, path = json.dumps(record, indent=1, ensure_ascii=False) + "\n", folder / RECORD
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            folder.mkdir(parents=True, exist_ok=True)
            replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))

    def needed(self, step: str) -> dict[str, Any]:
        """Return the settings that a step depends on."""
        return {name: self.settings[name] for name in DEPENDS[step] if name in self.settings}

    def done(self, step: str, folder: Path) -> bool:
        """Return whether a step is finished with these settings, and its files are there."""
        known = self.steps.get(step, {}).get("settings")
        return known == self.needed(step) and all((folder / name).exists() for name in FILES[step])

    def finish(self, step: str, seconds: float) -> None:
        """Record that a step is finished now."""
        ended = datetime.now().astimezone().isoformat(timespec="seconds")
        self.steps[step] = {
            "finished": ended,
            "seconds": round(seconds, 1),
            "settings": self.needed(step),
        }


def simulated(folder: Path) -> bool:
    """Return whether any simulation of a run has succeeded."""
    counts = sorted((folder / "rounds").glob("round_*.zarr/finished.json"))
    return any(_finished(path) for path in counts) or any((folder / "rounds").glob("round_*.lfi"))


def fitting_begun(folder: Path) -> bool:
    """Return whether fits of a run have begun."""
    return simulated(folder) and (folder / "rounds" / "rounds.json").exists()


def differences(before: RunState, after: RunState, names: Iterable[str]) -> list[str]:
    """Return what differs between two runs in these settings, in words."""
    found = []
    for name in names:
        old, new = before.settings.get(name), after.settings.get(name)
        if old == new:
            continue
        if name == "simulator":
            changed = before.source == after.source
            found.append(
                f"another simulator ({after.source} has changed)"
                if changed
                else f"another simulator ({before.source})"
            )
        elif name == "missing":
            found.append(f"simulations of other entries of x ({_gaps(old)}, now {_gaps(new)})")
        elif name == "x_obs":
            found.append("another observation")
        else:
            found.append(f"another {name} ({old}, now {new})")
    return found


def _gaps(missing: str | None) -> str:
    """Return how many entries are missing, of the setting's text."""
    return "none missing" if missing is None else f"{missing.partition(',')[0]} missing"


def aside(folder: Path) -> Path:
    """Return where the old run of a folder goes: DIR-old-1, or the next that is free."""
    number = 1
    while (place := folder.with_name(f"{folder.name}-old-{number}")).exists():
        number += 1
    return place


def _finished(path: Path) -> bool:
    """Return whether a store counts finished rows; one that cannot tell may."""
    try:
        return json.loads(path.read_text())["finished"] > 0
    except (OSError, ValueError, KeyError, TypeError):
        return True
