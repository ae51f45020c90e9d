"""Fitted density ratios: log r, importance weights, divergences.

However a ratio was fitted, it is a function `log_ratio(x)` = log p(x)/q(x). Samples of q, weighted
by r, stand for p:

    E_p[g] = E_q[r g]                               `importance_weights`

and, for a convex f with f-GAN terms f'(r) and r f'(r) - f(r),

    D_f(p || q) >= E_p[f'(r)] - E_q[r f'(r) - f(r)] - f(1)        `divergence`

with equality where the ratio is right: on samples it was not fitted to, the estimate is on average
a lower bound. KL(p || q) = E_p[log r] needs no samples of q, and no bound holds for it: `kl`.

References:
    Sugiyama, Suzuki & Kanamori, Density Ratio Estimation in Machine Learning, 2012.
    Nowozin, Cseke & Tomioka, f-GAN, 2016. arXiv:1606.00709
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison import Divergence
from lfi.numerics import effective_sample_size, pareto_smooth
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.runtime import Described

if TYPE_CHECKING:  # scikit-learn says nothing of its types

    class BaseEstimator:
        """An estimator whose parameters are the arguments of its constructor."""

        get_params: Callable[..., dict[str, Any]]
        set_params: Callable[..., "BaseEstimator"]
else:
    from sklearn.base import BaseEstimator as BaseEstimator

ZERO = -1e4  # what log r of a ratio of zero counts as: as far as divergences are finite


def standard_error(*samples: Float[Tensor, " _"]) -> float:
    """Return the standard error of a sum or difference of independent samples' means."""
    return math.sqrt(sum(float(values.var()) / len(values) for values in samples))


@dataclass(frozen=True, repr=False)
class Estimate(Described):
    """A mean over samples.

    Attributes:
        value: The estimate.
        standard_error: Its standard error, from the scatter of the samples it was given; the
            error of the fitted ratio is not in it.
    """

    value: float
    standard_error: float

    def describe(self) -> str:
        """Return the estimate and its standard error.

        Example:
            >>> Estimate(0.34657, 0.0123)
            0.3466 +- 0.012 (standard error)
        """
        return f"{self.value:.4g} +- {self.standard_error:.2g} (standard error)"


@dataclass(frozen=True, eq=False, repr=False)
class ImportanceWeights(Described):
    """Weights that turn samples of q into samples of p.

    Attributes:
        log_weights: Logarithms of Pareto-smoothed weights that sum to 1, (n,).
        khat: The Pareto shape of the largest weights: below 0.7 means are dependable.
    """

    log_weights: Float[Tensor, " n"]
    khat: float

    @property
    def weights(self) -> Float[Tensor, " n"]:
        """Weights of mean 1, as regressions take them."""
        return torch.exp(self.log_weights) * len(self.log_weights)

    @property
    def effective_sample_size(self) -> float:
        """How many equal weights have the variance of these, between 1 and n."""
        return float(effective_sample_size(self.log_weights))

    def describe(self) -> str:
        """Return the effective sample size, and whether means are dependable."""
        dependable = "dependable" if self.khat < 0.7 else "not dependable (above 0.7)"
        return (
            f"weights of {len(self.log_weights)} samples\n"
            f"  effective sample size {self.effective_sample_size:.0f}\n"
            f"  k-hat {self.khat:.2f}: means are {dependable}"
        )


class Ratio(ABC):
    """A fitted density ratio r = p/q. Whoever fits one defines `log_ratio` and no more."""

    @abstractmethod
    def log_ratio(self, x: Samples) -> Float[Tensor, " n"]:
        """Return log p(x)/q(x), (n,), on the device and in the dtype of x, with gradients.

        It is -inf where a model of the ratio itself is not positive.

        Args:
            x: Where, (n, *event); NumPy or torch.

        Raises:
            sklearn.exceptions.NotFittedError: Before an estimator's `fit`.
            ValueError: If the events have another shape than those fitted to, or are not finite.
        """

    @checked
    def importance_weights(self, x_q: Samples) -> ImportanceWeights:
        """Return the weights of samples of q that make them stand for p.

        Args:
            x_q: Samples of q, (n, *event); those that the ratio was fitted to will do.

        Raises:
            ValueError: If the ratio is zero at every sample.
        """
        log_weights, khat = pareto_smooth(self._values("x_q", x_q))
        return ImportanceWeights(log_weights, float(khat))

    @checked
    @torch.no_grad()
    def divergence(self, divergence: Divergence, x_p: Samples, x_q: Samples) -> Estimate:
        """Return an f-divergence of p from q: on samples not fitted to, a lower bound on average.

        Where the fitted ratio is zero, log r counts as -10^4.

        Args:
            divergence: Which one, such as `lfi.losses.KL()`.
            x_p: Samples of p, (n, *event).
            x_q: Samples of q, (m, *event).
        """
        slope = divergence.slope(self._values("x_p", x_p).clamp(min=ZERO))
        conjugate = divergence.conjugate(self._values("x_q", x_q).clamp(min=ZERO))
        value = slope.mean() - conjugate.mean() - divergence.f(slope.new_zeros(()))
        return Estimate(float(value), standard_error(slope, conjugate))

    @checked
    @torch.no_grad()
    def kl(self, x_p: Samples) -> Estimate:
        """Return KL(p || q) as the mean of log r over samples of p, in nats.

        Where p is a joint distribution and q the product of its marginals, it is their mutual
        information.
        """
        h = self._values("x_p", x_p)
        return Estimate(float(h.mean()), standard_error(h))

    def _values(self, name: str, x: Samples) -> Float[Tensor, " n"]:
        """Return log ratios at an argument, by its name, of at least one row."""
        fitted = getattr(self, "shape", getattr(self, "event_shape_", None))
        return self.log_ratio(as_sample(name, x, fitted, min_rows=1))
