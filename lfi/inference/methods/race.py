"""Giving up what cannot gain: a critic in training against posteriors that are there already.

A critic is measured as the pool measures methods, by the log posterior density of held-out
parameters (`HeldOutSamples`). The contrasts that train it cannot tell: where a posterior is much
narrower than the distance between parameters of a batch, all losses are close to zero.

No critic is trained where a posterior flow and a surrogate likelihood, which err in different ways,
have the same density of held-out parameters and their pool has no more: what all three could gain
is less than that.
"""

import math
from dataclasses import dataclass, field

import torch

from lfi.inference.methods.stacking_table import HeldOutSamples, StackingTable, best_weights
from lfi.inference.posteriors.ratio import RatioPosterior
from lfi.inference.posteriors.saved import SavedPosterior

MEASURED = 128  # held-out simulations
SAME, NO_GAIN = 0.05, 0.02  # nats between posteriors that agree, and that their pool gains
# nats by which a critic may be behind after a share of its steps
BEHIND = ((0.25, 2.0), (0.4, 1.0), (0.6, 0.5))


@dataclass
class Race:
    """What critics are measured against.

    Attributes:
        samples: Of simulations that nothing was fitted to.
        target: The highest mean log posterior density so far.
    """

    samples: HeldOutSamples
    target: float

    @classmethod
    def against(cls, samples: HeldOutSamples, table: StackingTable) -> "Race":
        """Return a race against the posteriors of a table of held-out samples."""
        few = table.first(MEASURED)
        return cls(samples.first(MEASURED), float(few.densities(best_weights(few)).mean()))

    def density(self, posterior: RatioPosterior) -> float:
        """Return the mean log posterior density of a critic's posterior."""
        table = self.samples.table([self.samples.log_weights(posterior)])
        return float(table.densities(torch.ones(1, dtype=torch.float64)).mean())


@dataclass
class Entry:
    """One critic's part in a race, measured when validations have come to certain shares."""

    race: Race
    posterior: RatioPosterior
    validations: int
    done: int = 0
    density: float | None = field(default=None)

    def measure(self) -> None:
        """Count a validation, and measure the critic where it is time to."""
        before, self.done = self.done / self.validations, self.done + 1
        now = self.done / self.validations
        if any(before < share <= now for share, _ in BEHIND):
            self.density = self.race.density(self.posterior)

    def give_up(self, share: float, _: float) -> bool:
        """Return whether what is left of training cannot make up for what the critic lacks."""
        if self.density is None:
            return False
        allowed = min(nats for start, nats in BEHIND if share >= start - 1e-9)
        return self.race.target - self.density > allowed

    def finish(self) -> None:
        """Measure the trained critic, and let those that follow be measured against it too."""
        self.density = self.race.density(self.posterior)
        self.race.target = max(self.race.target, self.density)


def agree(posteriors: list[SavedPosterior], table: StackingTable) -> bool:
    """Return whether posteriors of different kinds are as good as each other and as their pool."""
    best: dict[type, float] = {}  # of each kind
    for each, one in zip(posteriors, torch.eye(len(posteriors)).double(), strict=True):
        mean = float(table.densities(one).mean())
        best[type(each)] = max(mean, best.get(type(each), -math.inf))
    if len(best) < 2:
        return False
    first, second = sorted(best.values(), reverse=True)[:2]
    pool = float(table.densities(best_weights(table)).mean())
    return first - second < SAME and pool - first < NO_GAIN
