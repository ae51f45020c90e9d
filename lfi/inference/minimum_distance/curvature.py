"""The curvature of a distance at its minimum, by differences of gradients.

Gradients at theta up and down a coordinate, from equal random numbers, differ by the curvature
times the step. A step longer than the distance's valley sees too little of it, and in a short one
what is not smooth is noise, so several lengths are tried: the longest is taken of which no shorter
one says, beyond its standard error, that the curvature is much larger.

Rounds of simulations tell the error of the curvature along each of its axes, and so whether there
is any: parameters that are correlated have axes whose curvatures differ by a factor of thousands,
and are determined along each of them. Where it is not seen along all axes, the part of it that
mean embeddings tell is taken, which varies less (of kernels and energy distances).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.minimum_distance.problems import DistanceProblems, Distances
from lfi.runtime import child

LENGTHS = (0.1, 0.025, 0.006, 0.0015)  # of a coordinate's scale
MUCH_LARGER = 1.5  # times the curvature at a longer step
ERRORS = 3.0  # standard errors beyond which it counts
PAIRED, ROUNDS = 128, 16  # points and rounds that tell the part of the embeddings
FLOOR = 1e-5  # of the largest eigenvalue, the least that one is taken to be


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

    The first is the inverse Hessian, of eigenvalues that are taken to be positive and not less than
    three standard errors; the second the least that one may be, less three standard errors, over
    the largest, in units of the scale; the third the shortest step taken in each coordinate.

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
    seen = scale * scale.new_tensor(lengths)
    values, vectors, error = _axes(torch.stack(columns, dim=3))
    vague = (values <= error).any(1)
    if vague.any() and distances.embeds:
        few = problems.part(vague)
        found = _axes(_of_embeddings(distances, few, u[vague], seen, scale, child(seed, 1)))
        values[vague], vectors[vague], error[vague] = found
    largest = values.abs().amax(1, keepdim=True)
    largest = torch.where(largest > 0, largest, 1.0)
    positive = torch.maximum(values.abs(), error).clamp(min=FLOOR * largest)
    inverse = (vectors / positive[:, None, :]) @ vectors.mT
    unit = scale.double()
    inverse = (unit[:, None] * inverse * unit).to(u)
    least = (values - error).amin(1) / largest[:, 0]
    return inverse, least.to(u), seen


def _axes(each: Float[Tensor, "k rounds dim dim"]) -> tuple[Tensor, Tensor, Tensor]:
    """Return eigenvalues and vectors of mean curvatures, and three standard errors along these."""
    each = each.double()
    mean = each.mean(1)
    values, vectors = torch.linalg.eigh((mean + mean.mT) / 2)
    along = ((vectors.mT[:, None] @ each) * vectors.mT[:, None]).sum(3)
    return values, vectors, ERRORS * along.std(1) / each.shape[1] ** 0.5


def _of_embeddings(
    distances: Distances,
    problems: DistanceProblems,
    u: Float[Tensor, "k dim"],
    steps: Float[Tensor, " dim"],
    scale: Float[Tensor, " dim"],
    seed: int,
) -> Float[Tensor, "k rounds dim dim"]:
    """Return 2 <d mu/du_s, d mu/du_t> of mean embeddings mu in each round: Gauss and Newton's part.

    It is the whole curvature where simulations at u are distributed as data are, and lacks the
    noise that second derivatives of simulations bring into the rest.
    """
    dim, points = u.shape[1], max(distances.points, distances.whole(PAIRED))
    shifts = torch.diag(steps)
    ends = torch.cat([u[:, None] + shifts, u[:, None] - shifts], dim=1)  # (k, 2 dim, dim)
    found = distances.products(
        problems.repeated(ROUNDS), ends.repeat_interleave(ROUNDS, 0), points, seed
    )
    turn = (
        torch.cat([torch.eye(dim), -torch.eye(dim)], dim=1).to(u) * (scale / (2 * steps))[:, None]
    )
    return (2 * turn @ found @ turn.mT).unflatten(0, (len(u), ROUNDS))


def _seen(
    tried: Float[Tensor, "lengths k rounds dim"], t: int
) -> tuple[Float[Tensor, "k rounds dim"], Tensor]:
    """Return a column of the Hessian at the longest step that sees the curvature, and which."""
    rounds = tried.shape[2]
    mean = tried.mean(2)
    own, error = mean[:, :, t], tried[..., t].std(2) / rounds**0.5
    chosen = own.new_zeros(own.shape[1], dtype=torch.long)
    for shorter in range(1, len(tried)):
        now = own.gather(0, chosen[None])[0]
        larger = own[shorter] - ERRORS * error[shorter] > MUCH_LARGER * now
        chosen = torch.where(larger, shorter, chosen)
    return tried[chosen, torch.arange(mean.shape[1])], chosen.max()
