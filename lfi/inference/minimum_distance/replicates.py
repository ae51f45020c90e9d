"""Minima of many problems near that of one: replicates of a bootstrap, solved together.

A replicate's data are nearly those of the estimate, and so are its simulations at equal random
numbers z. What both have in common is noise that need not be averaged out: the gradient

    g_b(u_b; z) - g(u; z) + E g(u; z)

has the mean of g_b(u_b; z), and a variance of the order of 1/n of it (control variates, as in SVRG:
Johnson & Zhang 2013), where simulations follow theta smoothly at equal z; where they do not, as in
chaos, the plain gradient is taken. Steps are Newton's with the curvature at the estimate, so that
units make no difference; the last half of them is averaged. The first step alone gives the
bootstrap of a linearised estimate.
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
WIDTH = 0.02  # of differences without derivatives, in scales
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
    *,
    steps: int,
    seed: int,
    advance: Advance,
) -> Descended:
    """Return the minima of replicates, from the estimates that they are replicates of."""
    which = centre.which
    base = replace(centre.problems.part(which), size=replicates.data.shape[1])
    start = centre.u[which]
    mean, inverse = centre.gradient[which], centre.inverse[which]
    width = WIDTH * scale
    u, longest, helps = start, RADIUS * scale, None
    average = TailAverage(start, steps=steps, kept=steps // 2)
    for index in range(steps):
        key = child(seed, index)
        own = distances.gradient(replicates, u, width, key)
        common = distances.gradient(base, start, width, key)
        if helps is None:
            helps = (own - common).var(0) < own.var(0)
        gradient = torch.where(helps, own - common + mean, own)
        move = -(inverse @ gradient[..., None])[..., 0] * (1.0 if index == 0 else LENGTH)
        u = u + move.clamp(-longest, longest)
        if index == 0:
            longest = LONGEST * _spread(u - start, which).clamp(max=scale)
        average.add(u)
        advance(1)
    return average.arrived


def _spread(moved: Float[Tensor, "p dim"], which: Int[Tensor, " p"]) -> Float[Tensor, "p dim"]:
    """Return the root mean square of the replicates of the same data set."""
    sums = moved.new_zeros(int(which.max()) + 1, moved.shape[1])
    sums = sums.index_add(0, which, moved.square())
    counts = torch.bincount(which)[:, None]
    return (sums / counts).sqrt()[which]
