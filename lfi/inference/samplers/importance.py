"""Sampling-importance resampling (SIR) of samples from `adaptive_importance`.

Resampling is systematic: a sample is repeated only where its weight is above 1 / n.

References:
    Rubin, Using the SIR algorithm to simulate posterior distributions, Bayesian Statistics 3, 1988.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from lfi.inference.draws import Draws
from lfi.inference.samplers.adaptive_importance import ImportanceSamples, adaptive_importance
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.runtime import BriefSettings, child, fresh, torch_rng

# initial samples: four for each draw between these
MIN_INITIAL, MAX_INITIAL = 2**12, 2**14
MIN_PROPOSED = 2**10  # where half of them are from a proposal
MANY = 100_000  # draws: of those beyond, some may repeat each other
SEVERAL, SAMPLES_PER_DRAW = 10_000, 8  # at most, for each of those beyond


@checked
@dataclass(frozen=True, repr=False)
class Importance(BriefSettings):
    """Importance resampling, the fastest sampler and the only one whose draws are independent.

    Attributes:
        target_ess: The effective sample size to reach, as a multiple of the draws asked for, and
            one more for each draw beyond 100,000.
        max_samples: How many samples are weighted at most for each observation, and eight more for
            each draw beyond 10,000.
        time_limit: Seconds after which the samples so far are resampled.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[-1.0], [0.5]]),), pair)
        >>> first, second = Importance()(target, 1_000, seed=1)
        >>> first.theta.shape, first.khat < 0.7
        (torch.Size([1000, 1]), True)
    """

    target_ess: float = 2.5
    max_samples: int = 2**18
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        check_settings(self, whole=("max_samples",), positive=("target_ess",))

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, limit = fresh(seed), TimeLimit.start(self.time_limit)
        found = self.weighted_samples(target, n, seed=child(seed, 0), limit=limit)
        return tuple(resampled(found, target, n, seed, limit))

    def weighted_samples(
        self, target: Target, n: int, *, seed: int, limit: TimeLimit
    ) -> list[ImportanceSamples]:
        """Return weighted samples for each observation, of effective size `target_ess` times n.

        It is one more for each draw beyond 100,000. A ValueError says that n is not positive, or w
        is NaN, infinite, or zero at all samples.
        """
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        least = MIN_INITIAL if target.proposal is None else MIN_PROPOSED
        max_samples = self.max_samples + SAMPLES_PER_DRAW * max(0, n - SEVERAL)
        return adaptive_importance(
            target,
            ess_of_draws(self.target_ess, n),
            initial=min(max(4 * n, least), MAX_INITIAL, self.max_samples),
            max_samples=max_samples,
            seed=seed,
            limit=limit,
        )


def ess_of_draws(per_draw: float, n: int, of_many: float = 1.0) -> float:
    """Return the effective sample size that n draws take, less for each beyond 100,000.

    Example:
        >>> ess_of_draws(2.0, 1_000), ess_of_draws(2.0, 1_000_000)
        (2000.0, 1100000.0)
    """
    return per_draw * min(n, MANY) + min(of_many, per_draw) * max(0, n - MANY)


class StartsFromSamples(ABC):
    """A sampler that starts from importance samples drawn by `start`, such as Markov chains."""

    start: Importance
    time_limit: float

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, limit = fresh(seed), TimeLimit.start(self.time_limit)
        found = self.start.weighted_samples(target, n, seed=child(seed, 0), limit=limit)
        return self.continue_from(target, found, n, seed=seed, limit=limit)

    @abstractmethod
    def continue_from(
        self, target: Target, found: list[ImportanceSamples], n: int, *, seed: int, limit: TimeLimit
    ) -> tuple[Draws, ...]:
        """Return n draws of each posterior; TimeoutError if none in time is better than `found`."""


def resampled(
    found: list[ImportanceSamples], target: Target, n: int, seed: int, limit: TimeLimit
) -> list[Draws]:
    """Return n of the samples of each observation as draws."""
    draws = []
    for j, each in enumerate(found):
        u, late = each.resample(n, torch_rng(seed, 1, j)), each.timed_out
        draws.append(
            each.to_draws(
                u, target, "importance", ess=each.ess, timed_out=late, limit=limit, seed=seed
            )
        )
    return draws
