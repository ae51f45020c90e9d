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
WIDTH = 0.5  # of the step length: by how much parameters are shifted without derivatives,
LEAST_WIDTH = 0.3  # of the first, as noise grows as widths fall


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


class TailAverage:
    """Averages of the last iterates, as they come.

    Args:
        like: An iterate.
        steps: How many iterates there will be.
        kept: How many of the last count, two at least.
    """

    def __init__(self, like: Float[Tensor, "p dim"], *, steps: int, kept: int) -> None:
        self.like: Tensor = like
        self.kept: int = max(2, kept)
        self.since: int = self.kept - steps  # the first that counts is 0
        self.halves: Tensor = torch.zeros(2, *like.shape, dtype=torch.float64)
        self.counts: list[int] = [0, 0]

    def add(self, u: Float[Tensor, "p dim"]) -> None:
        """Take the next iterate."""
        if self.since >= 0:
            late = int(2 * self.since >= self.kept)
            self.halves[late] += u.double()
            self.counts[late] += 1
        self.since += 1

    @property
    def arrived(self) -> Descended:
        """The average, and by how much that of the second half differs from the first."""
        first, second = (
            total / count for total, count in zip(self.halves, self.counts, strict=True)
        )
        average = self.halves.sum(0) / self.kept
        return Descended(average.to(self.like), (second - first).to(self.like))


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
    average = TailAverage(start, steps=steps, kept=round(TAIL * steps))
    for index in range(steps):
        u = start + scale * step
        width = max(schedule.get_last_lr()[0], LEAST_WIDTH * rate) * WIDTH * distances.wide * scale
        step.grad = distances.gradient(problems, u, width, child(seed, index)) * scale
        adam.step()
        schedule.step()
        average.add(start + scale * step.detach())
        advance(1)
    return average.arrived
