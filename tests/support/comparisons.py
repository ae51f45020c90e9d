"""Every comparison there is, and problems whose answers are known."""

import torch

from lfi.comparison import (
    DRAGAN,
    KL,
    NREB,
    NREC,
    R1,
    R2,
    AlphaDivergence,
    Balance,
    Bernoulli,
    Brier,
    DonskerVaradhan,
    Exponential,
    FDivergence,
    GradientPenalty,
    Hinge,
    Jeffreys,
    JensenShannon,
    Misclassification,
    NeymanChiSquared,
    NonSaturating,
    PearsonChiSquared,
    PowerDivergence,
    Relativistic,
    ReverseKL,
    Spherical,
    SquaredHellinger,
    Triangular,
    Wasserstein,
)
from lfi.comparison.losses.divergence import LIMIT, limit

# A row of the table and its f, written independently as a function of u = p/q.
TEXTBOOK = (
    (Bernoulli(), lambda u: u * u.log() - (1 + u) * (1 + u).log()),
    (Brier(), lambda u: -u / (1 + u)),
    (Exponential(), lambda u: -2 * u.sqrt()),
    (Spherical(), lambda u: (1 + u**2).sqrt()),
    (KL(), lambda u: u * u.log()),
    (ReverseKL(), lambda u: -u.log()),
    (PearsonChiSquared(), lambda u: (u - 1) ** 2),
    (NeymanChiSquared(), lambda u: (1 - u) ** 2 / u),
    (SquaredHellinger(), lambda u: (u.sqrt() - 1) ** 2),
    (JensenShannon(), lambda u: u * u.log() - (1 + u) * ((1 + u) / 2).log()),
    (Jeffreys(), lambda u: (u - 1) * u.log()),
    (Triangular(), lambda u: (u - 1) ** 2 / (u + 1)),
    (NonSaturating(), lambda u: (1 + u) * (1 + 1 / u).log()),
    (AlphaDivergence(-2.0), lambda u: (u**-2 + 2 * u - 3) / 6),
    (AlphaDivergence(-1.0), lambda u: (1 / u + u - 2) / 2),
    (AlphaDivergence(0.5), lambda u: (u.sqrt() - u / 2 - 0.5) / -0.25),
    (AlphaDivergence(3.0), lambda u: (u**3 - 3 * u + 2) / 6),
    (PowerDivergence(0.125), lambda u: (u**1.125 - 1.125 * u + 0.125) / 0.125),
    (PowerDivergence(1.0), lambda u: u**2 - 2 * u + 1),
    (PowerDivergence(2.0), lambda u: (u**3 - 3 * u + 2) / 2),
)
NAMED = tuple(divergence for divergence, _ in TEXTBOOK)


def arctangent(u):
    """A convex f that nobody has named: its slope rises from 0 to pi/2."""
    return u * u.atan() - (1 + u**2).log() / 2


def fourth_power(u):
    return u**4 - 4 * u


def cross_entropy(u):
    return u * u.log() - (1 + u) * (1 + u).log()


OWN = tuple(FDivergence(f) for f in (arctangent, fourth_power, cross_entropy))
FORMULAS = (*TEXTBOOK, *((divergence, divergence.function) for divergence in OWN))
DIVERGENCES = (*NAMED, *OWN)  # all that recover the ratio
DECISIONS = (Hinge(), Misclassification())
RELATIVE = (
    DonskerVaradhan(),
    Relativistic(),
    Relativistic(KL()),
    Relativistic(NeymanChiSquared()),
    Wasserstein(),
)
CONTRASTIVE = (NREB(), *(NREC(gamma) for gamma in (0.01, 1.0, 100.0)))
PENALTIES = (R1(0.1), R2(0.1), GradientPenalty(10.0), DRAGAN(10.0), Balance())

# A joint distribution of theta (rows) and x (columns), in parts of 20; no two ratios are equal.
JOINT = torch.tensor([[1, 2, 5], [6, 4, 2]])


def marginals():
    """The product of the joint's marginals, in parts of 20^2."""
    return JOINT.sum(1, keepdim=True) * JOINT.sum(0, keepdim=True)


def log_ratio():
    """log p(theta, x)/p(theta)p(x) of the discrete joint."""
    return torch.log(20.0 * JOINT / marginals())


def minimise(risk, shape):
    """Return where a risk of one tensor is least, from zeros, by L-BFGS."""
    h = torch.zeros(shape, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [h],
        max_iter=500,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        value = risk(h)
        value.backward()
        return value

    optimizer.step(closure)
    return h.detach()


def reach(divergence):
    """The |h| to which a divergence is exact: steep ones become lines before 30."""
    match divergence:
        case AlphaDivergence(a):
            return limit(a, a - 1)
        case PowerDivergence(b):
            return limit(1 + b)
        case FDivergence() if divergence.function is fourth_power:
            return limit(4)
    return LIMIT


def quantiles(mean, n=200_000):
    """Return a sample of N(mean, 1) without noise: its quantiles."""
    return mean + torch.special.ndtri((torch.arange(n) + 0.5) / n)
