"""Data for generators: two spirals wound around each other, which no straight cut separates.

An arm turns one and a half times, with its radius growing from 0 to 1 in proportion to the angle
a; the other one is its reflection in the origin. Both have the same share, and noise of deviation
0.03:

    x = +- a / (3 pi) (cos a, sin a) + 0.03 e,    e ~ Normal(0, I),
    a = 3 pi u^(1/2),    u ~ Uniform(0, 1),

so that points are spread about evenly along an arm. The density is the integral over the angle,

    p(x) = 1/2 sum over both arms of int_0^{3 pi} 2 a / (3 pi)^2 Normal(x; arm(a), 0.03^2 I) da,

which Gauss-Legendre quadrature gives to 1e-9.

References:
    Lang & Witbrock, Learning to tell two spirals apart, Connectionist models summer school, 1988.
"""

import math

import numpy as np
import torch
from torch import Tensor

modes = 2
scale = 0.03
last_angle = 3 * math.pi
nodes = 640


def sample(n: int, rng: torch.Generator) -> Tensor:
    """Draw n points, (n, 2), in the default dtype."""
    angle = last_angle * torch.rand(n, generator=rng).sqrt()
    side = 1 - 2 * torch.randint(modes, (n, 1), generator=rng)
    return side * arm(angle) + scale * torch.randn(n, 2, generator=rng)


def arm(angle: Tensor) -> Tensor:
    """Return the first arm's points without noise, (n,) to (n, 2)."""
    return angle[:, None] / last_angle * torch.stack([angle.cos(), angle.sin()], dim=1)


def log_prob(x: Tensor) -> Tensor:
    """Return the log density, (n, 2) to (n,)."""
    z, weights = (torch.from_numpy(v).to(x.dtype) for v in np.polynomial.legendre.leggauss(nodes))
    angle = last_angle * (z + 1) / 2
    log_share = torch.log(weights * angle / last_angle)  # of da = 3 pi / 2 dz, p(a) = 2a / (3 pi)^2
    points = arm(angle)
    each = [
        torch.logsumexp(log_share - torch.cdist(x, side).square() / (2 * scale**2), dim=1)
        for side in (points, -points)
    ]
    values = torch.logsumexp(torch.stack(each), dim=0)
    return values - math.log(modes * 2 * math.pi * scale**2)
