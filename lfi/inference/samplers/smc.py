"""Annealed sequential Monte Carlo: from the prior to the posterior by small steps.

Particles start as draws of the prior and pass through p(theta) w(theta)^b for powers b from 0 to 1.
Each power is as large as leaves the particles' weights w^(b' - b) worth a given share of them; they
are resampled by these weights, and moved by ensemble steps that leave p w^b invariant. Modes far
apart are found while the weight is still flat, and keep their shares. The mean weights multiply to

    log integral p(theta) w(theta) dtheta = sum_b log mean w^(b' - b),

the log evidence where w is a likelihood. For a ratio it is 0 if the ratio is exact.

Particles that descend from the same prior draw are not independent until moves have made them so.
How many independent draws they are worth follows from sums over families (Chan & Lai, Lee &
Whiteley): the mean of f over the particles has the variance

    sum over families (sum over members of f - mean f)^2 / n^2.

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

from lfi.inference.samplers.differential_evolution import stretch, walk
from lfi.inference.samplers.student_mixture import systematic, take
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.numerics import effective_sample_size
from lfi.runtime import fresh, numpy_rng, torch_rng

FEWEST = 1024  # particles
FAMILIES = 30  # below so many of them, their number is what the particles are worth


@dataclass(frozen=True)
class SMC:
    """Annealed sequential Monte Carlo: for posteriors of several modes, and for the evidence.

    Attributes:
        share: The particles' weights may fall to this share of their worth between two powers.
        moves: Ensemble steps at each power but the last.
        least: Steps at the last power, at the least.
        most: And at the most, until particles have forgotten where they were.
        time_limit: Seconds after which particles at the last power stand still; before it is
            reached there is nothing to return.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> (draws,) = SMC()(Target(prior, torch.tensor([[1.0]]), pair), 1_000, seed=1)
        >>> exact = Normal(0.0, 2**0.5).log_prob(torch.tensor(1.0))
        >>> bool((draws.log_evidence - exact).abs() < 0.1)
        True
    """

    share: float = 0.5
    moves: int = 8
    least: int = 20
    most: int = 200
    time_limit: float = 600.0

    @torch.no_grad()
    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`.

        Raises:
            ValueError: If n is not positive, or w is NaN, infinite, or zero at all prior draws.
            TimeoutError: If the time limit strikes before the last power.
        """
        if n < 1:
            raise ValueError(f"n must be positive, got {n}")
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        m, d, count = len(target), target.prior.dim, max(n, FEWEST)
        theta = target.prior.sample(m * count, rng=numpy_rng(seed, 0)).reshape(m, count, d)
        rng = torch_rng(seed, 1)
        particles, families, log_evidence = self._anneal(target, theta, clock, rng)

        def density(u: Tensor, rows: Tensor) -> Tensor:
            return sum(target.select(rows).unconstrained(u))

        end = walk(density, particles, rng, least=self.least, most=self.most, clock=clock)
        drawn = []
        for j in range(m):
            worth = families_ess(end.u[j], families[j])
            rows = torch.randperm(count, generator=rng)[:n]
            theta = target.prior.from_unconstrained(end.u[j, rows])[0]
            drawn.append(
                Draws(
                    theta=theta,
                    names=target.prior.names,
                    sampler="smc",
                    ess=min(worth, float(n)),
                    unique=len(torch.unique(theta, dim=0)),
                    khat=None,
                    r_hat=end.r_hat[j],
                    acceptance=float(end.acceptance[j]),
                    candidates=count,
                    seconds=clock.seconds,
                    seed=seed,
                    log_evidence=float(log_evidence[j]),
                    timed_out=bool(end.timed_out[j]),
                )
            )
        return tuple(drawn)

    def _anneal(
        self, target: Target, theta: Float[Tensor, "m n d"], clock: Clock, rng: torch.Generator
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
        families = torch.arange(n).repeat(m, 1)
        power, log_evidence = u.new_zeros(m), torch.zeros(m, dtype=torch.float64)
        rows = torch.arange(m)
        while len(rows):
            if clock.struck:
                raise TimeoutError(
                    f"time_limit: {clock.limit:g} seconds were over at power "
                    f"{float(power[rows].min()):.2g} of the weight, before the posterior (1) was "
                    "reached: raise it, or ask for fewer draws"
                )
            some = target.select(rows)
            now, weight = power[rows], log_weight[rows]
            step = self._step(weight, 1 - now)
            increment = step[:, None] * weight
            log_evidence[rows] += increment.double().logsumexp(1) - math.log(n)
            ancestors = systematic(increment.log_softmax(1), n, rng)
            here = take(u[rows], ancestors)
            families[rows] = families[rows].gather(1, ancestors)
            power[rows] = now = torch.where(step >= 1 - now, torch.ones_like(now), now + step)

            def density(v: Tensor, some: Target = some, now: Tensor = now) -> Tensor:
                before, weight = some.unconstrained(v)
                return before + now[:, None] * weight

            value = log_prior[rows].gather(1, ancestors) + now[:, None] * weight.gather(
                1, ancestors
            )
            for _ in range(self.moves):
                here, value, _ = stretch(density, here, value, rng)
            u[rows] = here
            log_prior[rows], log_weight[rows] = some.unconstrained(here)
            rows = rows[now < 1]
        return u, families, log_evidence

    def _step(self, log_weight: Float[Tensor, "m n"], left: Float[Tensor, " m"]) -> Tensor:
        """Return the largest increment of the power, at most what is left, that keeps the share."""
        least = self.share * log_weight.shape[1]
        low, high = torch.zeros_like(left), left.clone()
        if (effective_sample_size(high[:, None] * log_weight) >= least).all():
            return high
        for _ in range(40):
            middle = (low + high) / 2
            enough = effective_sample_size(middle[:, None] * log_weight) >= least
            low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
        whole = effective_sample_size(left[:, None] * log_weight) >= least
        return torch.where(whole, left, high)


def families_ess(u: Float[Tensor, "n d"], families: Int[Tensor, " n"]) -> float:
    """Return how many independent draws particles are worth, the worst coordinate's.

    Example:
        >>> apart = families_ess(torch.randn(2_000, 2), torch.arange(2_000))
        >>> twins = families_ess(torch.randn(1_000, 2).repeat(2, 1), torch.arange(1_000).repeat(2))
        >>> round(apart, -2), round(twins, -2)
        (2000.0, 1000.0)
    """
    n = len(u)
    names, members = families.unique(return_inverse=True)
    if len(names) < FAMILIES:
        return float(len(names))
    centred = u - u.mean(0)
    sums = torch.zeros(len(names), u.shape[1], dtype=u.dtype).index_add_(0, members, centred)
    variance = sums.square().sum(0) / n**2
    return float((centred.square().mean(0) / variance).min().clamp_max(n))
