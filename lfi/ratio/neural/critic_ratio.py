"""The density ratio of an ensemble of critics: the mean of their log ratios.

Averaging log r rather than r makes the ensemble for (q, p) the reciprocal of that for (p, q).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor

from lfi.networks import CriticCopies, NestedCritics, SampleCritics
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample, floating_dtype
from lfi.ratio.neural.calibration import Calibrated, restore_calibrated
from lfi.ratio.types import Ratio
from lfi.runtime import Contents, Described, Saved, load_prefixed, prefixed
from lfi.training import History

ROWS = 2**13  # samples that the critics see at a time: keeps memory flat


@dataclass(frozen=True, eq=False, repr=False)
class CriticRatio(Described, Ratio, Saved):
    """A density ratio by critics, as `lfi.fit_ratio` returns it.

    Attributes:
        critics: The members, side by side.
        shape: The shape of one event.
        history: How they were trained, one entry for each of their levels.
        calibrated: What corrects each member's value; empty for values as they are.
    """

    critics: NestedCritics
    shape: tuple[int, ...]
    history: tuple[History, ...] = ()
    calibrated: tuple[Calibrated, ...] = ()

    def describe(self) -> str:
        """Return how many critics there are, the weights of their levels and how they trained."""
        count, weights = self.critics.members, self.critics.weights.tolist()
        lines = [f"log ratio of events {self.shape} by {count} critics"]
        if len(weights) > 1:
            rows = zip(("linear", "smooth", "free"), weights, strict=True)
            lines.append("  weights " + ", ".join(f"{name} {w:.2f}" for name, w in rows))
        lines += [f"  calibrated by {type(self.calibrated[0]).__name__}"] if self.calibrated else []
        if self.history:
            last = self.history[-1]
            if (step := last.best_step) is not None:
                found = dict(last.columns["held-out"])[step]
                lines.append(f"  held-out log-loss {found:.4g} at step {step}")
            lines.append(f"  seed {last.seed}")
        return "\n".join(lines)

    def members(self, x: Samples) -> Float[Tensor, "members n"]:
        """Return each member's log ratio; their scatter is a part of the error.

        Args:
            x: Where, (n, *event); NumPy or torch.
        """
        parts = as_sample("x", x, self.shape).split(ROWS)
        return torch.cat([self.values(part) for part in parts], dim=1)

    def values(self, x: Num[Tensor, "n ..."]) -> Float[Tensor, "members n"]:
        """Return `members` of rows that are not checked, and so may be mapped by `torch.vmap`."""
        rows = x.to(self.critics.weights.device, floating_dtype(x.dtype)).unsqueeze(1)
        h = self.critics(rows.expand(-1, self.critics.members, *self.shape)).T
        h = h.to(x.device, floating_dtype(x.dtype))
        if self.calibrated:
            pairs = zip(self.calibrated, h, strict=True)
            h = torch.stack([calibrated(row) for calibrated, row in pairs])
        return h

    @checked
    def log_ratio(self, x: Samples) -> Float[Tensor, " n"]:
        """Return log p(x)/q(x), the mean of the members'; see `Ratio.log_ratio`."""
        return self.members(x).mean(0)

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        own = isinstance(self.critics, CriticCopies)
        spec = {
            "shape": list(self.shape),
            "members": self.critics.members,
            "critics": None if own else self.critics.spec,
            "history": [history._spec() for history in self.history],
            "calibrated": [calibrated._spec() for calibrated in self.calibrated],
        }
        return spec, prefixed("critics", self.critics)

    @classmethod
    def _restore(cls, contents: Contents) -> "CriticRatio":
        spec = contents.spec
        if spec["critics"] is None:
            critics: NestedCritics = CriticCopies(contents.module("critic"), spec["members"])
        else:
            critics = SampleCritics(**spec["critics"])
        load_prefixed("critics", critics, contents.tensors)
        return cls(
            critics.eval().requires_grad_(False),
            tuple(spec["shape"]),
            tuple(History._restore(history) for history in spec["history"]),
            tuple(restore_calibrated(calibrated) for calibrated in spec["calibrated"]),
        )
