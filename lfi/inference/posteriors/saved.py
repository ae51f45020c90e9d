"""Posteriors that can be written to a file, their training reference included."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from lfi.inference.posteriors.conditional import AmortisedPosterior
from lfi.inference.posteriors.drawn import DrawnPosterior
from lfi.inference.training_reference import TrainingReference
from lfi.numerics.arguments import checked
from lfi.runtime import Contents, Saved

NAMES = ("training_reference.reference", "training_reference.held_out")


@dataclass(frozen=True, eq=False, repr=False)
class SavedDrawnPosterior(DrawnPosterior, Saved):
    """A posterior that `lfi.load` restores: a dataclass with a field `training_reference`."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self._networks()[0].parameters()).device

    @checked
    def to(self, device: str) -> "SavedDrawnPosterior":
        """Move the networks, in place."""
        for network in self._networks():
            network.to(device)
        return self

    @abstractmethod
    def _networks(self) -> list[nn.Module]:
        """Return the networks, one at least."""

    @classmethod
    @abstractmethod
    def _restore(cls, contents: Contents) -> "SavedDrawnPosterior":
        """Return the posterior that `_spec` has described."""

    def _whole_spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        spec, tensors = self._spec()
        if self.training_reference is not None:
            parts = (self.training_reference.reference, self.training_reference.held_out)
            tensors = tensors | dict(zip(NAMES, parts, strict=True))
        return spec, tensors

    @classmethod
    def _restore_whole(cls, contents: Contents) -> "SavedDrawnPosterior":
        posterior = cls._restore(contents)
        shape = posterior.x_shape
        if not all(type(size) is int and size > 0 for size in shape):
            raise ValueError(f"x of shape {shape}")
        if NAMES[0] not in contents.tensors:
            return posterior
        reference = TrainingReference(*(contents.tensors[name] for name in NAMES))
        if not reference.reference.shape[1:] == reference.held_out.shape[1:] == shape:
            raise ValueError(f"its training reference is not of x of shape {shape}")
        return replace(posterior, training_reference=reference)


@dataclass(frozen=True, eq=False, repr=False)
class SavedPosterior(AmortisedPosterior, SavedDrawnPosterior):
    """A posterior with a density that `lfi.load` restores."""
