"""Mixtures of local Student distributions, fitted to weighted points.

The points represent a density of any shape, with several or curved modes. Components are centred at
points drawn by weight, with the covariance of the points nearest to each, so that they lie along a
ridge rather than across it; the same ones at half the size; and one with mean and covariance of all
the points, which is all that a Gaussian needs. The shares are fitted to the points that are no
centres; the largest are kept. Student's t with `DF` degrees of freedom has heavier tails than the
target, as importance weights need.

All is batched over a leading dimension of observations, (m, ...).

References:
    Cappe, Guillin, Marin & Robert, Population Monte Carlo, J. Comp. Graph. Statistics 2004.
    Givens & Raftery, Local adaptive importance sampling for multivariate densities, JASA 1996.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.numerics.resampling import systematic_resampling, take_rows
from lfi.numerics.weighted_samples import deviations

COMPONENTS = 64
POINTS = 1024  # drawn by weight; components are fitted to these
DF = 5
RIDGE = 1e-6  # of the whole covariance, added to each component's
SMALL = 0.5  # the scale of the small components relative to the large ones
EM_STEPS = 10  # of expectation-maximisation
MIN_LOG_SHARE = math.log(0.02)  # of the widest component
CELLS = 2**16  # pairs of points and components held at a time, to stay in the cache

TensorMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class StudentMixture:
    """One mixture for each of m observations, with Cholesky factors of the scale matrices."""

    log_shares: Float[Tensor, "m k"]
    centres: Float[Tensor, "m k d"]
    factors: Float[Tensor, "m k d d"]

    def select(self, rows: Int[Tensor, " j"]) -> "StudentMixture":
        """Return the mixtures of some of the observations."""
        return StudentMixture(self.log_shares[rows], self.centres[rows], self.factors[rows])

    def sample(self, n: int, rng: torch.Generator) -> Float[Tensor, "m n d"]:
        """Draw n points for each observation, as many from each component as its share says."""
        m, _, d = self.centres.shape
        draw = {"generator": rng, "dtype": self.centres.dtype}
        which = systematic_resampling(self.log_shares, n, rng)
        normal = torch.randn(m, n, d, **draw)
        chi = torch.randn(m, n, DF, **draw).square().sum(-1, keepdim=True)
        step = (self._factors_of(which) @ normal[..., None]).squeeze(-1)
        return take_rows(self.centres, which) + step * (DF / chi).sqrt()

    def log_density(self, u: Float[Tensor, "m n d"]) -> Float[Tensor, "m n"]:
        """Return the log density of points; minus infinity where it underflows, far away."""
        features, kernel, constant = self._quadratic()
        top = constant.max(-1, keepdim=True).values
        values = []
        for part in u.split(max(1, CELLS // constant.numel()), dim=1):
            terms = (kernel(features(part)) + (constant - top)[:, None]).exp_()
            values.append(terms.sum(-1).log_() + top)
        return torch.cat(values, dim=1)

    def _factors_of(self, rows: Int[Tensor, "m n"]) -> Float[Tensor, "m n d d"]:
        return take_rows(self.factors.flatten(2), rows).unflatten(2, self.factors.shape[2:])

    def _quadratic(self) -> tuple[TensorMap, TensorMap, Tensor]:
        """Return what gives every component's log density by one product of matrices.

        The squared distance to a component is quadratic in u: a row of coefficients times the
        products of u's entries, taken about the last centre, in units of its scale.
        """
        m, k, d = self.centres.shape
        middle = self.centres[:, -1:]
        unit = self.factors[:, -1].square().sum(-1).sqrt()[:, None]  # (m, 1, d)
        eye = torch.eye(d, dtype=middle.dtype).expand(m, k, d, d)
        inverse = torch.linalg.solve_triangular(self.factors, eye, upper=False) * unit[:, None]
        centres = (self.centres - middle) / unit
        precision = inverse.transpose(-1, -2) @ inverse
        pull = (precision @ centres[..., None]).squeeze(-1)
        i, j = torch.triu_indices(d, d)
        twice = torch.where(i == j, 1.0, 2.0).to(precision)
        offset = (pull * centres).sum(-1)
        table = torch.cat([precision[..., i, j] * twice, -2 * pull], -1) / DF  # (m, k, f)
        offset = 1 + offset / DF
        constant = math.lgamma((DF + d) / 2) - math.lgamma(DF / 2) - d / 2 * math.log(DF * math.pi)
        constant = constant - self.factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)

        def features(u: Tensor) -> Tensor:
            v = (u - middle) / unit
            return torch.cat([v[..., i] * v[..., j], v], -1)

        def kernel(f: Tensor) -> Tensor:
            distance = torch.baddbmm(offset[:, None], f, table.transpose(1, 2))
            return distance.clamp_min_(1).log_().mul_(-(DF + d) / 2)

        return features, kernel, constant + self.log_shares

    def with_fitted_shares(self, u: Float[Tensor, "m n d"], components: int) -> "StudentMixture":
        """Return the components of largest share, fitted to points by a few steps of EM."""
        features, kernel, constant = self._quadratic()
        densities = kernel(features(u)) + (constant - self.log_shares)[:, None]
        log_shares = self.log_shares
        for _ in range(EM_STEPS):
            member = (densities + log_shares[:, None]).log_softmax(-1)
            log_shares = member.logsumexp(1) - math.log(u.shape[1])
        log_shares[:, -1] = log_shares[:, -1].clamp_min(MIN_LOG_SHARE)  # the widest stays, as last
        others, rows = log_shares[:, :-1].topk(components - 1)
        last = torch.full_like(rows[:, :1], log_shares.shape[1] - 1)
        rows = torch.cat([rows, last], 1)
        log_shares = log_shares.gather(1, rows).log_softmax(-1)
        return StudentMixture(log_shares, take_rows(self.centres, rows), self._factors_of(rows))


def fit_mixture(
    u: Float[Tensor, "m c d"],
    log_weights: Float[Tensor, "m c"],
    rng: torch.Generator,
    *,
    components: int = COMPONENTS,
) -> StudentMixture:
    """Return the mixture of points, finite wherever they have weight, of normalised log weights."""
    m, _, d = u.shape
    drawn = systematic_resampling(log_weights, POINTS, rng)  # few may be distinct
    points = take_rows(u, drawn).double()
    mean = points.mean(1, keepdim=True)
    scale = deviations(points, 1)
    centred = (points - mean) / scale
    factor = torch.linalg.cholesky(_covariance(centred))
    white = torch.linalg.solve_triangular(factor, centred.transpose(1, 2), upper=False)
    white = white.transpose(1, 2)
    neighbours = max(POINTS // 16, 6 * d)
    distance = torch.cdist(white[:, :components], white)  # (m, k, points)
    rows = distance.topk(neighbours, largest=False).indices.flatten(1)
    local = take_rows(white, rows).unflatten(1, (components, neighbours))
    covariance = _covariance(local - local.mean(2, keepdim=True))
    whole = scale[..., None] * factor[:, None]  # (m, 1, d, d)
    factors = whole @ torch.linalg.cholesky(covariance)
    centres = points[:, :components]
    log_shares = points.new_full((m, 2 * components + 1), -math.log(3 * components))
    log_shares[:, -1] = -math.log(3)
    mixture = StudentMixture(
        log_shares.to(u),
        torch.cat([centres, centres, mean], 1).to(u),
        torch.cat([factors, SMALL * factors, whole], 1).to(u),
    )
    return mixture.with_fitted_shares(points[:, components:].to(u), components)


def _covariance(centred: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b d d"]:
    """Return the covariance of centred points, with a ridge that lets it be factorised.

    The ridge grows with the points: a few distinct ones leave directions to rounding.
    """
    n, d = centred.shape[-2:]
    covariance = centred.transpose(-1, -2) @ centred / n
    size = covariance.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None].clamp_min(1)
    return covariance + RIDGE * size * torch.eye(d, dtype=centred.dtype)
