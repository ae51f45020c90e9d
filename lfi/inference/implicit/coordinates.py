"""Coordinates w of a density: Gaussian ones, B (v - m), one for each observation, or bent.

With Gaussian ones an implicit distribution of v has a Gaussian reference of the same moments,
log N(w; 0, I) + log |det B|, and a critic has only the ratio to it left to learn. In bent ones the
scale of a coordinate depends on those before it, as that of effects on their deviation does, which
is sampled before them.

References:
    Germain et al., MADE: masked autoencoder for distribution estimation, ICML 2015.
        arXiv:1502.03509
    Kingma et al., Improved variational inference with inverse autoregressive flow, 2016.
        arXiv:1606.04934
    Jones & Pewsey, Sinh-arcsinh distributions, Biometrika 2009.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lfi.generation.surrogates.gaussian_start import GaussianStart
from lfi.networks import moments
from lfi.networks.residual import linear

RIDGE = 1e-6  # of the variances, so that a covariance has a root
MAX_LOG_SCALE = 5.0  # that the network adds


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


class AutoregressiveCoordinates(nn.Module):
    """v = `base`^-1(y), y_i = m_i(w_<i) + exp(s_i(w_<i)) S_i(w_i), in the order of the coordinates.

    S_i(w) = sinh(t_i asinh(w) + a_i) gives a coordinate skewness and tails. At first y = w.

    Example:
        >>> coordinates = AutoregressiveCoordinates(3)
        >>> w = torch.randn(5, 3).float()
        >>> v, log_det = coordinates.inverse(w)
        >>> torch.allclose(coordinates(v)[0], w, atol=1e-5), log_det.shape
        (True, torch.Size([5]))
    """

    before: Tensor
    seen: Tensor
    used: Tensor

    def __init__(self, size: int, *, width: int = 64) -> None:
        super().__init__()
        width = max(width, 8 * size)
        self.base: GaussianCoordinates = GaussianCoordinates(size)
        self.straight: nn.Linear = linear(size, 2 * size)
        self.first: nn.Linear = linear(size, width)
        self.last: nn.Linear = linear(width, 2 * size, bias=False)
        self.skew: nn.Parameter = nn.Parameter(torch.zeros(size, dtype=torch.float32))
        self.log_tail: nn.Parameter = nn.Parameter(torch.zeros(size, dtype=torch.float32))
        order = torch.arange(size)
        newest = torch.arange(width) % max(1, size - 1)  # coordinate that a hidden unit sees
        twice = torch.cat([order, order])[:, None]
        self.register_buffer("before", (order < twice).float(), persistent=False)
        self.register_buffer("seen", (order <= newest[:, None]).float(), persistent=False)
        self.register_buffer("used", (newest < twice).float(), persistent=False)
        self.reset()

    def reset(self) -> None:
        """Let y be w again."""
        straight = self.straight.weight, self.straight.bias
        for weight in (*straight, self.last.weight, self.skew, self.log_tail):
            nn.init.zeros_(weight)

    def _parts(self, w: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor]:
        """Return m and s of w."""
        hidden = F.silu(F.linear(w, self.first.weight * self.seen, self.first.bias))
        straight = F.linear(w, self.straight.weight * self.before, self.straight.bias)
        mean, log_scale = (straight + F.linear(hidden, self.last.weight * self.used)).chunk(2, 1)
        return mean, MAX_LOG_SCALE * torch.tanh(log_scale / MAX_LOG_SCALE)

    def forward(
        self, v: Float[Tensor, "n d"], condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return w, one coordinate after the other, and log |det dw/dv|."""
        y, log_det = self.base(v)
        w, log_scale = torch.zeros_like(y), torch.zeros_like(y)
        for _ in range(y.shape[1]):
            mean, log_scale = self._parts(w)
            straight = (y - mean) * (-log_scale).exp()
            w = torch.sinh((torch.asinh(straight) - self.skew) * (-self.log_tail).exp())
        return w, log_det - log_scale.sum(1) - self._log_slope(w)

    def inverse(
        self, w: Float[Tensor, "n d"], condition: Tensor | None = None
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
        """Return v, in float64, and log |det dv/dw|."""
        mean, log_scale = self._parts(w)
        skewed = torch.sinh(self.log_tail.exp() * torch.asinh(w) + self.skew)
        v, log_det = self.base.inverse(mean + log_scale.exp() * skewed)
        return v, log_det + log_scale.sum(1) + self._log_slope(w)

    def _log_slope(self, w: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """Return the log of the product of the slopes of S."""
        turned = self.log_tail.exp() * torch.asinh(w) + self.skew
        log_cosh = turned.abs() + F.softplus(-2 * turned.abs()) - math.log(2)
        return (log_cosh + self.log_tail - torch.log1p(w.square()) / 2).sum(1)


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


PosteriorCoordinates = GaussianCoordinates | AutoregressiveCoordinates | ConditionalCoordinates


def coordinates_of(size: int, condition: int, bent: bool) -> PosteriorCoordinates:
    """Return coordinates, conditional where the condition has a size, to be fitted."""
    if condition:
        return ConditionalCoordinates(size, condition)
    return AutoregressiveCoordinates(size) if bent else GaussianCoordinates(size)
