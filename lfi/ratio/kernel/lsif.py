"""Least-squares density ratios with kernels: uLSIF and RuLSIF, selected by exact leave-one-out.

The relative ratio r_alpha = p / (alpha p + (1 - alpha) q), below 1/alpha and at alpha = 0 the plain
ratio, minimises E_mixture[r^2]/2 - E_p[r]. With r = a' phi and a ridge lambda on a, this is

    minimise  a' H a / 2 - h' a + lambda a' a / 2,
    H = alpha E_p[phi phi'] + (1 - alpha) E_q[phi phi'],    h = E_p[phi].

**Features.** Gaussian kernels at b centres, in combinations that are orthonormal in the kernel's
Hilbert space (phi K^(-1/2), K the kernel matrix of the centres), and a constant: a' a is then the
squared norm of the function. That is KuLSIF restricted to the centres; uLSIF as first published
penalises the raw coefficients.

**Leave-one-out in closed form.** Leave out the pair (x, y), one point of each sample. With n_p and
n_q points before,

    H_i = G - c_p phi_x phi_x' - c_q phi_y phi_y',      h_i = (n_p h - phi_x) / (n_p - 1),
    G = alpha n_p/(n_p - 1) E_p[phi phi'] + (1 - alpha) n_q/(n_q - 1) E_q[phi phi'],
    c_p = alpha / (n_p - 1),    c_q = (1 - alpha) / (n_q - 1).

G is the same for every pair. With S = (G + lambda)^-1, V = (phi_x, phi_y), C = diag(c_p, c_q) and
T = V' S V, the identity V' (S^-1 - V C V')^-1 = (1 - T C)^-1 V' S gives the refitted ratio r_i at
the two points left out, by a system of two equations:

    (r_i(x), r_i(y))' = (1 - T C)^-1 V' S h_i,
    score = mean over pairs of  alpha r_i(x)^2 / 2 + (1 - alpha) r_i(y)^2 / 2 - r_i(x).

One eigendecomposition of G per width serves all ridges: in its basis S is diagonal. A width takes
O(n b^2), a ridge more O(n b). Where n_p and n_q differ there are max(n_p, n_q) pairs, not min as in
Kanamori et al.: points of the smaller sample that serve k times count 1/k. Centres stay.

References:
    Kanamori, Hido & Sugiyama, A Least-squares Approach to Direct Importance Estimation, JMLR 2009.
    Kanamori, Suzuki & Sugiyama, Statistical analysis of kernel-based least-squares density-ratio
        estimation, Machine Learning 2012.
    Yamada, Suzuki, Kanamori, Hachiya & Sugiyama, Relative Density-Ratio Estimation for Robust
        Distribution Comparison, Neural Computation 2013. arXiv:1106.4729
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.kernels.stationary import Gaussian
from lfi.ratio.types import standard_error
from lfi.runtime import Described

NEGLIGIBLE = 1e-10  # of the largest eigenvalue of the kernel matrix


@dataclass(frozen=True, eq=False)
class LeastSquaresObjective:
    """The objective for the features of one width."""

    phi_p: Float[Tensor, "n b"]
    phi_q: Float[Tensor, "m b"]
    alpha: float = 0.0  # the share of p in the mixture that the ratio is relative to

    def coefficients(self, ridge: float) -> Float[Tensor, " b"]:
        """Return the minimiser, (H + ridge)^-1 h."""
        n_p, n_q = len(self.phi_p), len(self.phi_q)
        e, u = torch.linalg.eigh(self._moments(self.alpha / n_p, (1 - self.alpha) / n_q))
        return u @ ((self.phi_p.mean(0) @ u) / (e.clamp(min=0) + ridge))

    def leave_one_out(
        self, ridges: Float[Tensor, " ridges"], chunk: int = 16_384
    ) -> Float[Tensor, " ridges"]:
        """Return the leave-one-out score of every ridge, by `chunk` pairs at a time."""
        n_p, n_q = len(self.phi_p), len(self.phi_q)
        c_p, c_q = self.alpha / (n_p - 1), (1 - self.alpha) / (n_q - 1)
        e, u = torch.linalg.eigh(self._moments(c_p, c_q))
        s = 1 / (e.clamp(min=0) + ridges[:, None])  # (ridges, b)
        x_all, y_all = self.phi_p @ u, self.phi_q @ u
        s_h = s * x_all.mean(0)
        pairs = max(n_p, n_q)
        score = torch.zeros_like(ridges)
        for start in range(0, pairs, chunk):
            index = torch.arange(start, min(start + chunk, pairs), device=s.device)
            x, y = x_all[index % n_p], y_all[index % n_q]  # (chunk, b)
            t_xx, t_xy, t_yy = s @ (x * x).T, s @ (x * y).T, s @ (y * y).T  # (ridges, chunk)
            u_x = (n_p * (s_h @ x.T) - t_xx) / (n_p - 1)
            u_y = (n_p * (s_h @ y.T) - t_xy) / (n_p - 1)
            a, b = 1 - c_p * t_xx, -c_q * t_xy  # 1 - T C = ((a, b), (c, d))
            c, d = -c_p * t_xy, 1 - c_q * t_yy
            determinant = a * d - b * c
            r_x = (d * u_x - b * u_y) / determinant
            r_y = (a * u_y - c * u_x) / determinant
            score += (self.alpha / 2 * r_x.square() - r_x) @ _shares(index, n_p, pairs)
            score += ((1 - self.alpha) / 2 * r_y.square()) @ _shares(index, n_q, pairs)
        return score

    def _moments(self, weight_p: float, weight_q: float) -> Float[Tensor, "b b"]:
        """Return the weighted sum of phi phi' over both samples."""
        moments = weight_q * (self.phi_q.T @ self.phi_q)
        if weight_p:
            moments += weight_p * (self.phi_p.T @ self.phi_p)
        return moments


def _shares(index: Tensor, n: int, pairs: int) -> Float[Tensor, " pairs"]:
    """Return what each pair counts for its point among n: 1/n, shared where the point recurs."""
    times = pairs // n + (index % n < pairs % n)
    return 1 / (n * times.double())


@dataclass(frozen=True, repr=False)
class PearsonEstimates(Described):
    """Estimates of the relative Pearson divergence, E_mixture[(r_alpha - 1)^2] / 2.

    It is half of chi-squared, as the literature of RuLSIF has it, and at most (1/alpha - 1)/2.

    By Fenchel duality it is the largest value of J(r) = E_p[r] - E_mixture[r^2]/2 - 1/2, and J
    falls short of it by E_mixture[(r - r_alpha)^2]/2. The maximum of J over a *sample* is too large
    by as much as the fitted r, on fresh points, falls short: to first order the error of fitting
    cancels in the mean of the two, and that is `value`.

    Attributes:
        value: The mean of `dual` and `held_out`.
        standard_error: Of `value`, from the scatter of the samples.
        dual: J of the fitted ratio on the points that it was fitted to: too large on average, but
            for the ridge.
        held_out: J on points left out: on average a lower bound, but for the choice of the best
            among several widths and ridges.
        plug_in: E_p[r]/2 - 1/2 on the points that it was fitted to; its error is of first order in
            that of r.
    """

    value: float
    standard_error: float
    dual: float
    held_out: float
    plug_in: float

    def describe(self) -> str:
        """Return the estimates."""
        return (
            f"relative Pearson divergence {self.value:.4g} +- {self.standard_error:.2g} "
            "(standard error)\n"
            f"  fitted points {self.dual:.4g}, left out {self.held_out:.4g}, "
            f"plug-in {self.plug_in:.4g}"
        )


@dataclass(frozen=True, eq=False)
class LeastSquaresRatio:
    """A ratio fitted by least squares: kernels at centres, and a constant."""

    centres: Float[Tensor, "b d"]
    coefficients: Float[Tensor, " b"]
    intercept: float
    width: float
    ridge: float
    scores: Float[Tensor, "widths ridges"]  # by leave-one-out; the lowest was chosen
    pearson: PearsonEstimates

    def ratio(self, x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return the relative ratio, as fitted: it may be negative, or above 1/alpha."""
        return Gaussian(self.width)(x, self.centres) @ self.coefficients + self.intercept


def fit_ulsif(
    x_p: Float[Tensor, "n d"],
    x_q: Float[Tensor, "m d"],
    centres: Float[Tensor, "b d"],
    widths: Float[Tensor, " widths"],
    ridges: Float[Tensor, " ridges"],
    alpha: float,
) -> LeastSquaresRatio:
    """Fit the relative ratio, its width and ridge those of the lowest leave-one-out score."""
    best = math.inf
    scores = []
    for width in widths.tolist():
        kernel = Gaussian(width)
        e, u = torch.linalg.eigh(kernel(centres, centres))
        kept = e > NEGLIGIBLE * e[-1]
        basis = u[:, kept] / e[kept].sqrt()
        phi_p, phi_q = (F.pad(kernel(x, centres) @ basis, (0, 1), value=1.0) for x in (x_p, x_q))
        quadratic = LeastSquaresObjective(phi_p, phi_q, alpha)
        scores.append(quadratic.leave_one_out(ridges))
        if scores[-1].min() < best:
            best, chosen = float(scores[-1].min()), (quadratic, basis, width)
    quadratic, basis, width = chosen
    ridge = float(ridges[torch.stack(scores).min(0).values.argmin()])
    a = quadratic.coefficients(ridge)
    return LeastSquaresRatio(
        centres=centres,
        coefficients=basis @ a[:-1],
        intercept=float(a[-1]),
        width=width,
        ridge=ridge,
        scores=torch.stack(scores),
        pearson=_pearson(quadratic.phi_p @ a, quadratic.phi_q @ a, alpha, best),
    )


def _pearson(
    r_p: Float[Tensor, " n"], r_q: Float[Tensor, " m"], alpha: float, score: float
) -> PearsonEstimates:
    """Return the estimates from the fitted values and the leave-one-out score."""
    at_p = r_p - alpha / 2 * r_p.square()
    at_q = (1 - alpha) / 2 * r_q.square()
    dual, held_out = float(at_p.mean() - at_q.mean()) - 0.5, -score - 0.5
    return PearsonEstimates(
        value=(dual + held_out) / 2,
        standard_error=standard_error(at_p, at_q),
        dual=dual,
        held_out=held_out,
        plug_in=float(r_p.mean()) / 2 - 0.5,
    )
