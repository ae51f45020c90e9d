"""Ridge regression on standardised inputs, with weights, and its leave-one-out predictions."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class RidgeRegression:
    """A linear regression, y = intercept + x slope, of shapes (k,) and (d, k)."""

    intercept: Float[Tensor, " k"]
    slope: Float[Tensor, "d k"]

    def __call__(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b k"]:
        """Return the fitted values at x."""
        return self.intercept + x @ self.slope


def fit_ridge(
    x: Float[Tensor, "n d"],
    y: Float[Tensor, "n k"],
    ridge: float,
    weights: Float[Tensor, " n"] | None = None,
) -> RidgeRegression:
    """Fit y by x, standardised, constant columns without influence; ridge adds to correlations."""
    weights = torch.ones_like(x[:, 0]) if weights is None else weights
    weights = (weights / weights.sum()).to(y)
    mean_x, mean_y = weights @ x, weights @ y
    z = x - mean_x
    sd = (weights @ z.square()).sqrt()
    varies = sd > 1e-12 * mean_x.abs()  # but for rounding
    scale = torch.where(varies, sd, 1.0)
    z = torch.where(varies, z, 0.0) / scale
    gram = z.T @ (weights[:, None] * z)
    gram = gram + (ridge + 1e-12) * torch.eye(len(gram), dtype=y.dtype)
    slope = torch.linalg.solve(gram, z.T @ (weights[:, None] * (y - mean_y))) / scale[:, None]
    return RidgeRegression(mean_y - mean_x @ slope, slope)


def left_out_predictions(
    x: Float[Tensor, "n d"], y: Float[Tensor, "n k"], ridge: float
) -> Float[Tensor, "n k"]:
    """Predict each row of y from its x by a ridge regression on all the other rows.

    Where H is the matrix that smooths y, leaving row i out makes its prediction
    ((H y)_i - H_ii y_i) / (1 - H_ii). Both must be centred; the ridge is added to x'x.
    """
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    shrunk = u * (s.square() / (s.square() + ridge))
    own = (shrunk * u).sum(dim=1, keepdim=True)
    return (shrunk @ (u.mT @ y) - own * y) / (1 - own)
