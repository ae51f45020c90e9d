"""Posterior modes by gradient ascent from the best of importance draws, many at once.

The density is that of theta, with no Jacobian, unless that of u is asked for; the ascent runs in
unconstrained coordinates u, in units of the posterior's standard deviation there, so that it cannot
leave the support. A density that is largest at the edge is climbed towards it. The training loop,
for networks and batches of data, does not serve here.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.samplers.importance import Importance
from lfi.inference.samplers.target import Target
from lfi.inference.samplers.time_limit import TimeLimit
from lfi.numerics.resampling import take_rows
from lfi.numerics.weighted_samples import deviations
from lfi.runtime import child, torch_rng

STEPS = 150
RATE = 0.3  # of a standard deviation, at first
DRAWS = 1_000  # among which the ascents' starts are chosen


def modes(
    target: Target, *, starts: int, seed: int, jacobian: bool = False
) -> Float[Tensor, "m d"]:
    """Return the parameters of largest density for each of m observations, of `starts` ascents.

    With `jacobian`, it is the density of unconstrained parameters.
    """
    if not 1 <= starts <= DRAWS:
        raise ValueError(f"starts must be from 1 to {DRAWS}, got {starts}")
    limit, sampler = TimeLimit.start(math.inf), Importance(target_ess=2.0)
    found = sampler.weighted_samples(target, DRAWS, seed=child(seed, 0), limit=limit)
    points = [each.resample(DRAWS, torch_rng(seed, 1, j)) for j, each in enumerate(found)]
    points = torch.stack(points)
    with torch.no_grad():
        theta, log_jacobian = target.prior.from_unconstrained(points)
        value = target.log_density(theta) + (log_jacobian if jacobian else 0)
    origin = take_rows(points, value.topk(starts).indices)
    scale = deviations(points, 1)
    step = torch.zeros_like(origin)
    best, best_value = origin, value.topk(starts).values
    adam = torch.optim.Adam([step], lr=RATE, betas=(0.9, 0.99), maximize=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, STEPS)
    for _ in range(STEPS):
        u = origin + scale * step
        density, gradient = target.density_and_gradient(u, jacobian=jacobian)
        better = density > best_value
        best = torch.where(better[..., None], u, best)
        best_value = torch.where(better, density, best_value)
        step.grad = (gradient * scale).nan_to_num(0.0, 0.0, 0.0)
        adam.step()
        schedule.step()
    winner = best_value.argmax(1)
    return target.prior.from_unconstrained(best[torch.arange(len(best)), winner])[0]
