"""The choice of a sampler: importance weights where they suffice, chains where they do not.

Pareto k above 0.7 says that the weights cannot be relied on, an effective sample size below twice
the draws asked for that draws would repeat each other. Either sends chains on their way from where
the weighted candidates are.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch

from lfi.inference.samplers.adaptive_importance import Candidates
from lfi.inference.samplers.differential_evolution import Ensemble
from lfi.inference.samplers.importance import Importance, resampled
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.runtime import child, fresh, torch_rng

RELIABLE = 0.7  # Pareto k above which importance weights are not relied on alone
WORTH = 2.0  # and the effective sample size per draw below which duplicates show


@runtime_checkable
class Chains(Protocol):
    """A sampler that goes on from weighted candidates."""

    def go_on(
        self, target: Target, found: list[Candidates], n: int, *, seed: int, clock: Clock
    ) -> tuple[Draws, ...]:
        """Return n draws by chains that start from the candidates of each observation.

        Raises:
            TimeoutError: If the clock strikes before there is anything better than those.
        """
        ...


@dataclass(frozen=True)
class Automatic:
    """Importance resampling, followed by chains for the observations that need them.

    Attributes:
        importance: Finds and weighs candidates.
        chains: Goes on from them.
        time_limit: Seconds after which the best draws so far are returned and marked.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, torch.tensor([[-1.0], [0.5]]), pair)
        >>> [draws.sampler for draws in Automatic()(target, 500, seed=1)]
        ['importance', 'importance']
    """

    importance: Importance = Importance()
    chains: Chains = Ensemble()
    time_limit: float = 600.0

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        found = self.importance.weigh(target, n, seed=child(seed, 0), clock=clock)
        weak = [j for j, each in enumerate(found) if each.khat > RELIABLE or each.ess < WORTH * n]
        draws = [
            resampled(each, target, n, seed, clock, torch_rng(seed, 1, j))
            for j, each in enumerate(found)
        ]
        if not weak:
            return tuple(draws)
        rows, starts = torch.tensor(weak), [found[j] for j in weak]
        try:
            moved = self.chains.go_on(target.select(rows), starts, n, seed=seed, clock=clock)
        except TimeoutError:  # before the chains had anything better
            moved = [replace(draws[j], timed_out=True) for j in weak]
        for j, better in zip(weak, moved, strict=True):
            draws[j] = better
        return tuple(draws)
