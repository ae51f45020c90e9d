"""Posteriors that can be written to a file.

A kind of posterior describes itself by plain values and tensors, and is built again from them by
its `restore`. What it has seen (`lfi.inference.training_reference`) goes beside them.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from lfi.inference.posteriors.conditional import AmortisedPosterior
from lfi.inference.training_reference import Seen
from lfi.runtime import write

NAMES = ("seen.reference", "seen.held_out")


class SavedPosterior(AmortisedPosterior):
    """A posterior that `lfi.load` builds again, a frozen dataclass with a field `seen`."""

    @abstractmethod
    def describe(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what a file holds: plain values, and tensors."""

    def save(self, path: str | Path) -> None:
        """Write the posterior to a file that `lfi.load` reads: safetensors and JSON."""
        spec, tensors = self.describe()
        if self.seen is not None:
            parts = (self.seen.reference, self.seen.held_out)
            tensors = tensors | dict(zip(NAMES, parts, strict=True))
        write(path, type(self).__name__, spec, tensors)

    def with_seen(self, tensors: Mapping[str, Tensor]) -> "SavedPosterior":
        """Return this posterior with what a file says that it has seen."""
        if NAMES[0] not in tensors:
            return self
        return replace(self, seen=Seen(*(tensors[name] for name in NAMES)))
