"""Giving up what cannot gain: a critic in training against posteriors that are there already.

A critic is measured as the pool measures methods, by the log posterior density of held-out
parameters (`HeldOutSamples`). The contrasts that train it cannot tell: where a posterior is much
narrower than the distance between parameters of a batch, all losses are close to zero.

No critic is trained where a posterior flow and a surrogate likelihood, which err in different ways,
have the same density of held-out parameters and their pool has no more: what all three could gain
is less than that; nor where they nearly do and a third of their kind could hardly add anything, as
their pool tells. Else one that is behind and approaches slowly is given up: a pool of them all
would have no more either.

Where the log densities of two posteriors have independent errors, by which they lack a and b nats,
their pool of best weights lacks ab / (a + b). So what a pool lacks can be told from how much better
it is than the better one, and by how much this is better than the other; and what a third posterior
would add from how far it is behind.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from lfi.inference.methods.stacking_table import (
    MIN_GAIN,
    HeldOutSamples,
    StackingTable,
    best_weights,
)
from lfi.inference.posteriors.ratio import RatioPosterior
from lfi.inference.posteriors.saved import SavedPosterior

MEASURED = 128  # held-out simulations
SAME, NO_GAIN = 0.05, 0.02  # nats between posteriors that agree, and that their pool gains
NEARLY = 0.25  # nats between posteriors that nearly agree: of more, their pool tells little
# nats by which a critic may be behind after a share of its steps
BEHIND = ((0.25, 2.0), (0.4, 1.0), (0.6, 0.5))
# what is left of how far a critic is behind, at the end of training: the least of six problems; and
# nats so few that more may be made up for
AT_END = ((0.4, 0.2), (0.6, 0.4))
NEAR = 0.08


@dataclass
class Race:
    """What critics are measured against.

    Attributes:
        samples: Of simulations that nothing was fitted to.
        target: The highest mean log posterior density so far.
        lacking: What the pool of the posteriors lacks of the exact density, infinite if unknown.
    """

    samples: HeldOutSamples
    target: float
    lacking: float = math.inf

    @classmethod
    def against(
        cls, samples: HeldOutSamples, table: StackingTable, posteriors: Sequence[SavedPosterior]
    ) -> "Race":
        """Return a race against posteriors, and their table of held-out samples."""
        few = table.first(MEASURED)
        target = float(few.densities(best_weights(few)).mean())
        return cls(samples.first(MEASURED), target, lacking(posteriors, table))

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
        behind = self.race.target - self.density
        if behind > allowed:
            return True
        left = [shrunk for start, shrunk in AT_END if share >= start - 1e-9]
        if not left or behind < NEAR or math.isinf(self.race.lacking):
            return False
        return third_gain(self.race.lacking, behind * left[-1]) < MIN_GAIN

    def finish(self) -> None:
        """Measure the trained critic, and let those that follow be measured against it too."""
        self.density = self.race.density(self.posterior)
        self.race.target = max(self.race.target, self.density)


def agree(posteriors: Sequence[SavedPosterior], table: StackingTable) -> bool:
    """Return whether posteriors of different kinds leave nothing to a third.

    They are as good as each other and as their pool, or nearly so and the pool lacks little.
    """
    difference, gain = compared(posteriors, table)
    if difference < SAME and gain < NO_GAIN:
        return True
    return difference < NEARLY and third_gain(_lack(difference, gain), 0.0) < MIN_GAIN


def lacking(posteriors: Sequence[SavedPosterior], table: StackingTable) -> float:
    """Return by how much a pool's mean log density is below the exact one, as kinds of it differ.

    Infinite if they are of one kind: nothing tells.
    """
    return _lack(*compared(posteriors, table))


def _lack(difference: float, gain: float) -> float:
    return math.sqrt(gain * (gain + difference)) if math.isfinite(difference) else math.inf


def third_gain(lacking: float, behind: float) -> float:
    """Return what a posterior that is behind a pool adds to it, where this lacks so much.

    Example:
        >>> round(third_gain(0.1, 0.0), 6)  # it errs by as much as the pool, independently
        0.05
    """
    return lacking**2 / max(2 * lacking + behind, 1e-12)


def compared(posteriors: Sequence[SavedPosterior], table: StackingTable) -> tuple[float, float]:
    """Return by how much the best kind is better than the next, and their pool than the best.

    In mean log density; the first is infinite where there is one kind only.
    """
    best: dict[type, float] = {}  # of each kind
    for each, one in zip(posteriors, torch.eye(len(posteriors)).double(), strict=True):
        mean = float(table.densities(one).mean())
        best[type(each)] = max(mean, best.get(type(each), -math.inf))
    pool = float(table.densities(best_weights(table)).mean())
    first, *others = sorted(best.values(), reverse=True)
    difference = first - others[0] if others else math.inf
    return difference, max(pool - first, 0.0)
