"""Data for generators: 25 narrow Gaussians on a square grid, of which a generator may miss some.

    p(x) = 1/25 sum over i, j of Normal(x; (i, j), 0.05^2 I),    i and j in {-4, -2, 0, 2, 4}.

A sample is of high quality if it is within three standard deviations of a centre (98.9% of the
data are), and a mode is covered if it has such a sample.

References:
    Dumoulin et al., Adversarially learned inference, ICLR 2017. arXiv:1606.00704
    Lin, Khetan, Fanti & Oh, PacGAN: the power of two samples in generative adversarial networks,
    NeurIPS 2018. arXiv:1712.04086 (spacing and deviation)
"""

import math

import torch
from torch import Tensor

modes = 25
scale = 0.05
_line = torch.arange(-4, 5, 2, dtype=torch.float64)
centres = torch.cartesian_prod(_line, _line)  # (25, 2)


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
