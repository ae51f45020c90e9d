"""Warnings of misspecification: observations that are unlike every simulation.

A network's posterior of such an observation is an extrapolation, which its draws do not show. So a
posterior keeps some of its simulations, and an observation farther out than all those held out
among them (`lfi.comparison.two_sample.outlier_test`) gives a warning. For one that the simulator
has made the probability of a warning is 1 / (1 + n) at most, n the number held out: one in a
thousand from 2,000 simulations on. For many observations together, it is given when more are so far
out than chance explains at the same rate. `lfi.diagnostics.check_observation` gives details.

References:
    Schmitt et al., Detecting model misspecification, 2021. arXiv:2112.08866
"""

from dataclasses import dataclass
from functools import cached_property

import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.two_sample.outlier_test import MIN_POINTS, OutlierTest
from lfi.runtime import torch_rng
from lfi.runtime.calls import warn_caller
from lfi.simulation import Simulations

MAX_KEPT = 1_000  # simulations of each half
MAX_NUMBERS = 2**22  # of x in both halves, which bounds the size of files
MAX_ENTRIES = 4_096  # of an event, whose covariance is computed
MAX_RATE = 0.01  # of false warnings


class Misspecified(UserWarning):
    """An observation is unlike every simulation: a posterior of it is an extrapolation."""


@dataclass(frozen=True, eq=False)
class TrainingReference:
    """Some of the simulations that a posterior was fitted to, (n, *event).

    Distances are measured from `reference`; those of `held_out` are their null distribution. An
    entry that is missing counts as its median.
    """

    reference: Float[Tensor, "n ..."]
    held_out: Float[Tensor, "n ..."]

    @staticmethod
    def of(simulations: Simulations, *, seed: int) -> "TrainingReference | None":
        """Return a random choice of valid simulations, or None if they are few, or x is huge."""
        x = simulations.ok(missing=True)[1]
        entries = x[0].numel() if len(x) else 0
        n = min(MAX_KEPT, len(x) // 2, MAX_NUMBERS // 2 // max(1, entries))
        if 2 * n < max(MIN_POINTS, 1 / MAX_RATE) or entries > MAX_ENTRIES:
            return None
        rows = torch.randperm(len(x), generator=torch_rng(seed))[: 2 * n]
        x = filled(x[rows], x)
        return TrainingReference(x[:n], x[n:])

    @cached_property
    def novelty(self) -> OutlierTest:
        """The test of observations against the simulations."""
        return OutlierTest.from_parts(self.reference, self.held_out)

    def warn(self, x: Float[Tensor, "m ..."]) -> None:
        """Warn with `Misspecified` if observations are unlike the simulations."""
        n = len(self.held_out)
        smallest = 1 / (1 + n)  # p-value there is
        count = int((self.novelty.p_values(filled(x, self.reference)) < 1.5 * smallest).sum())
        if not count or scipy.stats.binom.sf(count - 1, len(x), smallest) > MAX_RATE:
            return
        which = "the observation lies" if len(x) == 1 else f"{count} of {len(x)} observations lie"
        warn_caller(
            f"{which} farther from the simulations than any of {n} others: the posterior "
            "is an extrapolation there. lfi.diagnostics.check_observation tells which entries are "
            "unlike the simulations",
            Misspecified,
        )


def filled(x: Float[Tensor, "m ..."], others: Float[Tensor, "n ..."]) -> Float[Tensor, "m ..."]:
    """Return x with the medians of what was observed of others in place of missing entries.

    Example:
        >>> filled(torch.tensor([[float("nan"), 1.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([[1., 1.]])
    """
    missing = x.isnan()
    if not missing.any():
        return x
    middle = others.nanmedian(dim=0).values.nan_to_num(nan=0.0)
    return torch.where(missing, middle.to(x), x)
