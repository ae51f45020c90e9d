"""Posterior modes by gradient ascent from the best of importance draws, many at once.

The density is that of theta, with no Jacobian, but the ascent runs in unconstrained coordinates,
in units of the posterior's standard deviation there, so that it cannot leave the support. A density
that is largest at the edge of the support is climbed towards the edge.

Adam is written out here, on a tensor of all ascents, rather than run by the training loop: 150
steps of a few rows would spend most of their time in its batches, callbacks and history.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.resampling import take_rows
from lfi.runtime import child, torch_rng

STEPS = 150
RATE = 0.3  # of a standard deviation, at first
DRAWS = 1_000  # among which the ascents' starts are chosen


def modes(target: Target, *, starts: int, seed: int) -> Float[Tensor, "m d"]:
    """Return the parameters of largest density for each of m observations.

    Args:
        target: The posteriors.
        starts: How many ascents there are for each.
        seed: The seed of the draws that they start from.

    Raises:
        ValueError: If starts is out of range.

    Example:
        >>> from torch.distributions import Normal
        >>> from lfi.inference import Target
        >>> prior = lfi.simulation.as_prior({"mean": Normal(0.0, 1.0)})
        >>> pair = lambda theta, x: Normal(theta, 1.0).log_prob(x).sum(-1)
        >>> target = Target(prior, (torch.tensor([[-1.0], [0.5]]),), pair)
        >>> modes(target, starts=4, seed=1).round(decimals=3)
        tensor([[-0.5000],
                [ 0.2500]])
    """
    if not 1 <= starts <= DRAWS:
        raise ValueError(f"starts must be from 1 to {DRAWS}, got {starts}")
    limit = TimeLimit.start(math.inf)
    found = Importance(target_ess=2.0).weighted_samples(
        target, DRAWS, seed=child(seed, 0), limit=limit
    )
    points = torch.stack(
        [each.resample(DRAWS, torch_rng(seed, 1, j)) for j, each in enumerate(found)]
    )
    with torch.no_grad():
        value = target.log_density(target.prior.from_unconstrained(points)[0])
    origin = take_rows(points, value.topk(starts).indices)
    scale = points.std(1, keepdim=True).clamp_min(1e-6)
    step = torch.zeros_like(origin)
    mean, square = torch.zeros_like(step), torch.zeros_like(step)
    best, best_value = origin, value.topk(starts).values
    for i in range(STEPS):  # Adam, its rate falling along a cosine
        u = origin + scale * step
        density, gradient = target.density_and_gradient(u, jacobian=False)
        better = density > best_value
        best = torch.where(better[..., None], u, best)
        best_value = torch.where(better, density, best_value)
        gradient = (gradient * scale).nan_to_num(0.0, 0.0, 0.0)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient.square()
        size = mean / (1 - 0.9 ** (i + 1))
        size = size / ((square / (1 - 0.99 ** (i + 1))).sqrt() + 1e-8)
        step = step + RATE * 0.5 * (1 + math.cos(math.pi * i / STEPS)) * size
    winner = best_value.argmax(1)
    return target.prior.from_unconstrained(best[torch.arange(len(best)), winner])[0]
