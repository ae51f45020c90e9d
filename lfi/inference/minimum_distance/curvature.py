"""The curvature of a distance at its minimum, by differences of gradients.

Gradients at theta up and down a coordinate, from equal random numbers, differ by the curvature
times the step. A step longer than the distance's valley sees too little of it, and in a short one
what is not smooth is noise, so several lengths are tried: the longest is taken of which no shorter
one says, beyond its standard error, that the curvature is much larger.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.runtime import child

LENGTHS = (0.1, 0.025, 0.006, 0.0015)  # of a coordinate's scale
MUCH_LARGER = 1.5  # times the curvature at a longer step
ERRORS = 3.0  # standard errors beyond which it counts
FLOOR = 1e-3  # of the largest eigenvalue, below which a direction counts as flat


def mean_gradient(
    distances: Distances,
    problems: DistanceProblems,
    u: Float[Tensor, "p dim"],
    width: Float[Tensor, " dim"],
    rounds: int,
    seed: int,
) -> Float[Tensor, "p dim"]:
    """Return gradients averaged over rounds of simulations; equal seeds take equal numbers."""
    return _rounds(distances, problems, u, width, rounds, seed).mean(1)


def _rounds(
    distances: Distances,
    problems: DistanceProblems,
    u: Tensor,
    width: Tensor,
    rounds: int,
    seed: int,
) -> Float[Tensor, "p rounds dim"]:
    many = distances.gradient(
        problems.repeated(rounds), u.repeat_interleave(rounds, 0), width, seed
    )
    return many.unflatten(0, (len(u), rounds))


def curvature_at(
    distances: Distances,
    problems: DistanceProblems,
    u: Float[Tensor, "k dim"],
    scale: Float[Tensor, " dim"],
    *,
    rounds: int,
    seed: int,
) -> tuple[Float[Tensor, "k dim dim"], Float[Tensor, " k"], Float[Tensor, " dim"]]:
    """Return the inverse curvature of each problem's distance at u, and how it was seen.

    The first is the inverse Hessian, its eigenvalues made positive; the second its least eigenvalue
    over the largest, in units of the scale; the third the shortest step taken in each coordinate.

    Args:
        distances: What has been minimised.
        problems: The data of each.
        u: Where the minima are.
        scale: The unit of each coordinate.
        rounds: Of simulations that are averaged.
        seed: Of the simulations.
    """
    steps = [distances.wide * length for length in LENGTHS]
    columns, lengths = [], []
    for t in range(u.shape[1]):
        along = torch.zeros_like(u)
        along[:, t] = scale[t]
        tried = []
        for length in steps:
            ends = [
                _rounds(
                    distances,
                    problems,
                    u + sign * length * along,
                    length * scale,
                    rounds,
                    child(seed, 0),
                )
                for sign in (1, -1)
            ]
            tried.append((ends[0] - ends[1]) * scale / (2 * length))  # in units of the scale
        column, length = _seen(torch.stack(tried), t)
        columns.append(column)
        lengths.append(steps[int(length)])
    hessian = torch.stack(columns, dim=2).double()
    values, vectors = torch.linalg.eigh((hessian + hessian.mT) / 2)
    largest = values.abs().amax(1, keepdim=True)
    largest = torch.where(largest > 0, largest, 1.0)
    positive = values.abs().clamp(min=FLOOR * largest)
    inverse = (vectors / positive[:, None, :]) @ vectors.mT
    unit = scale.double()
    inverse = (unit[:, None] * inverse * unit).to(u)
    return inverse, (values[:, 0] / largest[:, 0]).to(u), scale * scale.new_tensor(lengths)


def _seen(
    tried: Float[Tensor, "lengths k rounds dim"], t: int
) -> tuple[Float[Tensor, "k dim"], Tensor]:
    """Return a column of the Hessian at the longest step that sees the curvature, and which."""
    rounds = tried.shape[2]
    mean = tried.mean(2)
    own, error = mean[:, :, t], tried[..., t].std(2) / rounds**0.5
    chosen = own.new_zeros(own.shape[1], dtype=torch.long)
    for shorter in range(1, len(tried)):
        now = own.gather(0, chosen[None])[0]
        larger = own[shorter] - ERRORS * error[shorter] > MUCH_LARGER * now
        chosen = torch.where(larger, shorter, chosen)
    return mean[chosen, torch.arange(mean.shape[1])], chosen.max()
