"""Annealed sequential Monte Carlo: from the prior to the posterior through tempered densities.

Particles start as draws of the prior and pass through p(theta) w(theta)^b for powers b from 0 to 1.
Each power is as large as leaves the weights w^(b' - b) a given share of their effective sample
size; particles are resampled by these weights, and moved by steps of differential evolution that
leave p w^b invariant. Modes far apart are found while the weight is still flat, and keep their
shares. The mean weights multiply to the evidence where w is a likelihood, to 1 for an exact ratio:

    log integral p(theta) w(theta) dtheta = sum_b log mean w^(b' - b).

Particles that descend from the same prior draw are dependent until steps have separated them. So
their effective sample size follows from the variance of the mean of f over them (Chan & Lai, Lee &
Whiteley),

    sum over first ancestors (sum over descendants of f - mean f)^2 / n^2.

References:
    Del Moral, Doucet & Jasra, Sequential Monte Carlo samplers, JRSS B 2006.
    Chan & Lai, A general theory of particle filters in hidden Markov models, Annals of Stat. 2013.
    Lee & Whiteley, Variance estimation in the particle filter, Biometrika 2018. arXiv:1509.00394
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.inference.draws import Draws
from lfi.inference.samplers.adaptive_importance import tempering_power
from lfi.inference.samplers.differential_evolution import differential_evolution_step, run_chains
from lfi.inference.samplers.settings import check_settings
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_share
from lfi.numerics.resampling import systematic_resampling, take_rows
from lfi.runtime import BriefSettings, fresh, numpy_rng, torch_rng

MIN_PARTICLES = 1024
MIN_ANCESTORS = 30  # fewer of them are the effective sample size themselves


@checked
@dataclass(frozen=True, repr=False)
class SMC(BriefSettings):
    """Annealed sequential Monte Carlo: for posteriors of several modes, and for the evidence.

    Attributes:
        min_ess: The share of the effective sample size that is left between two powers.
        steps: Steps of the particles at each power but the last.
        min_steps: Steps at the last power, at least.
        max_steps: Steps at the last power, at most, until the particles have converged.
        time_limit: Seconds after which particles at the last power stop; before it is reached
            there is nothing to return.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> (draws,) = SMC()(Target(prior, (torch.tensor([[1.0]]),), pair), 1_000, seed=1)
        >>> exact = Normal(0.0, 2**0.5).log_prob(torch.tensor(1.0))
        >>> bool((draws.log_evidence - exact).abs() < 0.1)
        True
    """

    min_ess: float = 0.5
    steps: int = 8
    min_steps: int = 20
    max_steps: int = 200
    time_limit: float = 600.0

    def __post_init__(self) -> None:
        check_share("min_ess", self.min_ess)
        check_settings(self, whole_or_zero=("steps",), steps=True)

    @torch.no_grad()
    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`.

        Raises:
            ValueError: If n is not positive, or w is NaN, infinite, or zero at all prior draws.
            TimeoutError: If time runs out before the last power.
        """
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        seed, limit = fresh(seed), TimeLimit.start(self.time_limit)
        m, d, count = len(target), target.prior.dim, max(n, MIN_PARTICLES)
        theta = target.prior.sample(m * count, seed=numpy_rng(seed, 0)).reshape(m, count, d)
        rng = torch_rng(seed, 1)
        particles, ancestors, log_evidence = self._anneal(target, theta, limit, rng)
        steps = {"min_steps": self.min_steps, "max_steps": self.max_steps}
        density = lambda u, rows: target.select(rows).unconstrained_density(u)
        end = run_chains(density, particles, rng, **steps, limit=limit)
        draws = []
        for j in range(m):
            ess = genealogical_ess(end.u[j], ancestors[j])
            rows = torch.randperm(count, generator=rng)[:n]
            draws.append(
                Draws(
                    theta=target.prior.from_unconstrained(end.u[j, rows])[0],
                    names=target.prior.names,
                    sampler="smc",
                    ess=min(ess, float(n)),
                    proposals=count,
                    seconds=limit.elapsed,
                    seed=seed,
                    r_hat=end.r_hat[j],
                    acceptance=float(end.acceptance[j]),
                    log_evidence=float(log_evidence[j]),
                    timed_out=bool(end.timed_out[j]),
                )
            )
        return tuple(draws)

    def _anneal(
        self, target: Target, theta: Float[Tensor, "m n d"], limit: TimeLimit, rng: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return particles at power 1, the prior draws they descend from, and the log evidence."""
        u = target.prior.to_unconstrained(theta)
        log_prior, log_weight = target.unconstrained(u)
        for j, each in enumerate(log_weight):
            if each.isnan().any() or (each == math.inf).any():
                raise ValueError(f"the weight of observation {j} is NaN or infinite")
            if not each.isfinite().any():
                raise ValueError(f"the weight of observation {j} is zero at all prior draws")
        m, n = log_weight.shape
        first = torch.arange(n).repeat(m, 1)
        power, log_evidence = u.new_zeros(m), torch.zeros(m, dtype=torch.float64)
        rows = torch.arange(m)
        while len(rows):
            if limit.over:
                raise TimeoutError(
                    f"time_limit: {limit.seconds:g} seconds passed at power "
                    f"{float(power[rows].min()):.2g} of the weight, before the posterior (1) was "
                    "reached: raise it, lower min_ess, or ask for fewer draws"
                )
            some = target.select(rows)
            now, weight = power[rows], log_weight[rows]
            step = tempering_power(weight, self.min_ess * n, 1 - now, bisections=40)
            increment = step[:, None] * weight
            log_evidence[rows] += increment.double().logsumexp(1) - math.log(n)
            ancestors = systematic_resampling(increment.log_softmax(1), n, rng)
            moved = take_rows(u[rows], ancestors)
            first[rows] = first[rows].gather(1, ancestors)
            power[rows] = now = torch.where(step >= 1 - now, torch.ones_like(now), now + step)

            def density(v: Tensor, some: Target = some, now: Tensor = now) -> Tensor:
                before, weight = some.unconstrained(v)
                return before + now[:, None] * weight

            weight = weight.gather(1, ancestors)
            value = log_prior[rows].gather(1, ancestors) + now[:, None] * weight
            for _ in range(self.steps):
                moved, value, _ = differential_evolution_step(density, moved, value, rng)
            u[rows] = moved
            log_prior[rows], log_weight[rows] = some.unconstrained(moved)
            rows = rows[now < 1]
        return u, first, log_evidence


def genealogical_ess(u: Float[Tensor, "n d"], ancestors: Int[Tensor, " n"]) -> float:
    """Return the ESS of particles, the smallest of all coordinates, by their prior draws."""
    n = len(u)
    distinct, members = ancestors.unique(return_inverse=True)
    if len(distinct) < MIN_ANCESTORS:
        return float(len(distinct))
    centred = u - u.mean(0)
    sums = torch.zeros(len(distinct), u.shape[1], dtype=u.dtype).index_add_(0, members, centred)
    variance = sums.square().sum(0) / n**2
    return float((centred.square().mean(0) / variance).min().clamp_max(n))
