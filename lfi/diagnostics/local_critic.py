"""The critic of the local test: coordinates, a kernel, and many least-squares fits at once.

True parameters are treated like the draws they are hidden among, which makes the test exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.comparison.two_sample.outlier_test import robust_coordinates
from lfi.diagnostics.weighted_posterior import MAX_CHUNK, WeightedPosteriors

CENTRES = 256  # points at which the kernel's features are taken
COMPONENTS = 10  # principal components of x
MIN_SIGNAL = 9.0  # variance of posteriors' moments, over that of Monte Carlo, to be coordinates
MAX_SD = 4.0  # standard deviations at which coordinates are cut


@dataclass(frozen=True, eq=False)
class PosteriorMoments:
    """Mean and covariance of m posteriors, and the effective sample sizes behind them."""

    mean: Float[Tensor, "m d"]
    root: Float[Tensor, "m d d"]  # of the covariance, lower triangular
    ess: Float[Tensor, " m"]

    @property
    def sd(self) -> Float[Tensor, "m d"]:
        """The standard deviations."""
        return self.root.square().sum(dim=2).sqrt()

    def whiten(self, theta: Float[Tensor, "m n d"]) -> Float[Tensor, "m n d"]:
        """Return coordinates without correlations, of mean zero and variance one."""
        centred = (theta - self.mean[:, None]).mT
        return torch.linalg.solve_triangular(self.root, centred, upper=False).mT.clamp(
            -MAX_SD, MAX_SD
        )

    def standardise(self, theta: Float[Tensor, "m n d"]) -> Float[Tensor, "m n d"]:
        """Return each parameter's distance from its mean in standard deviations."""
        return (theta - self.mean[:, None]) / self.sd[:, None]


def hide_truth(
    posteriors: WeightedPosteriors, n: int, rng: torch.Generator
) -> Float[Tensor, "m s d"]:
    """Return true parameters, each before n draws of the posterior that it may be one of."""
    assert posteriors.truth is not None  # of held-out simulations
    return torch.cat([posteriors.truth[:, None], posteriors.resample(n, rng)], dim=1)


def posterior_moments(chunks: Sequence[WeightedPosteriors]) -> PosteriorMoments:
    """Return the moments of weighted samples, a truth among them weighted like the others."""
    means, roots = [], []
    for chunk in chunks:
        theta, weights = chunk.theta, chunk.weights[..., None]
        mean = (weights * theta).sum(dim=1)
        centred = theta - mean[:, None]
        covariance = (weights * centred).mT @ centred
        # what all samples share, and a posterior of one sample alone, has no width
        floor = 1e-6 * theta.var(dim=1).mean(dim=0) + torch.finfo(theta.dtype).tiny
        means.append(mean)
        roots.append(torch.linalg.cholesky(covariance + torch.diag(floor)))
    ess = torch.cat([chunk.ess for chunk in chunks])
    return PosteriorMoments(torch.cat(means), torch.cat(roots), ess)


def x_coordinates(
    x: Float[Tensor, "n ..."],
    moments: PosteriorMoments,
    x_obs: Float[Tensor, "m ..."],
    moments_obs: PosteriorMoments,
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "m p"]]:
    """Return coordinates of the held-out x, of variance one, and of the observations.

    The first principal components of x, and the posteriors' means and widths if they differ by more
    than their samples make them.
    """
    rows, rows_obs = (t.double().reshape(len(t), -1) for t in (x, x_obs))
    coordinates, coordinates_obs = robust_coordinates(rows, rows_obs)
    centre = coordinates.mean(dim=0)
    _, _, axes = torch.linalg.svd(coordinates - centre, full_matrices=False)
    both = []
    for rows, of in ((coordinates, moments), (coordinates_obs, moments_obs)):
        components = (rows - centre) @ axes[:COMPONENTS].T
        both.append(torch.cat([components, of.mean, of.sd.log()], dim=1))
    scale, mean = torch.std_mean(both[0], dim=0)
    noise = (moments.sd.square() / moments.ess[:, None]).mean(dim=0)  # variances of Monte Carlo
    of_log = (0.5 / moments.ess).mean().expand_as(noise)
    noise = torch.cat([1e-18 * scale.new_ones(len(scale) - 2 * len(noise)), noise, of_log])
    kept = scale.square() > MIN_SIGNAL * noise
    y, y_obs = (((each - mean) / scale)[:, kept].clamp(-MAX_SD, MAX_SD) for each in both)
    return y, y_obs


@dataclass(frozen=True, eq=False)
class LocalKernel:
    """A kernel of (z, y) with J centres, as features of norm one in its space."""

    z: Float[Tensor, "j d"]
    y: Float[Tensor, "j p"]
    basis: Float[Tensor, "j f"]  # from the kernel's values at the centres to features
    width: float  # of the Gaussian in y, as a squared distance

    @staticmethod
    def at(
        z: Float[Tensor, "m s d"], y: Float[Tensor, "m p"], rng: torch.Generator
    ) -> "LocalKernel":
        """Return the kernel with centres drawn from the sets."""
        m, s, _ = z.shape
        rows = torch.randperm(m * s, generator=rng)[:CENTRES]
        z_centres, y_centres = z.reshape(m * s, -1)[rows], y[rows // s]
        distances = torch.cdist(y_centres, y_centres).square()
        positive = distances[distances > 0]
        width = float(positive.median()) / 2 if len(positive) else 1.0
        plain = LocalKernel(z_centres, y_centres, torch.eye(len(rows), dtype=z.dtype), width)
        values, vectors = torch.linalg.eigh(plain._of_theta(z_centres) * plain._of_x(y_centres))
        kept = values > 1e-9 * values[-1]
        basis = vectors[:, kept] / values[kept].sqrt()
        return LocalKernel(z_centres, y_centres, basis, width)

    def centred(self, z: Float[Tensor, "m n d"], y: Float[Tensor, "m p"]) -> Float[Tensor, "m n f"]:
        """Return features of n points at each of m x, of mean zero at each."""
        m, n, d = z.shape
        values = self._of_theta(z.reshape(m * n, d)).reshape(m, n, -1) * self._of_x(y)[:, None]
        features = values @ self.basis
        return features - features.mean(dim=1, keepdim=True)

    def _of_theta(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n j"]:
        d = z.shape[1]
        product, own, centres = z @ self.z.T, z.square().sum(1), self.z.square().sum(1)
        squares = own[:, None] + centres
        quadratic = product.square() - squares + d
        gauss = (product.mul(2) - squares).div_(d).exp_()
        return (product / d + quadratic / (d * d + d) + gauss) / 3

    def _of_x(self, y: Float[Tensor, "m p"]) -> Float[Tensor, "m j"]:
        squared = torch.cdist(y, self.y).square() / self.width
        gauss = (torch.exp(-squared) + torch.exp(-4 * squared)) / 2
        return (2 + y @ self.y.T / max(y.shape[1], 1) + gauss) / 4


def fit_critics(
    kernel: LocalKernel,
    z: Float[Tensor, "m s d"],
    y: Float[Tensor, "m p"],
    chosen: Int[Tensor, "b m"],
    ridge: float,
) -> Float[Tensor, "f b"]:
    """Return the coefficients of g for each choice of true ones; `ridge` is added to variances."""
    (refits, m), s = chosen.shape, z.shape[1]
    f = kernel.basis.shape[1]
    gram, targets = z.new_zeros(f, f), z.new_zeros(refits, f)
    for rows in torch.arange(m).split(MAX_CHUNK):
        features = kernel.centred(z[rows], y[rows]).flatten(0, 1)
        gram += features.T @ features
        columns = chosen[:, rows] + s * torch.arange(len(rows))
        targets += z.new_zeros(refits, len(features)).scatter_(1, columns, 1.0) @ features
    gram = gram / (m * s) + ridge * torch.eye(f, dtype=z.dtype)
    return torch.linalg.solve(gram, targets.T / m)
