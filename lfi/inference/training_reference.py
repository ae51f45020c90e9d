"""What a posterior has seen: it warns of observations that are unlike every simulation.

A network's posterior of such an observation is an extrapolation, and nothing in its draws says so.
So a posterior keeps some of the simulations that it was fitted to, and an observation that lies
farther out than all those held out among them (`lfi.comparison.two_sample.outlier_test`) is warned
of. Of one that the simulator has made this is said with probability 1 / (1 + n) at most, n the
number held out: one in a thousand from 2,000 simulations on. Of many observations together, it is
said when more are so far out than chance explains at the same rate.
`lfi.diagnostics.check_observation` tells more.

References:
    Schmitt et al., Detecting model misspecification in amortized Bayesian inference with neural
    networks, 2021. arXiv:2112.08866
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.two_sample.outlier_test import LEAST, Novelty
from lfi.runtime import torch_rng
from lfi.simulation import Simulations

KEPT = 1_000  # simulations of each half
MOST_NUMBERS = 2**22  # of x in both halves: files stay small
MOST_ENTRIES = 4_096  # of an event, whose covariance is taken
RATE = 0.01  # at most, of false alarms


class Misspecified(UserWarning):
    """An observation is unlike every simulation: a posterior of it is an extrapolation."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Some of the simulations that a posterior was fitted to.

    Attributes:
        reference: To these distances are taken, (n, *event).
        held_out: These tell how far others lie from them, (n, *event).
    """

    reference: Float[Tensor, "n ..."]
    held_out: Float[Tensor, "n ..."]

    @staticmethod
    def of(simulations: Simulations, *, seed: int) -> "Seen | None":
        """Return a random choice of valid simulations, or None if they are few, or x is huge."""
        x = simulations.ok()[1]
        entries = x[0].numel() if len(x) else 0
        n = min(KEPT, len(x) // 2, MOST_NUMBERS // 2 // max(1, entries))
        if 2 * n < max(LEAST, 1 / RATE) or entries > MOST_ENTRIES:
            return None
        rows = torch.randperm(len(x), generator=torch_rng(seed))[: 2 * n]
        x = x[rows].to(torch.float32)
        return Seen(x[:n], x[n:])

    @cached_property
    def novelty(self) -> Novelty:
        """What the simulations look like."""
        return Novelty.between(self.reference, self.held_out)

    def warn(self, x: Float[Tensor, "m ..."]) -> None:
        """Warn with `Misspecified` if observations are unlike the simulations."""
        n = len(self.held_out)
        out = self.novelty.p_values(x.to(torch.float32)) < 1.5 / (1 + n)  # the least there is
        count = int(out.sum())
        if not count or scipy.stats.binom.sf(count - 1, len(x), 1 / (1 + n)) > RATE:
            return
        which = "the observation lies" if len(x) == 1 else f"{count} of {len(x)} observations lie"
        warnings.warn(
            f"{which} farther from the simulations than all of {n} others of them: the posterior "
            "is an extrapolation there. lfi.diagnostics.check_observation tells which entries are "
            "unlike the simulations",
            Misspecified,
            stacklevel=4,
        )
