"""Hamiltonian Monte Carlo: all chains of all observations in one batch.

A chain at u draws a momentum z ~ N(0, I) and follows the dynamics of the energy
--log p(u) + |z|^2 / 2 by L leapfrog steps of size e in coordinates in which the posterior is about
as wide in all directions; its end is accepted with probability exp(energy before - energy after). L
is drawn anew for each transition, so that no trajectory is periodic. Chains start from resampled
importance samples and are adapted together: the step to their mean acceptance (dual averaging), the
coordinates to the covariances C of their states and G of the gradients there. They are those in
which both are equal: of a Gaussian posterior C = S G S with its covariance S, wherever the states
lie, so that chains that have not come near it know its shape (Seyboldt et al. 2026). Where weights
are those of fewer states than there are directions, chains start from tempered ones.

Any deterministic field in place of the gradient leaves the acceptance right, so a prior whose
density torch cannot differentiate costs efficiency only.

References:
    Neal, MCMC using Hamiltonian dynamics, 2011. arXiv:1206.1901
    Hoffman & Gelman, The No-U-Turn sampler, JMLR 2014. arXiv:1111.4246 (dual averaging)
    Hoffman & Sountsov, Tuning-free generalized Hamiltonian Monte Carlo, AISTATS 2022.
    Seyboldt, Carlson & Carpenter, Preconditioning Hamiltonian Monte Carlo by minimizing Fisher
    divergence, 2026. arXiv:2603.18845
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.inference.samplers.adaptive_importance import ImportanceSamples, tempering_power
from lfi.inference.samplers.convergence import many_chains_ess, nested_r_hat
from lfi.inference.samplers.importance import Importance, StartsFromSamples
from lfi.inference.samplers.metric import metric_factor
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_share
from lfi.numerics.resampling import systematic_resampling
from lfi.runtime import BriefSettings, torch_rng

MIN_CHAINS, ENOUGH_CHAINS = 64, 256  # nested R-hat compares groups; it is known to 0.01 of enough
JITTER = 0.1  # of the step, on either side
STARTS = 2  # effective states for each dimension that chains start from, at least


@checked
@dataclass(frozen=True, repr=False)
class HMC(BriefSettings, StartsFromSamples):
    """Batched Hamiltonian Monte Carlo: for posteriors of many parameters, with gradients.

    Attributes:
        start: Draws the samples that the chains start from.
        chains: How many there are for each observation, at most.
        warmup: Transitions that adapt the step and the coordinates; not among the draws.
        min_steps: How many transitions follow at least.
        max_steps: How many at most, until the effective sample size is the draws asked for.
        max_leapfrog_steps: The largest number of leapfrog steps in a transition.
        target_acceptance: The mean acceptance probability that the step is adapted to.
        time_limit: Seconds after which the draws are taken from the states so far.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[-1.0], [0.5]]),), pair)
        >>> first, second = HMC(warmup=20)(target, 500, seed=1)
        >>> first.theta.shape, first.sampler
        (torch.Size([500, 1]), 'hmc')
    """

    start: Importance = Importance(target_ess=1.0, max_samples=2**16)
    chains: int = 512
    warmup: int = 50
    min_steps: int = 20
    max_steps: int = 200
    max_leapfrog_steps: int = 8
    target_acceptance: float = 0.8
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        check_settings(self, whole=("chains", "warmup", "max_leapfrog_steps"), steps=True)
        check_share("target_acceptance", self.target_acceptance)

    @torch.no_grad()
    def continue_from(
        self, target: Target, found: list[ImportanceSamples], n: int, *, seed: int, limit: TimeLimit
    ) -> tuple[Draws, ...]:
        """Return n draws by chains from `found`; TimeoutError if time ends within the warm-up."""
        chains = max(MIN_CHAINS, min(max(n, ENOUGH_CHAINS), self.chains))
        rngs = [torch_rng(seed, 1, j) for j in range(len(found))]
        start = torch.stack([_starts(s, chains, rng) for s, rng in zip(found, rngs, strict=True)])
        state, rng = HMCState.start(target, start), torch_rng(seed, 2)
        lately = [state]
        for i in range(self.warmup):
            if limit.over:
                raise TimeoutError(
                    f"time_limit: {limit.seconds:g} seconds passed after {i} of {self.warmup} "
                    "transitions of HMC's warm-up: raise it, or take lfi.samplers.Importance"
                )
            state = state.transition(target, self.max_leapfrog_steps, rng)
            state = state.with_adapted_step(self.target_acceptance)
            lately.append(state)
            if i in (self.warmup // 3, 2 * self.warmup // 3):
                state = state.with_coordinates(lately[-(len(lately) // 2) :])
                lately = [state]
        state = state.warmed_up()
        states, min_steps = [], max(self.min_steps, math.ceil(n / chains))
        while not states or not limit.over:
            state = state.transition(target, self.max_leapfrog_steps, rng)
            states.append(state.u)
            if len(states) >= max(self.max_steps, min_steps):
                break
            if len(states) < min_steps or len(states) % 10:
                continue
            if min(many_chains_ess(each) for each in torch.stack(states, 2)) >= n:
                break
        draws = []
        for j, kept in enumerate(torch.stack(states, 2)):  # (chains, length, d)
            ess, flat = many_chains_ess(kept), kept.flatten(0, 1)
            order = torch.randperm(max(len(flat), n), generator=rngs[j])[:n] % len(flat)
            draws.append(
                found[j].to_draws(
                    flat[order],
                    target,
                    "hmc",
                    ess=ess,
                    timed_out=limit.over and ess < n,
                    limit=limit,
                    seed=seed,
                    r_hat=nested_r_hat(start[j], kept[:, -1]),
                    acceptance=float(state.accepted[j] / state.count),
                )
            )
        return tuple(draws)


@dataclass(frozen=True, eq=False)
class HMCState:
    """The chains of m observations, and their adapted leapfrog step and coordinates.

    States are u = `factor` v, and steps are taken in v. `last` are the latest mean acceptance
    probabilities, `accepted` their sums over `count` transitions, and `averages` those of dual
    averaging: centre, mean error, averaged log step.
    """

    u: Float[Tensor, "m c d"]
    density: Float[Tensor, "m c"]
    gradient: Float[Tensor, "m c d"]
    factor: Float[Tensor, "m d d"]
    log_step: Float[Tensor, " m"]
    last: Float[Tensor, " m"]
    accepted: Float[Tensor, " m"]
    averages: Float[Tensor, "3 m"]
    count: int = 0
    iteration: int = 0

    @classmethod
    def start(cls, target: Target, u: Float[Tensor, "m c d"]) -> "HMCState":
        """Return chains in states u, with a step that suits a Gaussian."""
        density, gradient = target.density_and_gradient(u)
        log_step = u.new_full((len(u),), math.log(u.shape[2] ** -0.25))
        gradient, zero = gradient.nan_to_num(0.0, 0.0, 0.0), 0 * log_step
        averages = torch.stack([zero, zero, zero])
        factor = metric_factor(u, gradient)
        return cls(u, density, gradient, factor, log_step, zero, zero, averages).restarted()

    def restarted(self) -> "HMCState":
        """Return the chains with dual averaging begun anew around twice the step."""
        averages = torch.stack([self.log_step + math.log(2.0), 0 * self.log_step, self.log_step])
        return replace(self, averages=averages, iteration=0)

    def with_coordinates(self, states: Sequence["HMCState"]) -> "HMCState":
        """Return the chains with the coordinates of some states, their own or earlier ones."""
        u = torch.cat([each.u for each in states], 1)
        gradient = torch.cat([each.gradient for each in states], 1)
        return replace(self, factor=metric_factor(u, gradient)).restarted()

    def warmed_up(self) -> "HMCState":
        """Return the chains with the averaged step, and acceptance counted from here."""
        return replace(self, log_step=self.averages[2], accepted=0 * self.accepted, count=0)

    def with_adapted_step(self, target_acceptance: float) -> "HMCState":
        """Return the chains after a step of dual averaging (Hoffman & Gelman 2014)."""
        iteration, (centre, error, mean) = self.iteration + 1, self.averages
        rate = 1 / (iteration + 10)
        error = (1 - rate) * error + rate * (target_acceptance - self.last)
        log_step = centre - math.sqrt(iteration) / 0.05 * error
        weight = iteration**-0.75
        mean = weight * log_step + (1 - weight) * mean
        averages = torch.stack([centre, error, mean])
        return replace(self, log_step=log_step, averages=averages, iteration=iteration)

    def transition(
        self, target: Target, max_leapfrog_steps: int, rng: torch.Generator
    ) -> "HMCState":
        """Return the chains after one transition each."""
        m, c, d = self.u.shape
        draw = {"generator": rng, "dtype": self.u.dtype}
        length = int(torch.randint(1, max_leapfrog_steps + 1, (), generator=rng))
        step = self.log_step.exp() * (1 + JITTER * (2 * torch.rand(m, **draw) - 1))
        stride = step[:, None, None] * self.factor
        momentum = torch.randn(m, c, d, **draw)
        energy = momentum.square().sum(-1) / 2 - self.density
        u, density, gradient = self.u, self.density, self.gradient
        for _ in range(length):
            momentum = momentum + gradient @ stride / 2
            u = u + momentum @ stride.mT
            density, gradient = target.density_and_gradient(u)
            gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
            momentum = momentum + gradient @ stride / 2
        gain = energy - (momentum.square().sum(-1) / 2 - density)
        chance = gain.nan_to_num(nan=-math.inf).clamp_max(0).exp()
        accept = torch.rand(m, c, **draw) < chance
        last = chance.mean(1)
        return replace(
            self,
            u=torch.where(accept[..., None], u, self.u),
            density=torch.where(accept, density, self.density),
            gradient=torch.where(accept[..., None], gradient, self.gradient),
            accepted=self.accepted + last,
            count=self.count + 1,
            last=last,
        )


def _starts(found: ImportanceSamples, n: int, rng: torch.Generator) -> Float[Tensor, "n d"]:
    """Return n states by weights, tempered where those of very few states are all there is."""
    weights = found.log_weights[None]
    least = min(STARTS * found.u.shape[1], len(found.u))
    power = tempering_power(weights, least)
    return found.u[systematic_resampling(power[:, None] * weights, n, rng)[0]]
