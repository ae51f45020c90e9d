"""Gaussian coordinates: w = B (v - m), of one density, or of one for each observation.

With them an implicit distribution of v has a Gaussian reference of the same moments,
log N(w; 0, I) + log |det B|, and a critic has only the ratio to it left to learn.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.surrogates.gaussian_start import GaussianStart
from lfi.networks import moments

RIDGE = 1e-6  # of the variances, so that a covariance has a root


class GaussianCoordinates(nn.Module):
    """w = L^-1 (v - m), with mean m and covariance L L', in float64; w is of float32.

    Example:
        >>> coordinates = GaussianCoordinates(2)
        >>> coordinates.fit_from_moments(torch.ones(2), 4 * torch.eye(2))
        >>> w, log_det = coordinates(torch.tensor([[3.0, 1.0]]))
        >>> w.round(decimals=2).tolist(), coordinates.inverse(w)[0].round(decimals=2).tolist()
        ([[1.0, 0.0]], [[3.0, 1.0]])
    """

    mean: Tensor
    root: Tensor
    covariance: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("covariance", torch.eye(size, dtype=torch.float64))
        self.register_buffer("root", torch.eye(size, dtype=torch.float64))

    def fit_from_moments(self, mean: Float[Tensor, " d"], covariance: Float[Tensor, "d d"]) -> None:
        """Take the coordinates from moments."""
        self.mean.copy_(mean)
        self.covariance.copy_(covariance)
        ridge = RIDGE * self.covariance.diagonal().clamp(min=1e-300)
        self.root.copy_(torch.linalg.cholesky(self.covariance + torch.diag(ridge)))

    @torch.no_grad()
    def follow(self, v: Float[Tensor, "n d"], decay: float) -> None:
        """Let the moments follow those of a batch."""
        mean, covariance = moments(v)
        apart = mean - self.mean  # of two means, which is variance between batches
        within = covariance + decay * torch.outer(apart, apart)
        self.fit_from_moments(
            self.mean + (1 - decay) * apart, decay * self.covariance + (1 - decay) * within
        )

    def forward(
        self, v: Float[Tensor, "n d"], condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return w and log |det dw/dv|."""
        centred = (v.double() - self.mean).T
        w = torch.linalg.solve_triangular(self.root, centred, upper=False).T
        return w.to(torch.float32), -self.root.diagonal().log().sum().expand(len(v))

    def inverse(
        self, w: Float[Tensor, "n d"], condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return v, in float64, and log |det dv/dw|."""
        log_det = self.root.diagonal().log().sum().expand(len(w))
        return w.double() @ self.root.T + self.mean, log_det


class ConditionalCoordinates(nn.Module):
    """w = B(c) (y - m(c)) for a condition c, by networks of y = `base`(v), of order one."""

    def __init__(self, size: int, condition: int, *, width: int = 64) -> None:
        super().__init__()
        self.base: GaussianCoordinates = GaussianCoordinates(size)
        self.gaussian: GaussianStart = GaussianStart(size, condition, width=width, layers=2)

    def forward(
        self, v: Float[Tensor, "n d"], condition: Float[Tensor, "n c"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return w and log |det dw/dv|."""
        y, log_det = self.base(v)
        context = self.gaussian.context(condition)
        w, own = self.gaussian.gaussian(y, condition, context)
        return w, own + log_det

    def inverse(
        self, w: Float[Tensor, "n d"], condition: Float[Tensor, "n c"]
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return v, in float64, and log |det dv/dw|."""
        context = self.gaussian.context(condition)
        own = self.gaussian.gaussian.parts(condition, context)[-1]
        v, log_det = self.base.inverse(self.gaussian.gaussian.inverse(w, condition, context))
        return v, log_det - own
