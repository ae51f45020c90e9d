"""Ensemble Markov chains: every walker in one forward pass, steps from differences of others.

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
from jaxtyping import Float
from torch import Tensor

LEAST, MOST = 40, 400  # steps
FORGOTTEN = 1.005  # the nested R-hat below which walkers have moved enough
GROUPS = 8

Target = Callable[[Float[Tensor, "n d"]], Float[Tensor, " n"]]


@dataclass(frozen=True)
class Walk:
    """Where an ensemble ended.

    Attributes:
        u: The walkers' last places, (n, d).
        acceptance: The share of proposals accepted.
        r_hat: Nested R-hat of each dimension, (d,).
        steps: How many steps each walker took.
    """

    u: Float[Tensor, "n d"]
    acceptance: float
    r_hat: Float[Tensor, " d"]
    steps: int

    @property
    def memory(self) -> float:
        """The largest share of the walkers' variance that their starts explain."""
        return float((1 - self.r_hat**-2).max())


def nested_r_hat(start: Float[Tensor, "n d"], end: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return, for each dimension, whether walkers that started apart are still apart.

    Walkers are grouped by the eighth of the ensemble that they started in. With B the variance of
    the groups' means at the end, and W the mean variance inside, R-hat is sqrt(1 + B / W). Many
    short chains are judged by this where split R-hat would judge their length.

    References:
        Margossian et al., Nested R-hat, Bayesian Analysis 2024. arXiv:2110.13017

    Example:
        >>> start = torch.randn(4000, 2)
        >>> bool((nested_r_hat(start, torch.randn(4000, 2)) < 1.005).all())
        True
        >>> bool((nested_r_hat(start, start) > 2).all())
        True
    """
    size = len(start) // GROUPS
    order = start.argsort(dim=0)[: size * GROUPS]
    grouped = end.gather(0, order).reshape(GROUPS, size, -1)
    within = grouped.var(1).mean(0)
    between = (grouped.mean(1).var(0) - within / size).clamp_min(0)  # less what chance puts there
    return (1 + between / within).sqrt().nan_to_num(nan=1.0)


def walk(target: Target, start: Float[Tensor, "n d"], rng: torch.Generator) -> Walk:
    """Move an ensemble until it has forgotten its start, or 400 steps.

    Args:
        target: The log density of (n, d) unconstrained points, any constant added.
        start: Where the walkers begin, at least 2 d + 2 of them, all of finite density.
        rng: The generator to draw from.

    Raises:
        ValueError: If there are too few walkers, or one starts where the density is zero.
    """
    n, d = start.shape
    least = max(2 * d + 2, 4 * GROUPS)
    if n < least:
        raise ValueError(f"start: {n} walkers are too few for {d} dimensions, need {least}")
    u, density = start.clone(), target(start)
    if not density.isfinite().all():
        raise ValueError("start: a walker begins where the target density is not finite")
    halves = torch.arange(n // 2), torch.arange(n // 2, n)
    accepted = proposed = 0
    draw = {"generator": rng, "dtype": u.dtype}
    for step in range(1, MOST + 1):
        for mine, others in (halves, halves[::-1]):
            k = len(mine)
            first = torch.randint(len(others), (k,), generator=rng)
            second = (first + torch.randint(1, len(others), (k,), generator=rng)) % len(others)
            jump = torch.rand(k, 1, **draw) < 0.1
            scale = 2.38 / math.sqrt(2 * d) * (0.5 + torch.rand(k, 1, **draw))
            difference = u[others[first]] - u[others[second]]
            noise = 1e-4 * u[others].std(0) * torch.randn(k, d, **draw)
            trial = u[mine] + torch.where(jump, 1.0, scale) * difference + noise
            value = target(trial)
            accept = torch.rand(k, **draw).log() < value - density[mine]
            u[mine] = torch.where(accept[:, None], trial, u[mine])
            density[mine] = torch.where(accept, value, density[mine])
            accepted, proposed = accepted + int(accept.sum()), proposed + k
        if step >= LEAST and step % 20 == 0 and nested_r_hat(start, u).max() < FORGOTTEN:
            break
    return Walk(u, accepted / proposed, nested_r_hat(start, u), step)
