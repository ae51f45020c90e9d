"""Data for generators: a thin line, and another one parallel to it from which a generator starts.

The data lie on the line x_1 = 0, which is 0.01 thick; a generator that starts at offset s has the
right shape in the wrong place:

    p_s(x) = Normal(x_1; s, 0.01^2) Normal(x_2; 0, 1),    data: s = 0.

How far p_s is from p_0 depends on who asks. Beyond |s| = 0.1 the Jensen-Shannon divergence is log 2
within 1e-6, and its gradient says nothing about where the data are. The Wasserstein distance is |s|
everywhere. So, if a generator of this kind finds the data, it did not descend the divergence.

References:
    Fedus, Rosca, Lakshminarayanan, Dai, Mohamed & Goodfellow, Many paths to equilibrium: GANs do
    not need to decrease a divergence at every step, ICLR 2018. arXiv:1710.08446
    Arjovsky, Chintala & Bottou, Wasserstein GAN, 2017. arXiv:1701.07875 (Example 1)
"""

import math

import numpy as np
import torch
from torch import Tensor

thickness = 0.01
start = 1.0  # the offset of the generator's line


def sample(n: int, rng: torch.Generator, offset: float = 0.0) -> Tensor:
    """Draw n points of the line at an offset, (n, 2), in the default dtype."""
    noise = torch.randn(n, 2, generator=rng)
    return torch.stack([offset + thickness * noise[:, 0], noise[:, 1]], dim=1)


def log_prob(x: Tensor, offset: float = 0.0) -> Tensor:
    """Return the log density of the line at an offset, (n, 2) to (n,)."""
    z = (x[:, 0] - offset) / thickness
    return -0.5 * (z.square() + x[:, 1].square()) - math.log(2 * math.pi * thickness)


def jensen_shannon(offset: float) -> float:
    """Return the Jensen-Shannon divergence of the line at an offset from the data, in nats.

    By symmetry it is log 2 - E log(1 + exp(-h)), where h = log p_0(x) / p_s(x) ~ Normal(m, 2m) on
    the data, m = s^2 / (2 thickness^2); by the trapezoidal rule.
    """
    m = (offset / thickness) ** 2 / 2
    z = np.linspace(-9, 9, 2001)
    weight = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    return math.log(2) - float(weight @ np.logaddexp(0, -(m + math.sqrt(2 * m) * z)))


def wasserstein(offset: float) -> float:
    """Return the Wasserstein distance of the line at an offset from the data."""
    return abs(offset)
