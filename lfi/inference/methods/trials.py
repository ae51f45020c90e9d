"""Whether x holds independent trials: consecutive numbers that are draws of one law given theta.

Ranks of each entry of a trial among those of all trials are compared across places: their means and
mean squares must depend on theta alike, by regressions, and neighbours in x must not be more alike
than others. What a likelihood of one trial leaves, its noise, then tells whether trials depend on
each other.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

ERRORS = 5.0  # standard errors, beyond which a difference is none of chance
CLIP = 4.0  # deviations, of noise
RELATED = 0.1  # a correlation of trials
MAX_TRIAL = 16  # numbers
ROUNDING = 1e-9  # an error below which numbers are equal


def trial_size(theta: Float[Tensor, "n d"], x: Float[Tensor, "n size"]) -> int | None:
    """Return of how many consecutive numbers of x a trial seems to be; None if there are none.

    Example:
        >>> theta = torch.randn(500, 2)
        >>> x = theta.repeat(1, 3) + torch.randn(500, 6)  # three points in the plane
        >>> trial_size(theta, x), trial_size(theta, x * torch.tensor([1.0, 1, 1, 1, 1, 2]))
        (2, None)
    """
    size = x.shape[1]
    c = torch.stack([_ranks(column) for column in theta.T], 1)
    c = torch.cat([torch.ones_like(c[:, :1]), c, c.square() - 1 / 12], 1)
    for trial in range(1, min(MAX_TRIAL, size // 2) + 1):
        if size % trial == 0 and _exchangeable(c, x.reshape(len(x), -1, trial)):
            return trial
    return None


def _exchangeable(c: Float[Tensor, "n features"], x: Float[Tensor, "n trials k"]) -> bool:
    """Return whether nothing tells places of trials apart."""
    n, trials, k = x.shape
    ranks = torch.stack([_ranks(part.flatten()).view(n, trials) for part in x.unbind(2)], 2)
    for u in (ranks, ranks.square()):
        u = u - u.mean((0, 1))
        off = u - u.mean(1, keepdim=True)
        if _errors_of_regression(c, off.flatten(1)) > ERRORS:
            return False
        if _errors_of_mean(_following(u) - _of_pairs(u)) > ERRORS:
            return False
    return True


def dependent_trials(z: Float[Tensor, "n trials k"]) -> bool:
    """Return whether trials depend on each other, by the noise that a likelihood makes of them.

    Errors that they have in common are correlated in all pairs of trials; small ones, of a network
    that has not learnt the law of a trial, too, so that only what is not small counts.

    Example:
        >>> z = torch.randn(500, 6, 2)
        >>> dependent_trials(z), dependent_trials(z + z[:, :1])
        (False, True)
    """
    z = z.double().clamp(-CLIP, CLIP)
    for noise in (z, z.square()):
        noise = noise - noise.mean((0, 1))
        noise = noise / noise.square().mean((0, 1)).clamp_min(1e-30).sqrt()
        for each in (_of_pairs(noise), _following(noise)):
            if _errors_of_mean(each) > ERRORS and float(each.mean(0).abs().max()) > RELATED:
                return True
    return False


def _following(u: Float[Tensor, "n trials k"]) -> Float[Tensor, "n k_1"]:
    """Return mean products of an entry and the next trial's, the last entry and the next first."""
    last = (u[:, 1:, :1] * u[:, :-1, -1:]).mean(1)
    return torch.cat([(u[:, 1:] * u[:, :-1]).mean(1), last], 1)


def _of_pairs(u: Float[Tensor, "n trials k"]) -> Float[Tensor, "n k_1"]:
    """Return the same of all ordered pairs of two trials."""
    pairs = u.shape[1] * (u.shape[1] - 1)
    same = (u.sum(1).square() - u.square().sum(1)) / pairs
    first, last = u[..., :1], u[..., -1:]
    ends = (first.sum(1) * last.sum(1) - (first * last).sum(1)) / pairs
    return torch.cat([same, ends], 1)


def _ranks(values: Float[Tensor, " r"]) -> Float[Tensor, " r"]:
    """Return ranks between -.5 and .5, equal numbers sharing the mean of theirs."""
    values = values.contiguous()
    ordered = values.sort().values
    first = torch.searchsorted(ordered, values)
    last = torch.searchsorted(ordered, values, right=True)
    return (first + last).double() / (2 * len(values)) - 0.5


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
