"""The No-U-Turn sampler of Pyro: one chain at a time, for a second opinion or a difficult geometry.

It chooses the length of every trajectory by itself, and takes minutes for a network where the
batched samplers take seconds.

References:
    Hoffman & Gelman, The No-U-Turn sampler, JMLR 2014. arXiv:1111.4246
    Bingham et al., Pyro: deep universal probabilistic programming, JMLR 2019. arXiv:1810.09538
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.inference.samplers.adaptive_importance import ImportanceSamples
from lfi.inference.samplers.importance import Importance, StartsFromSamples
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive
from lfi.runtime import BriefSettings, child, torch_rng
from lfi.runtime.seeds import isolated

MIN_LENGTH = 4  # states of a chain that R-hat needs

Potential = Callable[[dict[str, Tensor]], Tensor]  # minus the log density of a point


class TimeOver(Exception):
    """Ends a chain of Pyro once time has run out."""


@checked
@dataclass(frozen=True, repr=False)
class NUTS(BriefSettings, StartsFromSamples):
    """Pyro's No-U-Turn sampler, or its HMC where a trajectory is given.

    Attributes:
        chains: How many chains run one after the other, for each observation.
        warmup: Transitions that adapt the step and the mass matrix; not among the draws.
        trajectory: None ends each trajectory where it turns back; a number is the length of all.
        start: Draws the samples that the chains start from.
        time_limit: Seconds after which the draws are taken from the states so far.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[0.5]]),), pair)
        >>> (draws,) = NUTS(chains=2, warmup=20)(target, 40, seed=1)
        >>> draws.theta.shape, draws.sampler
        (torch.Size([40, 1]), 'nuts')
    """

    chains: int = 4
    warmup: int = 200
    trajectory: float | None = None
    start: Importance = Importance(target_ess=0.1, max_samples=2**16)
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        check_settings(self, whole=("chains", "warmup"))
        check_positive("trajectory", self.trajectory, optional=True)

    def continue_from(
        self, target: Target, found: list[ImportanceSamples], n: int, *, seed: int, limit: TimeLimit
    ) -> tuple[Draws, ...]:
        """Return n draws by chains from `found`; TimeoutError if time ends in the first warm-up."""
        return tuple(
            self._one(target.select(torch.tensor([j])), samples, n, child(seed, 1, j), limit, seed)
            for j, samples in enumerate(found)
        )

    def _one(
        self,
        target: Target,
        samples: ImportanceSamples,
        n: int,
        own: int,
        limit: TimeLimit,
        seed: int,
    ) -> Draws:
        rng = torch_rng(own, 0)
        _, middle, scale = samples.resampled_moments(256, rng)
        starts = (samples.resample(self.chains, rng) - middle) / scale

        def potential(parameters: dict[str, Tensor]) -> Tensor:
            u = (middle + scale * parameters["v"])[None, None]
            return -target.unconstrained_density(u).squeeze()

        length, chains, rates = math.ceil(n / self.chains), [], []
        for k, place in enumerate(starts):
            with isolated(child(own, 1, k)):
                states, rate = self._chain(potential, place, length, limit)
            if states:
                chains.append(middle + scale * torch.stack(states))
                rates.append(rate)
        if not chains:
            raise TimeoutError(
                f"time_limit: {limit.seconds:g} seconds passed before NUTS had warmed up: raise "
                "it, or take a batched sampler such as lfi.samplers.HMC"
            )
        r_hat, ess = _diagnose(chains)
        states = torch.cat(chains)
        rows = torch.randperm(max(len(states), n), generator=rng)[:n] % len(states)
        return samples.to_draws(
            states[rows],
            target,
            "nuts" if self.trajectory is None else "pyro hmc",
            ess=ess,
            timed_out=len(states) < n,
            limit=limit,
            seed=seed,
            r_hat=r_hat,
            acceptance=sum(rates) / len(rates),
        )

    def _chain(
        self, potential: Potential, place: Float[Tensor, " d"], length: int, limit: TimeLimit
    ) -> tuple[list[Tensor], float]:
        """Return a chain's states, as many as there was time for, and its acceptance."""
        from pyro.infer.mcmc import HMC, MCMC, NUTS as Pyro

        if self.trajectory is None:
            kernel = Pyro(potential_fn=potential)
        else:
            kernel = HMC(potential_fn=potential, trajectory_length=self.trajectory)
        states, rates = [], [math.nan]

        def hook(kernel: HMC, parameters: dict[str, Tensor], stage: str, i: int) -> None:
            if stage.startswith("Sample"):
                states.append(parameters["v"].detach().clone())
                rates[0] = float(kernel.diagnostics()["acceptance rate"])
            if limit.over:
                raise TimeOver

        chain = MCMC(
            kernel,
            num_samples=length,
            warmup_steps=self.warmup,
            initial_params={"v": place},
            hook_fn=hook,
            disable_progbar=True,
        )
        with suppress(TimeOver):
            chain.run()
        return states, rates[0]


def _diagnose(chains: list[Float[Tensor, "length d"]]) -> tuple[Tensor | None, float]:
    """Return R-hat of every dimension, None for short chains, and the effective sample size."""
    from pyro.ops.stats import effective_sample_size, split_gelman_rubin

    length = min(map(len, chains))
    if length < MIN_LENGTH:
        return None, float(len(chains))
    states = torch.stack([chain[:length] for chain in chains])
    ess = effective_sample_size(states, chain_dim=0, sample_dim=1)
    return split_gelman_rubin(states, chain_dim=0, sample_dim=1), float(ess.min())
