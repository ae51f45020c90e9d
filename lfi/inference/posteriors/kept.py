"""Fitted posteriors kept in a folder, so that an interrupted call does not fit them again.

    NAME.lfi        a posterior
    NAME_training/  where its training stands, until it is there

A record beside them has the settings of the call and its seed, which another call must share.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.runtime import check_regular, fresh, read, replace_file, restore_saved
from lfi.simulation import Prior
from lfi.training import Checkpoints


@dataclass(frozen=True)
class KeptFits:
    """Where fits are kept under names; a folder of None keeps nothing."""

    folder: Path | None = None

    def load(self, name: str, prior: Prior, device: str) -> SavedDrawnPosterior | None:
        """Return a posterior, None where there is none yet; ValueError if it is damaged."""
        if self.folder is None or not (path := self.folder / f"{name}.lfi").is_file():
            return None
        try:
            found = restore_saved(replace(read(path), prior=prior))
            if not isinstance(found, SavedDrawnPosterior):
                raise ValueError(f"it holds a {type(found).__name__}, which is no posterior")
            return found.to(device)
        except ValueError as error:
            raise ValueError(f"store: {error}: delete it and call again to fit it again") from error

    def save(self, name: str, posterior: SavedDrawnPosterior) -> None:
        """Keep a posterior, and the checkpoints of its training no longer."""
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            posterior.save(self.folder / f"{name}.lfi")
            shutil.rmtree(self.folder / f"{name}_training", ignore_errors=True)

    def checkpoints(self, name: str) -> Checkpoints:
        """Return where a posterior's training is kept."""
        return Checkpoints(None if self.folder is None else self.folder / f"{name}_training")


NOTHING_KEPT = KeptFits()


def check_restorable(name: str, method: object) -> None:
    """Raise ValueError unless a method's `restorable` says that `lfi.load` rebuilds its fits."""
    if not getattr(method, "restorable", False):
        raise ValueError(
            f"{name}: a file alone does not bring back what this {type(method).__name__} fits: "
            "call without a store, or take a method without networks of your own"
        )


def recorded_seed(
    record: Path,
    what: str,
    settings: Mapping[str, object],
    seed: int | None,
    *,
    replaceable: Callable[[], bool] = lambda: False,
) -> int:
    """Return the seed of a call, recorded in a file or checked with the settings recorded there.

    ValueError says that the folder holds `what` of another call, unless its record is replaceable.
    """
    folder = record.parent
    if not os.path.lexists(record):
        seed = fresh(seed)
        _write(record, {**settings, "seed": seed})
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
    if differ and replaceable():
        _write(record, wanted)
    elif differ:
        raise ValueError(
            f"store: {folder} holds {what} of a call with another {', '.join(differ)}: "
            "use another folder, or the same arguments"
        )
    return seed


def _write(record: Path, settings: Mapping[str, object]) -> None:
    replace_file(record, lambda part: part.write_text(json.dumps(settings, indent=1)))
