"""Kernel mean matching: weights on the points of q that give its kernel moments the values of p.

    minimise over w   MMD^2(p, w q) + ridge / ESS(w)
                      = |E_p k(x, .) - mean of w_j k(y_j, .)|^2 + ridge mean(w^2) / m
    subject to        0 <= w_j <= bound,    mean w = 1,

a convex quadratic program in the weights alone, with no model of the ratio; k(x, x) = 1. The
moments of m weighted points have a variance of about 1/ESS, ESS = m / mean(w^2), so that at ridge 1
the objective is the expected error of the matched moments. As ridge -> 0 it becomes the program of
Huang et al., whose weights match the noise by a few huge weights among zeros.

**Everywhere.** The optimum says of every y_j, and so the ratio is defined to be at every x,

    w(x) = (m/ridge) (E_p k(x, .) - mean of w_j k(x, y_j) - nu)    held to [0, bound],

nu such that the mean of w is 1. At the points of q that is the optimal weight itself.

`lfi.numerics.simplex` solves it to a duality gap, and then linear equations exactly, for the
weights that are neither 0 nor at the bound. A step is a factorisation of m x m: 2,000 points of q
take seconds, 20,000 too long.

References:
    Huang et al., Correcting Sample Selection Bias by Unlabeled Data, NeurIPS 2007.
    Gretton et al., Covariate Shift by Kernel Mean Matching, 2009.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.kernels.stationary import Kernel, fixed
from lfi.numerics.simplex import Derivatives, minimise_on_simplex

GAPS = 1e-8, 1e-11  # of the objective: close enough to tell which weights are free
MAX_ITERATIONS = 30  # to find out exactly


@dataclass(frozen=True, eq=False)
class KmmRatio:
    """Matched weights of the sample of q, and the ratio that they stand for."""

    x_p: Float[Tensor, "n d"]
    x_q: Float[Tensor, "m d"]
    weights: Float[Tensor, " m"]  # of mean 1
    kernel: Kernel  # its bandwidth fixed
    scale: float  # the mean of k(y, y), by which the kernel is divided
    ridge: float
    bound: float
    level: float  # nu

    def ratio(self, x: Float[Tensor, "k d"], entries: int = 2**24) -> Float[Tensor, " k"]:
        """Return the ratio at x, within [0, bound], by `entries` of the kernel matrix at a time."""
        rows = max(1, entries // (len(self.x_p) + len(self.x_q)))
        excess = torch.cat([self._excess(part) for part in x.split(rows)])
        return (len(self.x_q) / self.ridge * (excess - self.level)).clamp(0, self.bound)

    def _excess(self, x: Float[Tensor, "k d"]) -> Float[Tensor, " k"]:
        """Return how much larger the kernel's mean over p is than over the weighted q."""
        of_p = self.kernel(x, self.x_p).double().mean(1)
        of_q = self.kernel(x, self.x_q).double() @ self.weights / len(self.weights)
        return (of_p - of_q) / self.scale


@torch.no_grad()
def fit_kmm(
    x_p: Float[Tensor, "n d"],
    x_q: Float[Tensor, "m d"],
    kernel: Kernel,
    *,
    ridge: float,
    bound: float,
) -> KmmRatio:
    """Return the weights of the sample of q whose moments match those of the sample of p.

    A bandwidth that the kernel chooses is chosen from both samples. RuntimeError if no optimum was
    found, as for a kernel that is not positive semidefinite.
    """
    m = len(x_q)
    kernel = fixed(kernel, x_p, x_q)
    gram = kernel(x_q, x_q).double()
    scale = float(gram.diagonal().mean())
    gram, target = gram / scale, kernel(x_q, x_p).double().mean(1) / scale
    hessian = gram + ridge * torch.eye(m, dtype=gram.dtype, device=gram.device)

    def derivatives(v: Float[Tensor, " m"]) -> Derivatives:
        return hessian @ v - target, hessian

    upper = bound / m
    start = gram.new_full((m,), 1 / m)
    for gap in GAPS:
        v = minimise_on_simplex(derivatives, start, upper=upper, tolerance=gap)
        optimum = _exact(hessian, target, ridge, upper, v)
        if optimum is not None:
            v, level = optimum
            return KmmRatio(x_p, x_q, m * v, kernel, scale, ridge, bound, level)
    raise RuntimeError(f"no exact optimum was found at ridge {ridge}: a larger one is easier")


def _exact(
    hessian: Float[Tensor, "m m"],
    target: Float[Tensor, " m"],
    ridge: float,
    upper: float,
    guess: Float[Tensor, " m"],
) -> tuple[Float[Tensor, " m"], float] | None:
    """Return the optimum and nu, by Newton's method on which entries are free, full or zero.

    The Hessian is the kernel matrix plus the ridge. None is returned if the guess is too far off.
    """
    zero, full = guess < 1e-3 / len(guess), guess > upper - 1e-3 / len(guess)
    free = ~(zero | full)
    for _ in range(MAX_ITERATIONS):
        v = torch.where(full, upper, 0.0).to(target)
        slope = target - hessian @ v
        if free.any():
            factor = torch.linalg.cholesky(hessian[free][:, free])
            sides = torch.stack([slope[free], torch.ones_like(slope[free])], dim=1)
            solved, of_level = torch.cholesky_solve(sides, factor).T
            level = (solved.sum() + v.sum() - 1) / of_level.sum()
            v[free] = solved - level * of_level
            slope = target - hessian @ v
        elif not full.any() or full.all():
            return None
        else:  # full ones make up the whole: any number between the two kinds will do
            level = (slope[full].min() + slope[~full].max()) / 2
        wanted = v + (slope - level) / ridge
        sets = (wanted > 0) & (wanted < upper), wanted >= upper
        if sets[0].equal(free) and sets[1].equal(full):
            return v, float(level)
        free, full = sets
    return None
