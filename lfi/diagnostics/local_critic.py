"""The critic of the local test: coordinates, a kernel, and many least-squares fits at once.

Everything here treats the true parameters like the draws that they are hidden among, which is what
makes the test of `local.py` exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.comparison.two_sample.outlier_test import robust_coordinates
from lfi.diagnostics.weighted_posterior import SHARING, Candidates

CENTRES = 256  # points of the pool that the kernel's features are taken at
COMPONENTS = 10  # principal components of x
ABOVE_NOISE = 9.0  # how much more than chance posteriors' moments vary to tell where x lies
FAR = 4.0  # standard deviations that coordinates are cut at


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of m posteriors.

    Attributes:
        mean: (m, D).
        root: The lower triangular root of the covariance, (m, D, D).
        ess: How many independent draws they are the moments of, (m,).
    """

    mean: Float[Tensor, "m d"]
    root: Float[Tensor, "m d d"]
    ess: Float[Tensor, " m"]

    @property
    def sd(self) -> Float[Tensor, "m d"]:
        """The standard deviations."""
        return self.root.square().sum(dim=2).sqrt()

    def whiten(self, theta: Float[Tensor, "m n d"]) -> Float[Tensor, "m n d"]:
        """Return coordinates without correlations, of mean zero and variance one."""
        centred = (theta - self.mean[:, None]).mT
        return torch.linalg.solve_triangular(self.root, centred, upper=False).mT.clamp(-FAR, FAR)

    def standardise(self, theta: Float[Tensor, "m n d"]) -> Float[Tensor, "m n d"]:
        """Return each parameter's distance from its mean in standard deviations."""
        return (theta - self.mean[:, None]) / self.sd[:, None]


def hidden(part: Candidates, n: int, rng: torch.Generator) -> Float[Tensor, "m s d"]:
    """Return true parameters, each before n draws of the posterior that it may be one of."""
    return torch.cat([part.truth[:, None], part.resampled(n, rng)], dim=1)


def moments_of(parts: Sequence[Candidates]) -> Moments:
    """Return the moments of weighted candidates, a truth among them weighed like the others."""
    means, roots = [], []
    for part in parts:
        theta, weights = part.theta, part.weights[..., None]
        mean = (weights * theta).sum(dim=1)
        centred = theta - mean[:, None]
        covariance = (weights * centred).mT @ centred
        # what all candidates share, and a posterior of one candidate alone, has no width
        floor = 1e-6 * theta.var(dim=1).mean(dim=0) + torch.finfo(theta.dtype).tiny
        means.append(mean)
        roots.append(torch.linalg.cholesky(covariance + torch.diag(floor)))
    return Moments(torch.cat(means), torch.cat(roots), torch.cat([part.ess for part in parts]))


def place(
    x: Float[Tensor, "n ..."], known: Moments, x_obs: Float[Tensor, "m ..."], there: Moments
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "m p"]]:
    """Return where observations lie, of held-out simulations and of those asked about.

    By the first principal components of x, and the means and widths of their posteriors where these
    differ by more than candidates make them; of variance one among the held-out ones.
    """
    rows, rows_there = (t.double().reshape(len(t), -1) for t in (x, x_obs))
    coordinates, coordinates_there = robust_coordinates(rows, rows_there)
    centre = coordinates.mean(dim=0)
    _, _, axes = torch.linalg.svd(coordinates - centre, full_matrices=False)
    parts = []
    for where, moments in ((coordinates, known), (coordinates_there, there)):
        components = (where - centre) @ axes[:COMPONENTS].T
        parts.append(torch.cat([components, moments.mean, moments.sd.log()], dim=1))
    scale, mean = torch.std_mean(parts[0], dim=0)
    noise = (known.sd.square() / known.ess[:, None]).mean(dim=0)  # variances of Monte Carlo
    of_log = (0.5 / known.ess).mean().expand_as(noise)
    noise = torch.cat([1e-18 * scale.new_ones(len(scale) - 2 * len(noise)), noise, of_log])
    kept = scale.square() > ABOVE_NOISE * noise
    y, y_there = (((part - mean) / scale)[:, kept].clamp(-FAR, FAR) for part in parts)
    return y, y_there


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel of (z, y), as features of norm one in its space.

    Attributes:
        z: Centres, (J, D).
        y: Centres, (J, P).
        basis: From the kernel's values at the centres to features, (J, F).
        width: Of the Gaussian in y, as a squared distance.
    """

    z: Float[Tensor, "j d"]
    y: Float[Tensor, "j p"]
    basis: Float[Tensor, "j f"]
    width: float

    @staticmethod
    def at(z: Float[Tensor, "m s d"], y: Float[Tensor, "m p"], rng: torch.Generator) -> "Kernel":
        """Return the kernel with centres drawn from the pool."""
        m, s, _ = z.shape
        rows = torch.randperm(m * s, generator=rng)[:CENTRES]
        z_centres, y_centres = z.reshape(m * s, -1)[rows], y[rows // s]
        distances = torch.cdist(y_centres, y_centres).square()
        positive = distances[distances > 0]
        width = float(positive.median()) / 2 if len(positive) else 1.0
        plain = Kernel(z_centres, y_centres, torch.eye(len(rows), dtype=z.dtype), width)
        values, vectors = torch.linalg.eigh(plain._shape(z_centres) * plain._place(y_centres))
        kept = values > 1e-9 * values[-1]
        basis = vectors[:, kept] / values[kept].sqrt()
        return Kernel(z_centres, y_centres, basis, width)

    def centred(self, z: Float[Tensor, "m n d"], y: Float[Tensor, "m p"]) -> Float[Tensor, "m n f"]:
        """Return features of n points at each of m places, of mean zero at each place."""
        m, n, d = z.shape
        values = self._shape(z.reshape(m * n, d)).reshape(m, n, -1) * self._place(y)[:, None]
        features = values @ self.basis
        return features - features.mean(dim=1, keepdim=True)

    def _shape(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n j"]:
        d = z.shape[1]
        product, own, centres = z @ self.z.T, z.square().sum(1), self.z.square().sum(1)
        squares = own[:, None] + centres
        quadratic = product.square() - squares + d
        gauss = (product.mul(2) - squares).div_(d).exp_()
        return (product / d + quadratic / (d * d + d) + gauss) / 3

    def _place(self, y: Float[Tensor, "m p"]) -> Float[Tensor, "m j"]:
        squared = torch.cdist(y, self.y).square() / self.width
        near = (torch.exp(-squared) + torch.exp(-4 * squared)) / 2
        return (2 + y @ self.y.T / max(y.shape[1], 1) + near) / 4


def fits(
    kernel: Kernel,
    z: Float[Tensor, "m s d"],
    y: Float[Tensor, "m p"],
    named: Int[Tensor, "b m"],
    ridge: float,
) -> Float[Tensor, "f b"]:
    """Return the coefficients of g by least squares, once for each naming of the true ones.

    Args:
        kernel: Gives the features.
        z: Each simulation's set, one of which is the true one.
        y: The simulations' places.
        named: Which of its set is taken for the true one.
        ridge: Added to the features' variances.
    """
    (refits, m), s = named.shape, z.shape[1]
    f = kernel.basis.shape[1]
    gram, targets = z.new_zeros(f, f), z.new_zeros(refits, f)
    for rows in torch.arange(m).split(SHARING):
        features = kernel.centred(z[rows], y[rows]).flatten(0, 1)
        gram += features.T @ features
        places = named[:, rows] + s * torch.arange(len(rows))
        chosen = z.new_zeros(refits, len(features)).scatter_(1, places, 1.0)
        targets += chosen @ features
    gram = gram / (m * s) + ridge * torch.eye(f, dtype=z.dtype)
    return torch.linalg.solve(gram, targets.T / m)
