"""Differential evolution MCMC: all chains of all observations move in one forward pass.

Each chain proposes to move along the difference of two chains of the other half,

    u' = u + g (u_a - u_b) + small noise,

which adapts to scale and correlation without tuning; one proposal in ten has g = 1, which carries
chains from mode to mode. Half the chains move given the other half, so detailed balance holds.
Chains start from resampled importance samples, which may hold duplicates, and run until their
states no longer depend on where they started (nested R-hat). The draws are their last states.

References:
    ter Braak, A Markov chain Monte Carlo version of differential evolution, 2006.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.inference.samplers.adaptive_importance import ImportanceSamples
from lfi.inference.samplers.convergence import GROUPS, nested_r_hat
from lfi.inference.samplers.importance import Importance, StartsFromSamples
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.numerics.resampling import take_rows
from lfi.runtime import BriefSettings, torch_rng

MAX_EXCESS = 0.005  # of nested R-hat over 1, below which chains have converged,
NOISE = 0.27  # or three of its standard errors, of this over a group's size (sqrt(2 / 7) / 2)
CHECK_EVERY = 10  # steps
MIN_CHAINS = 1024

Density = Callable[[Float[Tensor, "m n d"], Int[Tensor, " m"]], Float[Tensor, "m n"]]


@dataclass(frozen=True)
class ChainStates:
    """The last states of the chains of m observations, and whether time ended any too early."""

    u: Float[Tensor, "m n d"]
    acceptance: Float[Tensor, " m"]
    r_hat: Float[Tensor, "m d"]
    steps: Int[Tensor, " m"]
    timed_out: Bool[Tensor, " m"]

    @property
    def explained(self) -> Float[Tensor, " m"]:
        """The largest share of the chains' variance that their starts explain."""
        return (1 - self.r_hat**-2).amax(1)


@checked
@dataclass(frozen=True, repr=False)
class DifferentialEvolution(BriefSettings, StartsFromSamples):
    """Differential evolution MCMC, one chain for each draw, without gradients.

    Attributes:
        start: Draws the samples that the chains start from.
        min_steps: How many steps the chains take at least.
        max_steps: How many steps the chains take at most.
        time_limit: Seconds after which the chains stop.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[-1.0], [0.5]]),), pair)
        >>> first, second = DifferentialEvolution()(target, 500, seed=1)
        >>> first.theta.shape, first.sampler
        (torch.Size([500, 1]), 'differential evolution')
    """

    start: Importance = Importance(target_ess=1.0, max_samples=2**16)
    min_steps: int = 40
    max_steps: int = 400
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        check_settings(self, steps=True)

    @torch.no_grad()
    def continue_from(
        self, target: Target, found: list[ImportanceSamples], n: int, *, seed: int, limit: TimeLimit
    ) -> tuple[Draws, ...]:
        """Return n draws by chains that start from the samples of each observation."""
        chains = max(n, MIN_CHAINS, 2 * target.prior.dim + 2)
        rngs = [torch_rng(seed, 1, j) for j in range(len(found))]
        starts = [each.resample(chains, rng) for each, rng in zip(found, rngs, strict=True)]
        steps = {"min_steps": self.min_steps, "max_steps": self.max_steps}
        density = lambda u, rows: target.select(rows).unconstrained_density(u)
        end = run_chains(density, torch.stack(starts), torch_rng(seed, 2), **steps, limit=limit)
        draws = []
        for j, samples in enumerate(found):
            rows = torch.randperm(chains, generator=rngs[j])[:n]
            explained = float(end.explained[j])
            draws.append(
                samples.to_draws(
                    end.u[j, rows],
                    target,
                    "differential evolution",
                    ess=n * (1 - explained) + min(n, samples.ess) * explained,
                    timed_out=bool(end.timed_out[j]),
                    limit=limit,
                    seed=seed,
                    r_hat=end.r_hat[j],
                    acceptance=float(end.acceptance[j]),
                )
            )
        return tuple(draws)


def run_chains(
    density: Density,
    start: Float[Tensor, "m n d"],
    rng: torch.Generator,
    *,
    min_steps: int = 40,
    max_steps: int = 400,
    limit: TimeLimit | None = None,
) -> ChainStates:
    """Run the chains of each observation until they have converged, or their time is over.

    density(u, rows) returns the log density of (k, n, d) unconstrained points for the observations
    `rows`, (k, n), up to a constant. ValueError for too few chains, or a start of density zero.
    """
    m, n, d = start.shape
    if n < (min_chains := max(2 * d + 2, 4 * GROUPS)):
        raise ValueError(f"start: {n} chains are too few for {d} dimensions, need {min_chains}")
    rows = torch.arange(m)
    now = density(start, rows)
    if not now.isfinite().all():
        raise ValueError("start: a chain begins where the target density is not finite")
    last, u, r_hat = start.clone(), start.clone(), start.new_full((m, d), math.inf)
    accepted, steps = start.new_zeros(m), torch.zeros(m, dtype=torch.long)
    late = torch.zeros(m, dtype=torch.bool)
    converged = 1 + max(MAX_EXCESS, 3 * NOISE * GROUPS / n)
    for step in range(1, max_steps + 1):
        over = limit is not None and limit.over
        if not over:
            own = lambda v, rows=rows: density(v, rows)
            u, now, share = differential_evolution_step(own, u, now, rng)
            accepted[rows] += share.to(accepted)
            steps[rows] += 1
        if over or step == max_steps or (step >= min_steps and step % CHECK_EVERY == 0):
            r_hat[rows] = torch.stack(list(map(nested_r_hat, start[rows], u)))
            done = r_hat[rows].amax(1) < converged
            last[rows], late[rows] = u, over & ~done
            u, now, rows = u[~done], now[~done], rows[~done]
            if over or len(rows) == 0:
                break
    return ChainStates(last, accepted / steps.clamp_min(1), r_hat, steps, late)


def differential_evolution_step(
    density: Callable[[Tensor], Tensor],
    u: Float[Tensor, "m n d"],
    now: Float[Tensor, "m n"],
    rng: torch.Generator,
) -> tuple[Float[Tensor, "m n d"], Float[Tensor, "m n"], Float[Tensor, " m"]]:
    """Move all chains, half at a time; return states, log densities and the share accepted."""
    m, n, d = u.shape
    draw = {"generator": rng, "dtype": u.dtype}
    halves = [u[:, : n // 2], u[:, n // 2 :]]
    values, shares = [now[:, : n // 2], now[:, n // 2 :]], []
    for own in (0, 1):
        others, k = halves[1 - own], halves[own].shape[1]
        size = others.shape[1]
        first = torch.randint(size, (m, k), generator=rng)
        second = (first + torch.randint(1, size, (m, k), generator=rng)) % size
        difference = take_rows(others, first) - take_rows(others, second)
        jump = torch.rand(m, k, 1, **draw) < 0.1
        scale = 2.38 / math.sqrt(2 * d) * (0.5 + torch.rand(m, k, 1, **draw))
        noise = 1e-4 * others.std(1, keepdim=True) * torch.randn(m, k, d, **draw)
        trial = halves[own] + torch.where(jump, 1.0, scale) * difference + noise
        value = density(trial)
        accept = torch.rand(m, k, **draw).log() < value - values[own]
        halves[own] = torch.where(accept[..., None], trial, halves[own])
        values[own] = torch.where(accept, value, values[own])
        shares.append(accept.double().sum(1))
    return torch.cat(halves, 1), torch.cat(values, 1), torch.stack(shares).sum(0) / n
