"""Gaussians whose mean and covariance depend on a condition c.

    v = B(c) (y - m(c)),    log p(y | c) = log N(v; 0, 1) + log |B(c)|,
    m(c) = regression of y on c + network,    B(c) = T(c) diag(exp s(c)) R,

with T unit lower triangular, and R the root of the inverse covariance of the residuals.
The networks are zero at first, so that a linear Gaussian model needs no training. Beyond 32 entries
T is the identity. Entries that are independent given c have a diagonal B.

References:
    Williams, Using neural networks to model conditional multivariate densities, Neural
        Computation 1996.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, repeated, zero

MAX_FULL = 32  # entries up to which all of B depends on the condition
MAX_LOG_SCALE = 10.0  # that the network adds
RIDGES = [10.0**k for k in range(-8, 2)]  # of the regression, per row


def standard_normal_log_prob(z: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
    """Return log N(z; 0, 1) of vectors.

    Example:
        >>> standard_normal_log_prob(torch.zeros(1, 2))
        tensor([-1.8379])
    """
    return -(z.square().sum(1) + z.shape[1] * math.log(2 * math.pi)) / 2


def regression(
    x: Float[Tensor, "n d"], y: Float[Tensor, "n size"]
) -> tuple[Float[Tensor, "d size"], Float[Tensor, " size"], Float[Tensor, "n size"]]:
    """Return coefficients, intercept and leave-one-out residuals of a ridge regression.

    The ridge minimises the product over the columns of y of these residuals' mean squares.

    Example:
        >>> x = torch.arange(5.0)[:, None]
        >>> coefficients, intercept, _ = regression(x, 2 * x + 1)
        >>> round(coefficients.item(), 3), round(intercept.item(), 3)
        (2.0, 1.0)
    """
    n, centre, level = len(x), x.mean(0), y.mean(0)
    left, values, right = torch.linalg.svd(x - centre, full_matrices=False)
    part, best = left.T @ (y - level), math.inf
    for ridge in RIDGES:
        kept = values.square() / (values.square() + ridge * n)
        leverage = left.square() @ kept + 1 / n
        residuals = (y - level - left @ (kept[:, None] * part)) / (1 - leverage)[:, None]
        score = float(residuals.square().mean(0).clamp_min(1e-30).log().sum())
        if score < best:
            inverse = kept / values.clamp_min(1e-30)
            best, found = score, (right.T @ (inverse[:, None] * part), residuals)
    coefficients, residuals = found
    return coefficients, level - centre @ coefficients, residuals


class ConditionalGaussian(nn.Module):
    """y given a condition c and a context h(c), features of it by a network of the caller's.

    There may be several y, one after the other, for each condition.

    Example:
        >>> gaussian = ConditionalGaussian(3, 2, width=16)
        >>> y, c, h = (torch.randn(5, size).float() for size in (3, 2, 16))
        >>> v, log_det = gaussian(y, c, h)
        >>> torch.allclose(gaussian.inverse(v, c, h), y, atol=1e-5)
        True
    """

    place: Tensor

    def __init__(self, size: int, condition: int, width: int, *, full_root: bool = True) -> None:
        """Build networks of a context of some width; without `full_root`, R is diagonal."""
        super().__init__()
        self.size: int = size
        self.full_root: bool = full_root
        self.linear: nn.Linear = linear(condition, size)
        root = torch.eye(size) if full_root else torch.ones(size)
        self.root: nn.Parameter = nn.Parameter(root.to(torch.float32))
        self.mean: nn.Linear = zero(linear(width, size))
        self.log_scale: nn.Linear = zero(linear(width, size))
        rows, columns = torch.tril_indices(size, size, -1)
        self.register_buffer("place", rows * size + columns, persistent=False)
        self.mix: nn.Linear | None = (
            zero(linear(width, len(self.place))) if 1 < size <= MAX_FULL else None
        )

    def fit_from_data(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> None:
        """Start from the linear regression of y on the condition, and its residuals."""
        coefficients, intercept, residuals = regression(condition.double(), y.double())
        floor = 1e-10 * y.double().var(0, correction=0) + 1e-30
        with torch.no_grad():
            self.linear.weight.copy_(coefficients.T)
            self.linear.bias.copy_(intercept)
            if self.full_root:
                covariance = residuals.T @ residuals / len(y) + torch.diag(floor)
                self.root.copy_(torch.linalg.inv(torch.linalg.cholesky(covariance)))
            else:
                self.root.copy_((residuals.square().mean(0) + floor).rsqrt())

    def reset_networks(self) -> None:
        """Take mean and scales as those of the regression again."""
        for layer in (self.mean, self.log_scale):
            zero(layer)

    def make_independent(self) -> None:
        """Take R diagonal, each entry's residuals keeping their deviation."""
        if self.full_root:
            with torch.no_grad():
                inverse = torch.linalg.inv(self.root.double().tril())
                self.root.copy_(torch.diag(inverse.square().sum(1).rsqrt()))

    def mean_of(
        self, condition: Float[Tensor, "n condition"], context: Float[Tensor, "n width"]
    ) -> Float[Tensor, "n size"]:
        """Return m."""
        return self.linear(condition) + self.mean(context)

    def parts(
        self,
        condition: Float[Tensor, "n condition"],
        context: Float[Tensor, "n width"],
        independent: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Return m, s, T (None for the identity) and log |B| of each condition."""
        mean = self.mean_of(condition, context)
        log_scale = MAX_LOG_SCALE * torch.tanh(self.log_scale(context) / MAX_LOG_SCALE)
        diagonal = self.root.diagonal() if self.full_root else self.root
        triangle = None
        if self.mix is not None and not independent:
            flat = mean.new_zeros(mean.shape[0], self.size**2)  # `len` would fix n in an export
            flat = flat.index_copy(1, self.place, self.mix(context))
            triangle = flat.view(-1, self.size, self.size) + torch.eye(self.size).to(mean)
        return mean, log_scale, triangle, log_scale.sum(1) + diagonal.abs().log().sum()

    def forward(
        self,
        y: Float[Tensor, "n size"],
        condition: Float[Tensor, "m condition"],
        context: Float[Tensor, "m width"],
        *,
        independent: bool = False,
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return v and log |dv/dy|; entries that are `independent` go without T and a full R."""
        mean, log_scale, triangle, log_det = self._parts_of(y, condition, context, independent)
        off = y - mean
        if self.full_root:
            off = off * self.root.diagonal() if independent else off @ self.root.tril().T
        else:
            off = off * self.root
        v = off * log_scale.exp()
        return v if triangle is None else (triangle @ v[..., None]).squeeze(-1), log_det

    def inverse(
        self,
        v: Float[Tensor, "n size"],
        condition: Float[Tensor, "m condition"],
        context: Float[Tensor, "m width"],
        *,
        independent: bool = False,
    ) -> Float[Tensor, "n size"]:
        """Return y."""
        mean, log_scale, triangle, _ = self._parts_of(v, condition, context, independent)
        if triangle is not None:
            v = torch.linalg.solve_triangular(triangle, v[..., None], upper=False).squeeze(-1)
        v = v * (-log_scale).exp()
        if not self.full_root:
            return v / self.root + mean
        if independent:
            return v / self.root.diagonal() + mean
        root = self.root.tril().T  # of v = off @ root
        return torch.linalg.solve_triangular(root, v, upper=True, left=False) + mean

    def _parts_of(
        self, y: Tensor, condition: Tensor, context: Tensor, independent: bool
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Return the parts for rows of y."""
        mean, log_scale, triangle, log_det = self.parts(condition, context, independent)
        triangle = None if triangle is None else repeated(triangle, y)
        return repeated(mean, y), repeated(log_scale, y), triangle, repeated(log_det, y)
