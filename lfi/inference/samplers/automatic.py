"""Automatic choice of a sampler: importance resampling, or chains where it does not suffice.

Importance weights are unreliable where Pareto k is above 0.7; where their effective sample size is
below twice the draws asked for (less, of more than 100,000), resampled draws would repeat each
other. In either case Markov chains start from the weighted samples: by differential evolution,
which finds modes anew, and of more than 50 parameters, where it cannot leave where it started, by
Hamiltonian Monte Carlo if the density has a gradient.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch

from lfi.inference.draws import Draws
from lfi.inference.reliability import MAX_KHAT
from lfi.inference.samplers.adaptive_importance import MIXTURE_DIM, ImportanceSamples
from lfi.inference.samplers.differential_evolution import DifferentialEvolution
from lfi.inference.samplers.hmc import HMC
from lfi.inference.samplers.importance import Importance, ess_of_draws, resampled
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.runtime import BriefSettings, child, fresh

MIN_ESS_PER_DRAW = 2.0  # effective sample size per draw below which there are many duplicates
MIN_OF_MANY = 0.8  # the same for each draw beyond `MANY`


@runtime_checkable
class ContinuesFromSamples(Protocol):
    """A sampler that starts from weighted samples, such as Markov chains."""

    def continue_from(
        self, target: Target, found: list[ImportanceSamples], n: int, *, seed: int, limit: TimeLimit
    ) -> tuple[Draws, ...]:
        """Return n draws of each posterior; TimeoutError if none in time is better than `found`."""
        ...


@checked
@dataclass(frozen=True, repr=False)
class Automatic(BriefSettings):
    """Importance resampling, followed by chains for the observations that need them.

    Attributes:
        importance: Draws weighted samples.
        chains: Continues from them where they do not suffice; None takes `DifferentialEvolution()`,
            or `HMC()` of more than 50 parameters where the density has a gradient.
        time_limit: Seconds after which the best draws so far are returned and marked.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[-1.0], [0.5]]),), pair)
        >>> [draws.sampler for draws in Automatic()(target, 500, seed=1)]
        ['importance', 'importance']
    """

    importance: Importance = Importance()
    chains: ContinuesFromSamples | None = None
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        check_instance("importance", self.importance, Importance)
        if self.chains is not None:
            check_instance(
                "chains", self.chains, ContinuesFromSamples, "a sampler such as lfi.samplers.HMC()"
            )
        check_settings(self)

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, limit = fresh(seed), TimeLimit.start(self.time_limit)
        min_ess = ess_of_draws(MIN_ESS_PER_DRAW, n, MIN_OF_MANY)
        found = self.importance.weighted_samples(target, n, seed=child(seed, 0), limit=limit)
        weak = [j for j, each in enumerate(found) if each.khat > MAX_KHAT or each.ess < min_ess]
        draws = resampled(found, target, n, seed, limit)
        if not weak:
            return tuple(draws)
        some, starts = target.select(torch.tensor(weak)), [found[j] for j in weak]
        try:
            chains = self.chains or _chains_for(target)
            better = chains.continue_from(some, starts, n, seed=seed, limit=limit)
        except TimeoutError:  # before the chains had anything better
            better = [replace(draws[j], timed_out=True) for j in weak]
        for j, each in zip(weak, better, strict=True):
            draws[j] = each
        return tuple(draws)


def _chains_for(target: Target) -> ContinuesFromSamples:
    """Return chains that suit the number of parameters."""
    many = target.prior.dim > MIXTURE_DIM
    return HMC() if many and target.differentiable else DifferentialEvolution()
