"""Whether x holds independent trials: consecutive numbers that are draws of one law given theta.

There may be as many of them in every simulation, or less in some, which a number of each marks.
Ranks of each entry of a trial among those of all trials are compared across places: their means and
mean squares must depend on theta alike, by regressions, and neighbours in x must not be more alike
than others. What a likelihood of one trial leaves, its noise, then tells whether trials, or entries
that were taken to be independent, depend on each other.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lfi.numerics.ranks import mid_ranks

ERRORS = 5.0  # standard errors, beyond which a difference is none of chance
CLIP = 4.0  # deviations, of noise
RELATED = 0.1  # a correlation of trials
MAX_TRIAL = 16  # numbers
RUNS, RUN = 8, 8  # of many trials, so many runs of as many are compared
ROUNDING = 1e-9  # an error below which numbers are equal


@dataclass(frozen=True)
class Trials:
    """How x holds trials, one after the other.

    Attributes:
        size: Of how many numbers each.
        mark: Which of them is 1 where the trial was made; those that were not are zeros and come
            last. None where all were.
    """

    size: int
    mark: int | None = None


def find_trials(theta: Float[Tensor, "n d"], x: Float[Tensor, "n ..."]) -> Trials | None:
    """Return how x seems to hold trials; None if it does not.

    Where rows of x, (n, trials, size), have a mark, those places are compared that half of the
    simulations or more have made.

    Example:
        >>> theta = torch.randn(500, 2)
        >>> x = theta.repeat(1, 3) + torch.randn(500, 6)  # three points in the plane
        >>> find_trials(theta, x)
        Trials(size=2, mark=None)
        >>> find_trials(theta, x * torch.tensor([1.0, 1, 1, 1, 1, 2]))
    """
    c = _ranks(theta)
    c = torch.cat([torch.ones_like(c[:, :1]), c, c.square() - 1 / 12], 1)
    mark = _mark(x) if x.ndim == 3 else None
    if mark is not None:
        number = x[..., mark].sum(1)
        half = int(number.median())
        rest = _but(mark, x.shape[2])
        some = number >= half
        alike = half > 1 and _exchangeable(c[some], x[some][:, :half, rest])
        return Trials(x.shape[2], mark) if alike else None
    x = x.flatten(1)
    size = x.shape[1]
    for trial in range(1, min(MAX_TRIAL, size // 2) + 1):
        if size % trial == 0 and _exchangeable(c, x.reshape(len(x), -1, trial)):
            return Trials(trial)
    return None


def made_rows(trials: Trials, x: Float[Tensor, "n ..."]) -> Float[Tensor, "r k"]:
    """Return the numbers of all trials of x that were made, without the mark.

    Example:
        >>> made_rows(Trials(2, mark=1), torch.tensor([[[5.0, 1.0], [0.0, 0.0]]]))
        tensor([[5.]])
    """
    rows = x.reshape(-1, trials.size)
    if trials.mark is None:
        return rows
    return rows[rows[:, trials.mark] > 0][:, _but(trials.mark, trials.size)]


def _but(mark: int, size: int) -> list[int]:
    """Return the places of a trial's numbers but its mark."""
    return [entry for entry in range(size) if entry != mark]


def _mark(x: Float[Tensor, "n trials size"]) -> int | None:
    """Return which number of rows is 1, but for rows of zeros, which come last; None if none is."""
    absent = (x == 0).all(2)
    in_order = not bool((absent[:, :-1] & ~absent[:, 1:]).any())
    if x.shape[2] < 2 or not in_order or not bool(absent.any()) or bool(absent[:, 0].any()):
        return None
    marks = (x == (~absent[..., None]).to(x)).all((0, 1))
    return int(marks.long().argmax()) if bool(marks.any()) and not bool(marks.all()) else None


def _exchangeable(c: Float[Tensor, "n features"], x: Float[Tensor, "n trials k"]) -> bool:
    """Return whether nothing tells places of trials apart; of many, runs all along x are seen."""
    if x.shape[1] > RUNS * RUN:
        starts = torch.linspace(0, x.shape[1] - RUN, RUNS).long()
        x = x[:, (starts[:, None] + torch.arange(RUN)).flatten()]
    n, trials, k = x.shape
    number = torch.full((n, 1), trials)
    ranks = _ranks(x.flatten(0, 1)).view(n, trials, k)
    for u in (ranks, ranks.square()):
        u = u - u.mean((0, 1))
        off = u - u.mean(1, keepdim=True)
        if _errors_of_regression(c, off.flatten(1)) > ERRORS:
            return False
        if _errors_of_mean(_following(u, number) - _of_pairs(u, number)) > ERRORS:
            return False
    return True


def dependent_trials(
    z: Float[Tensor, "n trials k"], made: Bool[Tensor, "n trials"] | None = None
) -> bool:
    """Return whether trials depend on each other, by the noise that a likelihood makes of them.

    Errors that they have in common are correlated in all pairs of trials; small ones, of a network
    that has not learnt the law of a trial, too, so that only what is not small counts. Not all
    trials need be `made`: how many are must not depend on them.

    Example:
        >>> z = torch.randn(500, 6, 2)
        >>> dependent_trials(z), dependent_trials(z + z[:, :1])
        (False, True)
    """
    made = torch.ones(z.shape[:2], dtype=torch.bool) if made is None else made
    several = made.sum(1) > 1
    z, made = z[several].double().clamp(-CLIP, CLIP), made[several]
    number = made.sum(1, keepdim=True)
    off = number - number.double().mean()
    off = off / off.square().mean().sqrt().clamp_min(ROUNDING)
    for noise in (z, z.square()):
        noise = noise - noise[made].mean(0)
        noise = noise / noise[made].square().mean(0).sqrt().clamp_min(ROUNDING)
        noise = torch.where(made[..., None], noise, 0.0)
        with_number = off * noise.sum(1) / number.sqrt()
        for each in (_of_pairs(noise, number), _following(noise, number), with_number):
            if _errors_of_mean(each) > ERRORS and float(each.mean(0).abs().max()) > RELATED:
                return True
    return False


def dependent_entries(z: Float[Tensor, "n k"]) -> bool:
    """Return whether entries depend on each other, by the noise that a likelihood makes of them.

    Example:
        >>> z = torch.randn(500, 6)
        >>> dependent_entries(z), dependent_entries(z + 0.7 * z[:, :1])
        (False, True)
    """
    z = z.double().clamp(-CLIP, CLIP)
    correlation = torch.corrcoef(z.T).view(z.shape[1], -1)
    apart = ~torch.eye(len(correlation), dtype=torch.bool)
    least = max(RELATED, ERRORS / math.sqrt(len(z)))
    return bool((correlation[apart].abs() > least).any())


def _following(
    u: Float[Tensor, "n trials k"], number: Int[Tensor, "n 1"]
) -> Float[Tensor, "n k_1"]:
    """Return mean products of an entry and the next trial's, the last entry and the next first."""
    last = (u[:, 1:, :1] * u[:, :-1, -1:]).sum(1)
    return torch.cat([(u[:, 1:] * u[:, :-1]).sum(1), last], 1) / (number - 1)


def _of_pairs(u: Float[Tensor, "n trials k"], number: Int[Tensor, "n 1"]) -> Float[Tensor, "n k_1"]:
    """Return the same of all ordered pairs of two trials."""
    first, last = u[..., :1], u[..., -1:]
    same = u.sum(1).square() - u.square().sum(1)
    ends = first.sum(1) * last.sum(1) - (first * last).sum(1)
    return torch.cat([same, ends], 1) / (number * (number - 1))


def _ranks(values: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return ranks of columns between -.5 and .5, equal numbers sharing the mean of theirs."""
    return mid_ranks(values, values) / len(values) - 0.5


def _errors_of_mean(values: Float[Tensor, "n k"]) -> float:
    """Return by how many standard errors a column's mean differs from zero, at most."""
    error = values.std(0) / math.sqrt(len(values))
    return float((values.mean(0).abs() / error.clamp_min(ROUNDING)).max())


def _errors_of_regression(c: Float[Tensor, "n features"], y: Float[Tensor, "n k"]) -> float:
    """Return by how many standard errors a coefficient of y on c differs from zero, at most.

    Errors hold where spreads differ, too (White, Econometrica 48, 1980).
    """
    inverse = torch.linalg.pinv(c)
    found = inverse @ y
    errors = (inverse.square() @ (y - c @ found).square()).sqrt().clamp_min(ROUNDING)
    return float((found.abs() / errors).max())
