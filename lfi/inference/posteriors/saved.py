"""Posteriors that can be written to a file.

What they have seen (`lfi.inference.training_reference`) goes beside what the kind of posterior
describes itself by.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor

from lfi.inference.posteriors.conditional import AmortisedPosterior
from lfi.inference.training_reference import Seen
from lfi.runtime import Contents, Saved

NAMES = ("seen.reference", "seen.held_out")


class SavedPosterior(AmortisedPosterior, Saved):
    """A posterior that `lfi.load` builds again, a frozen dataclass with a field `seen`."""

    def _whole_spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec, tensors = self._spec()
        if self.seen is not None:
            parts = (self.seen.reference, self.seen.held_out)
            tensors = tensors | dict(zip(NAMES, parts, strict=True))
        return spec, tensors

    @classmethod
    def _restore_whole(cls, contents: Contents) -> "SavedPosterior":
        posterior = cls._restore(contents)
        if NAMES[0] not in contents.tensors:
            return posterior
        return replace(posterior, seen=Seen(*(contents.tensors[name] for name in NAMES)))
