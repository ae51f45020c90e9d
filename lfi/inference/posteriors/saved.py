"""Posteriors that can be written to a file.

Their training reference (`lfi.inference.training_reference`) goes beside what the kind of posterior
describes itself by.
"""

from dataclasses import replace
from typing import Any

from torch import Tensor

from lfi.inference.posteriors.conditional import AmortisedPosterior
from lfi.inference.training_reference import TrainingReference
from lfi.runtime import Contents, Saved

NAMES = ("training_reference.reference", "training_reference.held_out")


class SavedPosterior(AmortisedPosterior, Saved):
    """A posterior that `lfi.load` restores: a dataclass with a field `training_reference`."""

    def _whole_spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec, tensors = self._spec()
        if self.training_reference is not None:
            parts = (self.training_reference.reference, self.training_reference.held_out)
            tensors = tensors | dict(zip(NAMES, parts, strict=True))
        return spec, tensors

    @classmethod
    def _restore_whole(cls, contents: Contents) -> "SavedPosterior":
        posterior = cls._restore(contents)
        if NAMES[0] not in contents.tensors:
            return posterior
        return replace(
            posterior,
            training_reference=TrainingReference(*(contents.tensors[name] for name in NAMES)),
        )
