"""Stochastic descent of many problems at once, each from its own start.

Every step takes the gradient at fresh simulations and goes by Adam, whose steps do not depend on
the gradient's size, in units of each coordinate's scale. Step lengths fall as half a cosine; the
average of the last iterates (Polyak & Juditsky 1992) is what is returned, so that the simulations
of all of these steps count and not of the last alone. How far the average of their second half
lies from that of their first tells whether the descent has arrived.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.runtime import Advance, child

TAIL = 0.4  # of the steps, which are averaged
SMALLEST = 0.02  # factor of the step length
WIDTH = 0.5  # of the step length: by how much parameters are shifted without derivatives


@dataclass(frozen=True, eq=False)
class Descended:
    """Where problems have arrived, in unconstrained parameters.

    Attributes:
        u: The averages, (p, dim).
        drift: By how much the averages of both halves differ, (p, dim).
    """

    u: Float[Tensor, "p dim"]
    drift: Float[Tensor, "p dim"]

    def part(self, where: slice | Tensor) -> "Descended":
        """Return some of the problems."""
        return Descended(self.u[where], self.drift[where])


def descend(
    distances: Distances,
    problems: DistanceProblems,
    start: Float[Tensor, "p dim"],
    scale: Float[Tensor, " dim"],
    *,
    rate: float,
    steps: int,
    seed: int,
    advance: Advance,
) -> Descended:
    """Return where each problem's descent from its start arrives.

    Args:
        distances: What is minimised.
        problems: The data of each.
        start: Unconstrained parameters.
        scale: The unit of steps in each coordinate.
        rate: The first step length, in these units.
        steps: How many steps.
        seed: Of the simulations.
        advance: Is told of every step.
    """
    step = torch.zeros_like(start)
    adam = torch.optim.Adam([step], lr=rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps, eta_min=SMALLEST * rate)
    kept = max(2, round(TAIL * steps))
    halves = torch.zeros(2, *start.shape, dtype=torch.float64)
    counts = [0, 0]
    for index in range(steps):
        u = start + scale * step
        width = max(schedule.get_last_lr()[0], 0.1 * rate) * WIDTH * scale
        step.grad = distances.gradient(problems, u, width, child(seed, index)) * scale
        adam.step()
        schedule.step()
        if (since := index - (steps - kept)) >= 0:
            late = int(2 * since >= kept)
            halves[late] += (start + scale * step).double()
            counts[late] += 1
        advance(1)
    first, second = (total / count for total, count in zip(halves, counts, strict=True))
    average = (halves[0] + halves[1]) / kept
    return Descended(average.to(start), (second - first).to(start))
