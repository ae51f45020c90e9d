"""The store of rounds: settings, simulations and fits, from which an interrupted call resumes.

    rounds.json         the call's settings and its seed
    round_1.zarr        the simulations of a round
    round_1_methods/    the fits of its pool, until all of them are there
    round_1.lfi         its posterior, once fitted

The last round bears the number that was planned for it, also where rounds before it were left out.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from lfi.inference.posteriors.kept import KeptFits, recorded_seed
from lfi.inference.posteriors.saved import SavedDrawnPosterior
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


def agreed_seed(store: Path, settings: dict[str, object], seed: int | None) -> int:
    """Return the seed, recorded or checked with the settings; ValueError if they differ.

    Simulations of the first round alone say themselves what they are. Where none has succeeded, a
    record of other settings is replaced: there is nothing to lose.
    """
    store.mkdir(parents=True, exist_ok=True)
    record = store / "rounds.json"
    others = any(entry.name != "round_1.zarr" for entry in store.glob("round_*"))
    if others and not os.path.lexists(record):
        raise ValueError(f"store: {store} holds rounds without their record: use another folder")
    return recorded_seed(
        record, "rounds", settings, seed, replaceable=lambda: nothing_simulated(store)
    )


def nothing_simulated(store: Path) -> bool:
    """Return whether there is no fit in a store of rounds, nor a simulation that succeeded."""
    from lfi.simulation.records.store import Store, StoreError  # zarr is imported where it is used

    if any(entry.suffix != ".zarr" for entry in store.glob("round_*")):
        return False
    try:
        return all(Store.open(path).finished == 0 for path in store.glob("round_*.zarr"))
    except StoreError:  # what it holds cannot be told
        return False
