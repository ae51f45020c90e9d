"""Electrons and positrons become muons: e+ e- -> mu+ mu-, seen by the angle of a muon.

Photon and Z boson interfere, so that forward and backward differ. With the cosine c of the angle
between electron and muon, the beam energy E (half the energy of the collision) and the Fermi
constant G in units of its nominal value, the simplified cross section of this toy is

    p(c | E, G) = max(0, 1 + c^2 + A c) / Z(A),    A = 2 G tanh(10 (2E - M) / M),    M = 90 GeV,

with Z(A) = 8/3 for |A| <= 2. (At the edges of the prior |A| > 2, where 1 + c^2 + A c has a zero in
(-1, 1): there are no events beyond it.) One simulation is one collision, and data are many of
them. They tell E and G only through A, the forward-backward asymmetry. The cosine is drawn by
inverting the distribution function, a cubic, so that it is differentiable in E and G.

Published code of the rejection sampler for this density divides by its maximum twice, and so cuts
off the peaks where that maximum is below one, |A| < 2/3.

References:
    Louppe, Hermans & Cranmer, Adversarial variational optimization of non-differentiable
    simulators, AISTATS 2019. arXiv:1707.07113
    Cranmer, Heinrich, Head & Louppe, Active sciencing with reusable workflows, 2017.
"""

import math

import scipy.stats
import torch
from torch import Tensor

differentiable = True
z_mass = 90.0  # GeV, as in the paper
halvings = 50  # of an interval of length 2, in float64

units = {"beam_energy": "GeV", "fermi_constant": "nominal"}
prior = {
    "beam_energy": scipy.stats.uniform(loc=40.0, scale=10.0),
    "fermi_constant": scipy.stats.uniform(loc=0.5, scale=1.0),
}
theta_true = (42.0, 0.9)  # of the paper's simulated data


def asymmetry(theta: Tensor) -> Tensor:
    """Return A, (n, 2) to (n,)."""
    energy, constant = theta.unbind(1)
    return 2 * constant * torch.tanh(10 * (2 * energy - z_mass) / z_mass)


def simulate(theta: Tensor, rng: torch.Generator) -> Tensor:
    """Draw the cosine of a muon's angle, (n, 2) to (n, 1), differentiable in theta."""
    u = torch.rand(len(theta), generator=rng, dtype=torch.float64)
    return quantile(u, asymmetry(theta.double()))[:, None].to(theta.dtype)


def log_likelihood(theta: Tensor, x: Tensor) -> Tensor:
    """Return log p(x | theta) of m collisions, (n, 2) and (n, m) or (m,) to (n,)."""
    a = asymmetry(theta)
    low, high = _support(a)
    mass = _primitive(high, a) - _primitive(low, a)
    a, mass = a[:, None], mass[:, None]
    density = 1 + x.square() + a * x
    inside = (density > 0) & (x >= low[:, None]) & (x <= high[:, None])
    safe = torch.where(inside, density, 1.0)
    return torch.where(inside, safe.log() - mass.log(), -math.inf).sum(dim=1)


def quantile(u: Tensor, a: Tensor) -> Tensor:
    """Return the cosine below which the probability is u, (n,) and A (n,) to (n,)."""
    low, high = _support(a)
    start = _primitive(low, a)
    level = start + u * (_primitive(high, a) - start)
    with torch.no_grad():
        below, above = low, high
        for _ in range(halvings):
            middle = (below + above) / 2
            right = _primitive(middle, a) < level
            below, above = torch.where(right, middle, below), torch.where(right, above, middle)
        c = (below + above) / 2
        slope = 1 + c.square() + a * c
    safe = torch.where(slope > 0, slope, math.inf)
    return c - (_primitive(c, a) - level) / safe  # a Newton step: rounding, and the gradient


def _primitive(c: Tensor, a: Tensor) -> Tensor:
    return c + c**3 / 3 + a * c.square() / 2


def _support(a: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the cross section is positive; the mass does not depend on it to first order."""
    a = a.detach()
    zero = 2 / (a.abs() + (a.square() - 4).clamp(min=0).sqrt())  # of 1 + c^2 - |A| c
    edge = torch.where(a.abs() > 2, zero, 1.0)
    one = torch.ones_like(a)
    return torch.where(a > 0, -edge, -one), torch.where(a < 0, edge, one)
