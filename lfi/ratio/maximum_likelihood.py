"""KLIEP: the kernel density ratio of greatest likelihood, its width chosen on what is held out.

A ratio that is a mixture of kernels with masses v on the simplex,

    r(x) = sum_k v_k phi_k(x) / E_q[phi_k],     v_k >= 0,   sum v = 1,

is positive and has E_q[r] = 1 by construction. Minimising KL(p || r q) over v is maximising

    E_p[log r],

a concave problem. It is that of the masses of a mixture whose components are known, solved here by
`lfi.ratio.simplex` to a given duality gap: with g_k = E_p[phi_k / (E_q[phi_k] r)], an optimum has
g_k = 1 where v_k > 0 and g_k <= 1 elsewhere, and max g - 1 bounds the likelihood yet to be gained.

The width is that of the greatest mean log r on points of p held out, in five folds. The objective
has no ridge.

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

from lfi.comparison.distances import squared_distances
from lfi.ratio.simplex import Derivatives, minimise_on_simplex

FOLDS = 5
TOLERANCE = 1e-8  # nats
TOLERANCE_OF_FOLDS = 1e-5  # nats: far below what folds differ by


@dataclass(frozen=True, eq=False)
class MaximumLikelihood:
    """A ratio fitted by maximum likelihood: a mixture of kernels.

    Attributes:
        centres: Where the kernels sit, (b, d).
        log_coefficients: Logarithms of the kernels' coefficients, (b,).
        width: The chosen width.
        scores: Mean log ratio held out, in nats, of each width; the greatest was chosen.
    """

    centres: Float[Tensor, "b d"]
    log_coefficients: Float[Tensor, " b"]
    width: float
    scores: Float[Tensor, " widths"]

    def log_ratio(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return log r, finite however far x is from the centres."""
        return (_log_kernels(x, self.centres, self.width) + self.log_coefficients).logsumexp(1)


def fit_maximum_likelihood(
    x_p: Float[Tensor, "n d"],
    x_q: Float[Tensor, "m d"],
    centres: Float[Tensor, "b d"],
    widths: Float[Tensor, " widths"],
    folds: Int[Tensor, " n"],
) -> MaximumLikelihood:
    """Fit the ratio by maximum likelihood.

    Args:
        x_p: The sample of p.
        x_q: The sample of q.
        centres: Where the kernels sit.
        widths: Those to choose from.
        folds: Which fold each point of p belongs to, 0 to FOLDS - 1; each has at least one.
    """
    log_features = [_log_features(x_p, x_q, centres, width)[0] for width in widths.tolist()]
    if len(widths) == 1:
        scores = x_p.new_full((1,), math.nan)  # nothing to choose
    else:
        scores = torch.stack([_held_out(log_psi, folds) for log_psi in log_features])
    width = float(widths[scores.argmax()])
    log_psi, log_mean = _log_features(x_p, x_q, centres, width)
    masses = _masses(log_psi, TOLERANCE)
    return MaximumLikelihood(centres, masses.log() - log_mean, width, scores)


def _log_kernels(
    x: Float[Tensor, "n d"], centres: Float[Tensor, "b d"], width: float
) -> Float[Tensor, "n b"]:
    return squared_distances(x, centres) * (-0.5 / width**2)


def _log_features(
    x_p: Float[Tensor, "n d"],
    x_q: Float[Tensor, "m d"],
    centres: Float[Tensor, "b d"],
    width: float,
) -> tuple[Float[Tensor, "n b"], Float[Tensor, " b"]]:
    """Return log phi_k(x_p) / E_q[phi_k], and log E_q[phi_k]."""
    log_mean = _log_kernels(x_q, centres, width).logsumexp(0) - math.log(len(x_q))
    return _log_kernels(x_p, centres, width) - log_mean, log_mean


def _held_out(log_psi: Float[Tensor, "n b"], folds: Int[Tensor, " n"]) -> Float[Tensor, ""]:
    """Return the mean over points of p of log r, fitted without their fold."""
    log_r = torch.empty_like(log_psi[:, 0])
    for fold in range(FOLDS):
        held = folds == fold
        masses = _masses(log_psi[~held], TOLERANCE_OF_FOLDS)
        log_r[held] = (log_psi[held] + masses.log()).logsumexp(1)
    return log_r.mean()


def _masses(log_psi: Float[Tensor, "n b"], tolerance: float) -> Float[Tensor, " b"]:
    """Return the masses that maximise the mean of log(psi @ masses)."""
    # A factor for each point changes the objective by a constant: the largest feature becomes 1.
    psi = torch.exp(log_psi - log_psi.max(1, keepdim=True).values)

    def derivatives(v: Float[Tensor, " b"]) -> Derivatives:
        scaled = psi / (psi @ v)[:, None]
        return -scaled.mean(0), scaled.T @ scaled / len(psi)

    b = psi.shape[1]
    return minimise_on_simplex(derivatives, psi.new_full((b,), 1 / b), tolerance=tolerance)
