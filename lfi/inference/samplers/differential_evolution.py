"""Ensemble Markov chains: all walkers of all observations move in one forward pass.

Each walker proposes to move along the difference of two walkers of the other half,

    u' = u + g (u_a - u_b) + small noise,

which adapts to scale and correlation without tuning; one proposal in ten has g = 1, which carries
walkers from mode to mode. Half the walkers move given the other half, so detailed balance holds.
Walkers start from resampled importance draws, which may hold duplicates, and move until where they
are no longer tells where they started (nested R-hat). The draws are their last places.

References:
    ter Braak, A Markov chain Monte Carlo version of the genetic algorithm differential evolution,
    Statistics and Computing 2006.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lfi.inference.samplers.adaptive_importance import Candidates
from lfi.inference.samplers.convergence import GROUPS, nested_r_hat
from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.target import Clock, Target
from lfi.inference.types import Draws
from lfi.runtime import child, fresh, torch_rng

FORGOTTEN = 0.005  # the excess of nested R-hat over 1 below which walkers have moved enough,
NOISE = 0.27  # or three of its standard errors, of this over a group's size (sqrt(2 / 7) / 2)
EVERY = 10  # steps between looks at it
FEWEST = 1024  # walkers

Density = Callable[[Float[Tensor, "m n d"], Int[Tensor, " m"]], Float[Tensor, "m n"]]


@dataclass(frozen=True)
class Walk:
    """Where the ensembles of m observations ended.

    Attributes:
        u: The walkers' last places, (m, n, d).
        acceptance: The share of proposals accepted, (m,).
        r_hat: Nested R-hat of each dimension, (m, d).
        steps: How many steps each walker took, (m,).
        timed_out: Whether the time limit struck before they had forgotten their start, (m,).
    """

    u: Float[Tensor, "m n d"]
    acceptance: Float[Tensor, " m"]
    r_hat: Float[Tensor, "m d"]
    steps: Int[Tensor, " m"]
    timed_out: Bool[Tensor, " m"]

    @property
    def memory(self) -> Float[Tensor, " m"]:
        """The largest share of the walkers' variance that their starts explain."""
        return (1 - self.r_hat**-2).amax(1)


@dataclass(frozen=True)
class Ensemble:
    """Differential evolution of as many walkers as draws are asked for, without gradients.

    Attributes:
        start: Finds where the walkers start.
        least: How many steps they take at the least.
        most: And at the most.
        time_limit: Seconds after which they stand still.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 0.1).log_prob(x).sum(-1)
        >>> target = Target(prior, torch.tensor([[-1.0], [0.5]]), pair)
        >>> first, second = Ensemble()(target, 500, seed=1)
        >>> first.theta.shape, first.sampler
        (torch.Size([500, 1]), 'ensemble')
    """

    start: Importance = Importance(worth=1.0, most=2**16)
    least: int = 40
    most: int = 400
    time_limit: float = 600.0

    def __call__(self, target: Target, n: int, *, seed: int | None = None) -> tuple[Draws, ...]:
        """Return n draws of each observation's posterior; see `Sampler`."""
        seed, clock = fresh(seed), Clock.start(self.time_limit)
        found = self.start.weigh(target, n, seed=child(seed, 0), clock=clock)
        return self.go_on(target, found, n, seed=seed, clock=clock)

    @torch.no_grad()
    def go_on(
        self, target: Target, found: list[Candidates], n: int, *, seed: int, clock: Clock
    ) -> tuple[Draws, ...]:
        """Return n draws by walkers that start from the candidates of each observation."""
        walkers = max(n, FEWEST, 2 * target.prior.dim + 2)
        rngs = [torch_rng(seed, 1, j) for j in range(len(found))]
        starts = [each.resample(walkers, rng) for each, rng in zip(found, rngs, strict=True)]

        def density(u: Tensor, rows: Tensor) -> Tensor:
            return sum(target.select(rows).unconstrained(u))

        end = walk(
            density,
            torch.stack(starts),
            torch_rng(seed, 2),
            least=self.least,
            most=self.most,
            clock=clock,
        )
        draws = []
        for j, candidates in enumerate(found):
            rows = torch.randperm(walkers, generator=rngs[j])[:n]
            theta, memory = target.prior.from_unconstrained(end.u[j, rows])[0], float(end.memory[j])
            ess = n * (1 - memory) + min(n, candidates.ess) * memory
            draws.append(
                Draws(
                    theta=theta,
                    names=target.prior.names,
                    sampler="ensemble",
                    ess=min(ess, float(n)),
                    unique=len(torch.unique(theta, dim=0)),
                    khat=candidates.khat,
                    r_hat=end.r_hat[j],
                    acceptance=float(end.acceptance[j]),
                    candidates=len(candidates.u),
                    seconds=clock.seconds,
                    seed=seed,
                    log_evidence=candidates.log_evidence,
                    timed_out=bool(end.timed_out[j]),
                )
            )
        return tuple(draws)


def walk(
    density: Density,
    start: Float[Tensor, "m n d"],
    rng: torch.Generator,
    *,
    least: int = 40,
    most: int = 400,
    clock: Clock | None = None,
) -> Walk:
    """Move ensembles until each has forgotten its start; those that have stand still.

    Args:
        density: density(u, rows) returns the log density of (k, n, d) unconstrained points for the
            observations `rows`, (k, n), any constants added.
        start: Where the walkers begin, at least 2 d + 2 of them, all of finite density.
        rng: The generator to draw from.
        least: How many steps are taken at the least.
        most: And at the most.
        clock: Walkers stand still once it has struck.

    Raises:
        ValueError: If there are too few walkers, or one starts where the density is zero.
    """
    m, n, d = start.shape
    if n < (fewest := max(2 * d + 2, 4 * GROUPS)):
        raise ValueError(f"start: {n} walkers are too few for {d} dimensions, need {fewest}")
    rows = torch.arange(m)
    now = density(start, rows)
    if not now.isfinite().all():
        raise ValueError("start: a walker begins where the target density is not finite")
    places, u, r_hat = start.clone(), start.clone(), start.new_full((m, d), math.inf)
    accepted, steps = start.new_zeros(m), torch.zeros(m, dtype=torch.long)
    late = torch.zeros(m, dtype=torch.bool)
    forgotten = 1 + max(FORGOTTEN, 3 * NOISE * GROUPS / n)
    for step in range(1, most + 1):
        struck = clock is not None and clock.struck
        if not struck:
            u, now, moved = stretch(lambda v, rows=rows: density(v, rows), u, now, rng)
            accepted[rows] += moved.to(accepted)
            steps[rows] += 1
        if struck or step == most or (step >= least and step % EVERY == 0):
            r_hat[rows] = torch.stack(list(map(nested_r_hat, start[rows], u)))
            done = r_hat[rows].amax(1) < forgotten
            places[rows], late[rows] = u, struck & ~done
            u, now, rows = u[~done], now[~done], rows[~done]
            if struck or len(rows) == 0:
                break
    return Walk(places, accepted / steps.clamp_min(1), r_hat, steps, late)


def stretch(
    density: Callable[[Tensor], Tensor],
    u: Float[Tensor, "m n d"],
    now: Float[Tensor, "m n"],
    rng: torch.Generator,
) -> tuple[Float[Tensor, "m n d"], Float[Tensor, "m n"], Float[Tensor, " m"]]:
    """Move every walker once, half of them at a time.

    Args:
        density: The log density of (m, k, d), (m, k).
        u: The walkers.
        now: The log density where they are.
        rng: The generator to draw from.

    Returns:
        The walkers, their log density, and the share of proposals accepted.
    """
    m, n, d = u.shape
    draw = {"generator": rng, "dtype": u.dtype}
    halves = [u[:, : n // 2], u[:, n // 2 :]]
    values, shares = [now[:, : n // 2], now[:, n // 2 :]], []
    for mine in (0, 1):
        others, k = halves[1 - mine], halves[mine].shape[1]
        size = others.shape[1]
        first = torch.randint(size, (m, k), generator=rng)
        second = (first + torch.randint(1, size, (m, k), generator=rng)) % size
        difference = _take(others, first) - _take(others, second)
        jump = torch.rand(m, k, 1, **draw) < 0.1
        scale = 2.38 / math.sqrt(2 * d) * (0.5 + torch.rand(m, k, 1, **draw))
        noise = 1e-4 * others.std(1, keepdim=True) * torch.randn(m, k, d, **draw)
        trial = halves[mine] + torch.where(jump, 1.0, scale) * difference + noise
        value = density(trial)
        accept = torch.rand(m, k, **draw).log() < value - values[mine]
        halves[mine] = torch.where(accept[..., None], trial, halves[mine])
        values[mine] = torch.where(accept, value, values[mine])
        shares.append(accept.double().sum(1))
    return torch.cat(halves, 1), torch.cat(values, 1), sum(shares) / n


def _take(u: Tensor, rows: Tensor) -> Tensor:
    return u.gather(1, rows[..., None].expand(-1, -1, u.shape[2]))
