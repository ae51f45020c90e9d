"""Gaussianity of codes: whether they are standard normal, as codes of data are if a flow is right.

Three tests of independent codes z in d dimensions, each of which sees what others miss:

    energy     the distance 2 E|z - g| - E|z - z'| - E|g - g'| of codes and normal vectors g,
               whose first and last term are exact; its p-value is by simulation
    marginal   Kolmogorov and Smirnov's of each coordinate, exact; the least of the d p-values
               counts, by Sidak's correction, exact as coordinates of normal vectors are independent
    radial     Kolmogorov and Smirnov's of |z|^2, chi-squared of d degrees of freedom

The energy distance sees every difference given enough codes, and in many dimensions mostly the
radius and the correlations.

References:
    Szekely & Rizzo, A new test for multivariate normality, Journal of Multivariate Analysis, 2005.
    Danihelka, Lakshminarayanan, Uria, Wierstra & Dayan, Comparison of maximum likelihood and
        GAN-based training of Real NVPs, 2017. arXiv:1705.05263 (codes of data)
"""

import math
from dataclasses import dataclass

import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.numerics.checks import check_counts
from lfi.numerics.distances import euclidean_distances
from lfi.runtime import Described, fresh, torch_rng

MIN_ROWS = 5
STEP, REACH = 0.25, 46.0  # of the integral's grid: errors are below 1e-9 of its value


@dataclass(frozen=True, eq=False, repr=False)
class Gaussianity(Described):
    """How far codes are from standard normal, and whether it is more than chance.

    Attributes:
        energy: The energy distance to the standard normal, unbiased: about 0 where codes are it.
        energy_p: Its p-value.
        marginal_p: The p-value of all coordinates together.
        marginal: The p-value of each, (d,), in float64.
        radial_p: The p-value of the radii.
        radius: The mean of |z|^2 / d: 1 under the normal.
    """

    energy: float
    energy_p: float
    marginal_p: float
    marginal: Float[Tensor, " d"]
    radial_p: float
    radius: float

    @property
    def p_value(self) -> float:
        """The p-value of the three together, by Bonferroni's correction."""
        return min(1.0, 3 * min(self.energy_p, self.marginal_p, self.radial_p))

    def describe(self) -> str:
        """Return whether codes are taken for normal, and what each test says."""
        verdict = (
            "not standard normal" if self.p_value < 0.05 else "no evidence against standard normal"
        )
        return (
            f"{verdict}: p = {self.p_value:.3g}\n"
            f"  energy distance {self.energy:.4g}, p = {self.energy_p:.3g}\n"
            f"  coordinates, p = {self.marginal_p:.3g}\n"
            f"  radii, p = {self.radial_p:.3g}; mean square {self.radius:.3g} a coordinate"
        )


@checked
def gaussianity(
    codes: Samples, *, simulations: int = 199, max_rows: int = 1_000, seed: int | None = None
) -> Gaussianity:
    """Test whether codes are independent standard normal vectors.

    Args:
        codes: (n, d), such as `flow.codes(x)` of data x that the flow was not fitted to.
        simulations: Of normal codes, for the p-value of the energy distance, which is at least
            1 / (1 + simulations).
        max_rows: How many of the codes the energy distance takes: its time grows with the square.
        seed: Of these simulations; None takes fresh entropy.

    Raises:
        TypeError: If codes are no array of numbers.
        ValueError: If they are not finite, no vectors, or fewer than 5.

    Example:
        >>> z = torch.randn(200, 3)
        >>> gaussianity(z, seed=1).p_value > 0.001, gaussianity(1.5 * z, seed=1).p_value < 0.05
        (True, True)
    """
    check_counts(simulations=simulations, max_rows=max_rows)
    z = as_sample("codes", codes, min_rows=MIN_ROWS).detach().cpu().double()
    if z.ndim != 2:
        raise ValueError(f"codes must be vectors, (n, d), got shape {tuple(z.shape)}")
    if max_rows < MIN_ROWS:
        raise ValueError(f"max_rows must be at least {MIN_ROWS}, got {max_rows}")
    n, d = z.shape
    rng = torch_rng(fresh(seed))
    some = z[torch.randperm(n, generator=rng)[:max_rows]]
    energy = energy_to_normal(some)
    beyond = sum(
        energy_to_normal(torch.randn(some.shape, generator=rng, dtype=z.dtype)) >= energy
        for _ in range(simulations)
    )
    marginal = torch.tensor(
        [float(scipy.stats.kstest(column.numpy(), "norm").pvalue) for column in z.T],
        dtype=torch.float64,
    )
    squares = z.square().sum(1)
    radial = scipy.stats.kstest(squares.numpy(), scipy.stats.chi2(d).cdf)
    return Gaussianity(
        energy,
        (1 + beyond) / (1 + simulations),
        float(-torch.expm1(d * torch.log1p(-marginal.min()))),
        marginal,
        float(radial.pvalue),
        float(squares.mean()) / d,
    )


def energy_to_normal(z: Float[Tensor, "n d"]) -> float:
    """Return the energy distance of a sample to the standard normal, unbiased.

    Example:
        >>> z = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
        >>> round(energy_to_normal(z), 4)  # 2 x 1.1668 - 2 - 2 / pi^(1/2)
        -0.7951
    """
    n, d = z.shape
    within = euclidean_distances(z, z).sum() / (n * (n - 1))
    across = mean_distance_to_normal(z.square().sum(1), d).mean()
    return float(2 * across - within) - math.sqrt(2) * _mean_norm(d)


def mean_distance_to_normal(squared_radius: Float[Tensor, " n"], dim: int) -> Float[Tensor, " n"]:
    """Return E|a - g|, g standard normal in `dim` dimensions, for |a|^2.

    It is the integral over s of (1 - E exp(-s |a - g|^2)) s^(-3/2) / (2 pi^(1/2)), which converges
    at once on a grid of log s; the hypergeometric series overflows in hundreds of dimensions.

    Example:
        >>> mean_distance_to_normal(torch.zeros(1, dtype=torch.float64), 1)  # (2 / pi)^(1/2)
        tensor([0.7979])
    """
    centre = -(squared_radius + dim).log()[:, None]
    t = centre + torch.arange(-REACH, REACH + STEP, STEP, dtype=squared_radius.dtype)
    s = t.exp()
    log_factor = -dim / 2 * torch.log1p(2 * s) - s * squared_radius[:, None] / (1 + 2 * s)
    integrand = -torch.expm1(log_factor) * (-t / 2).exp()
    return integrand.sum(1) * STEP / (2 * math.sqrt(math.pi))


def _mean_norm(dim: int) -> float:
    """Return E|g|."""
    return math.sqrt(2) * math.exp(math.lgamma((dim + 1) / 2) - math.lgamma(dim / 2))
