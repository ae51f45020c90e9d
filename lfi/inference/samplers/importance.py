"""Importance resampling: candidates weighed until they suffice, resampled as draws.

The fastest sampler, and the only one whose draws are independent of each other. Resampling is
systematic: a candidate comes twice only where its weight is above 1 / n. How candidates are found
and what they are worth is `lfi.inference.samplers.adaptive_importance`' matter.
"""

from dataclasses import dataclass

import torch

from lfi.inference.samplers.adaptive_importance import Candidates, weigh
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.runtime import child, fresh, torch_rng

FEWEST, FIRST = 2**12, 2**14  # candidates from the prior: four for each draw between these
TOGETHER = 2**21  # candidates of all observations that are dealt with at the same time


@dataclass(frozen=True)
class Importance:
    """Importance resampling, the fastest sampler and the only one whose draws are independent.

    Attributes:
        worth: Candidates are drawn until they are worth so many times the draws asked for.
        most: How many candidates there are at the most for each observation.
        time_limit: Seconds after which the candidates so far have to do.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, torch.tensor([[-1.0], [0.5]]), pair)
        >>> first, second = Importance()(target, 1_000, seed=1)
        >>> first.theta.shape, first.khat < 0.7
        (torch.Size([1000, 1]), True)
    """

    worth: float = 2.5
    most: int = 2**18
    time_limit: float = 600.0

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        found = self.weigh(target, n, seed=child(seed, 0), clock=clock)
        return tuple(
            resampled(candidates, target, n, seed, clock, torch_rng(seed, 1, j))
            for j, candidates in enumerate(found)
        )

    def weigh(self, target: Target, n: int, *, seed: int, clock: Clock) -> list[Candidates]:
        """Return weighted candidates for each observation, worth `worth` times n if all goes well.

        Raises:
            ValueError: If n is not positive, or w is NaN, infinite, or zero at all candidates.
        """
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        first = min(max(4 * n, FEWEST), FIRST, self.most)
        found = []
        for part, rows in enumerate(torch.arange(len(target)).split(max(1, TOGETHER // self.most))):
            found += weigh(
                target.select(rows),
                self.worth * n,
                first=first,
                most=self.most,
                seed=child(seed, part),
                clock=clock,
            )
        return found


def resampled(
    candidates: Candidates, target: Target, n: int, seed: int, clock: Clock, rng: torch.Generator
) -> Draws:
    """Return n of the candidates as draws."""
    theta = target.prior.from_unconstrained(candidates.resample(n, rng))[0]
    return Draws(
        theta=theta,
        names=target.prior.names,
        sampler="importance",
        ess=min(candidates.ess, float(n)),
        unique=len(torch.unique(theta, dim=0)),
        khat=candidates.khat,
        r_hat=None,
        acceptance=None,
        candidates=len(candidates.u),
        seconds=clock.seconds,
        seed=seed,
        log_evidence=candidates.log_evidence,
        timed_out=candidates.timed_out,
    )
