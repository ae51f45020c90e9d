"""Regression adjustment of accepted parameters to the observed data.

Near the observation theta, in unconstrained coordinates u, depends on summaries s about linearly.
With the slopes b of weighted least squares each parameter is moved along the regression,

    u* = u - b (s - s_obs),

which removes the error of the tolerance to first order, so that a larger tolerance, with more
accepted draws, costs less. Where the residuals' scale changes with s too, the logarithm of their
squares is regressed likewise, and

    u* = m(s_obs) + (u - m(s)) sigma(s_obs) / sigma(s).

References:
    Beaumont, Zhang & Balding, Approximate Bayesian computation in population genetics, 2002.
    Blum & Francois, Non-linear regression models for ABC, 2010. arXiv:0809.4178
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.inference.abc.distances import Data, Observed, Parameters
from lfi.inference.abc.summaries import Summary, summarised
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_number
from lfi.numerics.ridge import fit_ridge

FLOOR = 1e-12  # of squared residuals, as a share of their mean: their logarithm is finite


@checked
@dataclass(frozen=True)
class LocalLinear:
    """Adjustment by a weighted linear regression on summaries.

    Attributes:
        summary: What x is reduced to, (n, *event) to (n, k); None for x itself, flattened.
        ridge: What is added to the summaries' correlations: 0 for plain least squares.

    Example:
        >>> s = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None]
        >>> moved = LocalLinear(ridge=0.0)(3 * s + 1, s, torch.zeros(1), torch.full((50,), 0.02))
        >>> bool((moved - 1).abs().max() < 1e-6)
        True
    """

    summary: Summary | None = None
    ridge: float = 1e-6

    def __post_init__(self) -> None:
        check_number("ridge", self.ridge, minimum=0)

    def __call__(
        self, u: Parameters, x: Data, x_obs: Observed, weights: Float[Tensor, " n"]
    ) -> Parameters:
        """Return the adjusted parameters; ValueError if they are no more than the summaries."""
        s = summarised(self.summary, x).double()
        s = s - summarised(self.summary, x_obs[None].to(x)).double()
        if len(s) <= s.shape[1] + 1:
            raise ValueError(
                f"{len(s)} accepted simulations are too few for a regression on {s.shape[1]} "
                "summaries"
            )
        if not s.isfinite().all():
            raise ValueError("summary: summaries of accepted simulations are not finite")
        return self._moved(u, s, weights)

    def _moved(self, u: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        """Return the adjusted parameters, with summaries less those observed."""
        return u - s @ fit_ridge(s, u, self.ridge, weights).slope


@checked
@dataclass(frozen=True)
class Heteroscedastic(LocalLinear):
    """Adjustment by a regression, with residuals rescaled to their standard deviation at x_obs.

    Attributes:
        summary: What x is reduced to, (n, *event) to (n, k); None for x itself, flattened.
        ridge: What is added to the summaries' correlations.
    """

    def _moved(self, u: Tensor, s: Tensor, weights: Tensor) -> Tensor:
        fit = fit_ridge(s, u, self.ridge, weights)
        residual = u - fit(s)
        squared = residual.square()
        squared = squared + FLOOR * (weights @ squared) + torch.finfo(u.dtype).tiny
        log_variance = s @ fit_ridge(s, squared.log(), self.ridge, weights).slope
        return fit.intercept + residual * torch.exp(-log_variance / 2)
