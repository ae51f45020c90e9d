"""KLIEP: the kernel density ratio of greatest likelihood, its width chosen on what is held out.

A ratio that is a mixture of kernels with masses v on the simplex,

    r(x) = sum_k v_k phi_k(x) / E_q[phi_k],     v_k >= 0,   sum v = 1,

is positive and has E_q[r] = 1 by construction. Minimising KL(p || r q) over v is maximising
E_p[log r], a concave problem, solved by `lfi.numerics.simplex` to a given duality gap.

The width is the one of the greatest value held out, over five folds of *both* samples, of

    E_p[log r] - E_q[r] + 1  <=  KL(p || q),

the bound that the loss is (`lfi.losses.KLIEP().value`). Sugiyama et al. hold out p alone; but a
kernel at the edge of q has an E_q[phi_k] of a few points or none, and a ratio there of any size,
which held-out points of p reward and those of q do not. The objective has no ridge.

References:
    Sugiyama, Nakajima, Kashima, von Buenau & Kawanabe, Direct Importance Estimation with Model
        Selection and Its Application to Covariate Shift Adaptation, NeurIPS 2007.
    Sugiyama et al., Direct importance estimation for covariate shift adaptation, AISM 2008.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.numerics.distances import squared_distances
from lfi.numerics.simplex import Derivatives, minimise_on_simplex

FOLDS = 5
TOLERANCE = 1e-8  # nats
TOLERANCE_OF_FOLDS = 1e-4  # nats: far below what folds differ by


@dataclass(frozen=True, eq=False)
class KliepRatio:
    """A ratio fitted by maximum likelihood: a mixture of kernels."""

    centres: Float[Tensor, "b d"]
    log_coefficients: Float[Tensor, " b"]
    width: float
    scores: Float[Tensor, " widths"]  # held-out bounds of KL(p || q); the greatest was chosen

    def log_ratio(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return log r, finite however far x is from the centres."""
        return (_log_kernels(x, self.centres, self.width) + self.log_coefficients).logsumexp(1)


def fit_kliep(
    x_p: Float[Tensor, "n d"],
    x_q: Float[Tensor, "m d"],
    centres: Float[Tensor, "b d"],
    widths: Float[Tensor, " widths"],
    folds_p: Int[Tensor, " n"],
    folds_q: Int[Tensor, " m"],
) -> KliepRatio:
    """Fit the ratio by maximum likelihood, each point in a fold from 0 to FOLDS - 1."""

    def logs(width: float) -> tuple[Float[Tensor, "n b"], Float[Tensor, "m b"]]:
        return _log_kernels(x_p, centres, width), _log_kernels(x_q, centres, width)

    if len(widths) == 1:
        scores = x_p.new_full((1,), math.nan)  # nothing to choose
    else:
        bounds = [_held_out(*logs(width), folds_p, folds_q) for width in widths.tolist()]
        scores = torch.stack(bounds)
    width = float(widths[scores.argmax()])
    return KliepRatio(centres, _fitted(*logs(width), TOLERANCE), width, scores)


def _log_kernels(
    x: Float[Tensor, "n d"], centres: Float[Tensor, "b d"], width: float
) -> Float[Tensor, "n b"]:
    return squared_distances(x, centres) * (-0.5 / width**2)


def _fitted(
    log_p: Float[Tensor, "n b"], log_q: Float[Tensor, "m b"], tolerance: float
) -> Float[Tensor, " b"]:
    """Return the logarithms of the coefficients, log v_k / E_q[phi_k]."""
    log_mean = log_q.logsumexp(0) - math.log(len(log_q))
    log_psi = log_p - log_mean
    # A factor for each point changes the objective by a constant: the largest feature becomes 1.
    psi = torch.exp(log_psi - log_psi.max(1, keepdim=True).values)

    def derivatives(v: Float[Tensor, " b"]) -> Derivatives:
        scaled = psi / (psi @ v)[:, None]
        return -scaled.mean(0), scaled.T @ scaled / len(psi)

    start = psi.new_full((psi.shape[1],), 1 / psi.shape[1])
    return minimise_on_simplex(derivatives, start, tolerance=tolerance).log() - log_mean


def _held_out(
    log_p: Float[Tensor, "n b"],
    log_q: Float[Tensor, "m b"],
    folds_p: Int[Tensor, " n"],
    folds_q: Int[Tensor, " m"],
) -> Float[Tensor, ""]:
    """Return the mean over folds of the bound of KL(p || q), fitted without the fold."""
    bounds = []
    for fold in range(FOLDS):
        of_p, of_q = folds_p == fold, folds_q == fold
        log_a = _fitted(log_p[~of_p], log_q[~of_q], TOLERANCE_OF_FOLDS)
        h_p, h_q = (log_p[of_p] + log_a).logsumexp(1), (log_q[of_q] + log_a).logsumexp(1)
        bounds.append(h_p.mean() - h_q.exp().mean() + 1)
    return torch.stack(bounds).mean()
