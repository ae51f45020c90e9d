"""The store of rounds: settings, simulations and fits, from which an interrupted call resumes.

    rounds.json         the call's settings and its seed
    round_1.zarr        the simulations of a round
    round_1_methods/    the fits of its pool, until all of them are there
    round_1.lfi         its posterior, once fitted

The last round bears the number that was planned for it, also where rounds before it were left out.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lfi.inference.posteriors.kept import KeptFits
from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.runtime import check_regular, fresh, replace_file
from lfi.simulation import Prior


@dataclass(frozen=True)
class RoundsStore:
    """Where rounds are kept; a folder of None keeps nothing."""

    folder: Path | None

    def simulations(self, number: int) -> Path | None:
        """Return where a round's simulations are."""
        return None if self.folder is None else self.folder / f"round_{number}.zarr"

    def load(self, number: int, prior: Prior, device: str) -> SavedDrawnPosterior | None:
        """Return a round's posterior, None where there is none yet; ValueError if it is damaged."""
        return KeptFits(self.folder).load(f"round_{number}", prior, device)

    def save(self, number: int, posterior: SavedDrawnPosterior) -> None:
        """Keep a round's posterior, and its methods no longer."""
        KeptFits(self.folder).save(f"round_{number}", posterior)
        if (methods := self.methods(number).folder) is not None:
            shutil.rmtree(methods, ignore_errors=True)

    def methods(self, number: int) -> KeptFits:
        """Return where the methods of a round's pool are kept until all of them are fitted."""
        return KeptFits(None if self.folder is None else self.folder / f"round_{number}_methods")


def check_restorable(name: str, method: object) -> None:
    """Raise ValueError unless a method's `restorable` says that `lfi.load` rebuilds its fits."""
    if not getattr(method, "restorable", False):
        raise ValueError(
            f"{name}: a file alone does not bring back what this {type(method).__name__} fits: "
            "call without a store, or take a method without networks of your own"
        )


def agreed_seed(store: Path, settings: dict[str, object], seed: int | None) -> int:
    """Return the seed, recorded or checked with the settings; ValueError if they differ.

    Simulations of the first round alone say themselves what they are. Where none has succeeded, a
    record of other settings is replaced: there is nothing to lose.
    """
    store.mkdir(parents=True, exist_ok=True)
    record = store / "rounds.json"
    if not os.path.lexists(record):
        if any(entry.name != "round_1.zarr" for entry in store.glob("round_*")):
            raise ValueError(
                f"store: {store} holds rounds without their record: use another folder"
            )
        seed = fresh(seed)
        text = json.dumps({**settings, "seed": seed}, indent=1)
        replace_file(record, lambda part: part.write_text(text))
        return seed
    try:
        check_regular(record)
        known = json.loads(record.read_text())
        if not isinstance(known, dict):
            raise TypeError(f"it holds a {type(known).__name__}")
        seed = fresh(known["seed"] if seed is None else seed)
        wanted = {**settings, "seed": seed}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"store: {record} is damaged ({error}): use another folder") from error
    differ = sorted(name for name in wanted if known.get(name) != wanted[name])
    if differ and nothing_simulated(store):
        replace_file(record, lambda part: part.write_text(json.dumps(wanted, indent=1)))
    elif differ:
        raise ValueError(
            f"store: {store} holds rounds of a call with another {', '.join(differ)}: "
            "use another folder, or the same arguments"
        )
    return seed


def nothing_simulated(store: Path) -> bool:
    """Return whether there is no fit in a store of rounds, nor a simulation that succeeded."""
    from lfi.simulation.records.store import Store, StoreError  # zarr is imported where it is used

    if any(entry.suffix != ".zarr" for entry in store.glob("round_*")):
        return False
    try:
        return all(Store.open(path).finished == 0 for path in store.glob("round_*.zarr"))
    except StoreError:  # what it holds cannot be told
        return False
