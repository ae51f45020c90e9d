"""Data for generators: eight narrow Gaussians on a circle, of which a generator may miss some.

    p(x) = 1/8 sum over k < 8 of Normal(x; c_k, 0.01^2 I),
    c_k = (cos(2 pi k / 8), sin(2 pi k / 8)).

A sample is of high quality if it is within three standard deviations of a centre (98.9% of the
data are), and a mode is covered if it has such a sample. Published code that spaces the angles
evenly from 0 to 2 pi, both ends included, has its first centre twice and seven modes in all.

References:
    Metz, Poole, Pfau & Sohl-Dickstein, Unrolled generative adversarial networks, ICLR 2017.
    arXiv:1611.02163
    Lin, Khetan, Fanti & Oh, PacGAN: the power of two samples in generative adversarial networks,
    NeurIPS 2018. arXiv:1712.04086 (radius and deviation)
"""

import math

import torch
from torch import Tensor

modes = 8
scale = 0.01
_angles = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
centres = torch.stack([_angles.cos(), _angles.sin()], dim=1)  # (8, 2)


def sample(n: int, rng: torch.Generator) -> Tensor:
    """Draw n points, (n, 2), in the default dtype."""
    mode = torch.randint(modes, (n,), generator=rng)
    noise = torch.randn(n, 2, generator=rng)
    return centres.to(noise.dtype)[mode] + scale * noise


def log_prob(x: Tensor) -> Tensor:
    """Return the log density, (n, 2) to (n,)."""
    squares = (x[:, None] - centres.to(x.dtype)).square().sum(dim=2)
    values = torch.logsumexp(-squares / (2 * scale**2), dim=1)
    return values - math.log(modes * 2 * math.pi * scale**2)
