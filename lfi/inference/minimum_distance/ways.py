"""Which estimate of gradients varies least, for as many simulations.

Where simulations follow their parameters smoothly, derivatives through them are the best there are.
Through chaos they are true and vary without bound, through jumps they miss what matters, and
distances at shifted parameters, or the score function of spread ones, tell more at the same cost
(Parmas et al. 2018). Which it is is measured. An inverse-variance weighting of all would pay for
each at every step, and gain little over the best.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import (
    MMD,
    Energy,
    LearnedDivergence,
    Sinkhorn,
    SlicedWasserstein,
    Wasserstein1D,
)
from lfi.inference.minimum_distance.problems import DistanceProblems, Distances, Way

# whose derivatives in weights are influence functions
SMOOTHABLE = MMD | Energy | LearnedDivergence | Sinkhorn | SlicedWasserstein | Wasserstein1D
ROUNDS = 32  # gradients by which a way is judged,
POINTS = 16  # simulated points of each, at most
CLEARLY = 1 / 3  # of the variance at equal cost, below which the simulator's own way is left
WIDE = 4.0  # times the width, which is tried too
PATHWISE, SMOOTHED = 3, 3  # simulations to each point: a derivative costs about two more


def choose_way(
    distances: Distances,
    problems: DistanceProblems,
    u: Float[Tensor, "p dim"],
    scale: Float[Tensor, " dim"],
    width: Float[Tensor, " dim"],
    seed: int,
) -> None:
    """Set the way, and how wide, whose gradients at u vary least for their simulations.

    It is `pathwise` where the simulator is differentiable, and `differences` of the width where
    not, unless another is clearly better. A wider one is, where simulations do not follow theta.

    Args:
        distances: What is minimised, of which `way` and `wide` are set.
        problems: The data of each, of which some are tried.
        u: Unconstrained parameters of each.
        scale: The unit of each coordinate, in which variances are added up.
        width: Of what is not pathwise.
        seed: Of the simulations.
    """
    few = distances.by(min(distances.points, distances.whole(POINTS)))
    tried = min(len(u), ROUNDS // 8)
    rounds = ROUNDS // tried
    problems, u = problems.part(slice(tried)).repeated(rounds), u[:tried]
    rows = u.repeat_interleave(rounds, 0)
    ways: list[tuple[Way, float, int]] = []
    if distances.simulator.differentiable:
        ways.append((Distances.pathwise, 1.0, PATHWISE))
    smoothing = isinstance(distances.discrepancy, SMOOTHABLE) and distances.weights is None
    for wide in (1.0, WIDE):
        ways.append((Distances.differences, wide, 2 * u.shape[1]))
        if smoothing:
            ways.append((Distances.smoothed, wide, SMOOTHED))
    costs = []
    for way, wide, simulations in ways:
        found = way(few, problems, rows, wide * width, seed) * scale
        varies = found.unflatten(0, (tried, rounds)).var(1).sum(1)
        costs.append((varies * simulations).double())
    distances.count(few)
    own, others = costs[0], torch.stack(costs)
    # the mean over problems of each one's ratio to the simulator's own way
    ratios = torch.where(own > 0, others / torch.where(own > 0, own, 1.0), 1.0).mean(1)
    best = int(ratios.argmin())
    distances.way, distances.wide, _ = ways[best if ratios[best] < CLEARLY else 0]
