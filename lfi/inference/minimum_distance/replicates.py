"""Minima of many problems near that of one: replicates of a bootstrap, solved together.

A replicate's data are nearly those of the estimate, and so are its simulations at equal random
numbers z. What both have in common is noise that need not be averaged out: the gradient

    g_b(u_b; z) - g(u; z) + E g(u; z)

has the mean of g_b(u_b; z), and a variance of the order of 1/n of it (control variates, as in SVRG:
Johnson & Zhang 2013), where simulations follow theta smoothly at equal z. Steps are Newton's with
the curvature at the estimate, so that units make no difference; the last half of them is averaged.

Where simulations do not follow, as in chaos, only those at equal theta have much in common. Every
step is then the first one, taken anew: the bootstrap of the linearised estimate, whose error is of
the order of 1/n beside a deviation of n^(-1/2). Replicates share the simulations.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.inference.minimum_distance.descent import Descended, TailAverage
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.runtime import Advance, child

LENGTH = 0.7  # of a Newton step
LONGEST = 2.0  # step, in deviations of the replicates after the first
TOGETHER = 2_000  # points of all replicates in a step, at least
LINEARISED = 512  # points of each of these steps where simulations do not follow
PROBED, PROBES = 4, 8  # replicates that tell whether simulations follow, and how often each
MOST_APART = 0.5  # of the variance alone, beyond which they do not
RADIUS = 1.0  # of the first step, in scales


@dataclass(frozen=True, eq=False)
class Centre:
    """Where replicates start: the estimates of k data sets.

    Attributes:
        problems: The data sets'.
        u: The estimates, (k, dim).
        gradient: There, from many simulations: zero but for noise.
        inverse: The inverse curvature there.
        which: Which estimate is whose, (p,).
    """

    problems: DistanceProblems
    u: Float[Tensor, "k dim"]
    gradient: Float[Tensor, "k dim"]
    inverse: Float[Tensor, "k dim dim"]
    which: Int[Tensor, " p"]


def solve_replicates(
    distances: Distances,
    replicates: DistanceProblems,
    centre: Centre,
    scale: Float[Tensor, " dim"],
    width: Float[Tensor, " dim"],
    *,
    steps: int,
    seed: int,
    advance: Advance,
) -> Descended:
    """Return the minima of replicates, from the estimates that they are replicates of.

    Args:
        distances: What is minimised.
        replicates: The data of each.
        centre: Where they start.
        scale: The unit of each coordinate.
        width: Of gradients that are not pathwise.
        steps: How many steps.
        seed: Of the simulations.
        advance: Is told of every step.
    """
    which = centre.which
    base = replace(centre.problems.part(which), size=replicates.data.shape[1])
    start = centre.u[which]
    mean, inverse = centre.gradient[which], centre.inverse[which]

    def newton(by: Distances, u: Tensor, index: int, shared: bool) -> Tensor:
        key = child(seed, index)
        own = by.gradient(replace(replicates, shared=shared), u, width, key)
        common = by.gradient(replace(base, shared=shared), start, width, key)
        return -(inverse @ (own - common + mean)[..., None])[..., 0]

    radius = RADIUS * scale
    u = start + newton(distances, start, 0, True).clamp(-radius, radius)
    longest = LONGEST * _spread(u - start, which).clamp(max=scale)
    some = torch.arange(min(PROBED, len(u))).repeat_interleave(PROBES)
    share = distances.whole(-(-TOGETHER // len(u)))
    each = distances.by(max(distances.points, share))
    follow = _follow(
        distances, replicates.part(some), u[some], base.part(some), start[some], scale, width, seed
    )
    many = distances.by(max(distances.points, distances.whole(LINEARISED)))
    if many.way is Distances.pathwise:  # which would not share
        many.way = Distances.differences
    kept = steps // 2
    average = TailAverage(start, steps=steps, kept=kept)
    average.add(u)
    advance(1)
    for index in range(1, steps):
        if follow:
            u = u + (LENGTH * newton(each, u, index, False)).clamp(-longest, longest)
        elif index >= steps - kept:
            u = start + newton(many, start, index, True).clamp(-radius, radius)
        average.add(u)
        advance(1)
    distances.count(many)
    distances.count(each)
    return average.arrived


def _follow(
    distances: Distances,
    replicates: DistanceProblems,
    u: Float[Tensor, "p dim"],
    base: DistanceProblems,
    start: Float[Tensor, "p dim"],
    scale: Float[Tensor, " dim"],
    width: Float[Tensor, " dim"],
    seed: int,
) -> bool:
    """Return whether gradients at u and at the start, from equal random numbers, vary together.

    Rows are the same replicate several times, one after the other, so that noise alone varies.
    """
    key = child(seed, 1)
    own = distances.gradient(replicates, u, width, key)
    common = distances.gradient(base, start, width, key)
    apart, alone = (
        (each * scale).unflatten(0, (-1, PROBES)).var(1).sum() for each in (own - common, own)
    )
    return bool(apart <= MOST_APART * alone)


def _spread(moved: Float[Tensor, "p dim"], which: Int[Tensor, " p"]) -> Float[Tensor, "p dim"]:
    """Return the root mean square of the replicates of the same data set."""
    sums = moved.new_zeros(int(which.max()) + 1, moved.shape[1])
    sums = sums.index_add(0, which, moved.square())
    counts = torch.bincount(which)[:, None]
    return (sums / counts).sqrt()[which]
