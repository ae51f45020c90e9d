"""Fitted posteriors kept in a folder, so that an interrupted call does not fit them again."""

from dataclasses import dataclass, replace
from pathlib import Path

from lfi.inference.posteriors.saved import SavedDrawnPosterior
from lfi.runtime import read, restore_saved
from lfi.simulation import Prior


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
        """Keep a posterior."""
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            posterior.save(self.folder / f"{name}.lfi")


NOTHING_KEPT = KeptFits()
