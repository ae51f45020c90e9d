"""Conditional flows: generators y = G(z, given) whose density is exact.

From data to noise, a flow first whitens and then bends,

    v = B(given) (y - m(given)),        B lower triangular, its diagonal positive,
    z = s_k o ... o s_1 (v; given),     s_i monotonic splines of some entries given the others,

    log q(y | given) = log N(z; 0, 1) + log |dz/dy|.

The mean m is linear in what is given plus a network. Training starts where the network and the
splines do nothing and m and B are those of a linear regression: a linear Gaussian model costs
nothing to learn, and a flow is only asked for what departs from it.

References:
    Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017. arXiv:1605.08803
    Durkan, Bekasov, Murray & Papamakarios, Neural spline flows, 2019. arXiv:1906.04032
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from zuko.transforms import MonotonicRQSTransform

from lfi.networks.residual import Block, layer_norm, linear, trunk

BOUND = 6.0  # standard deviations: beyond them splines are the identity
DENSE = 32  # entries up to which the whole triangle of B depends on what is given
LARGEST = 10.0  # of the log scales that the network adds
RIDGES = [10.0**k for k in range(-8, 2)]  # of the regression that training starts from, per row


def zero(layer: nn.Linear) -> nn.Linear:
    """Return the layer with weights and bias of zero, in place."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def regression(
    x: Float[Tensor, "n d"], y: Float[Tensor, "n size"]
) -> tuple[Float[Tensor, "d size"], Float[Tensor, " size"], Float[Tensor, "n size"]]:
    """Return coefficients, intercept and leave-one-out residuals of a ridge regression.

    The ridge is the one whose residuals, each of a row that was left out, are smallest: the
    product over the columns of y of their mean squares.

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


class Whitening(nn.Module):
    """v = B(given) (y - m(given)): a Gaussian whose mean and covariance depend on what is given."""

    def __init__(self, size: int, given: int, width: int) -> None:
        super().__init__()
        self.size = size
        self.linear = linear(given, size)
        self.root = nn.Parameter(torch.eye(size, dtype=torch.float32))
        self.mean, self.log_scale = zero(linear(width, size)), zero(linear(width, size))
        rows, columns = torch.tril_indices(size, size, -1)
        self.register_buffer("place", rows * size + columns, persistent=False)
        self.mix = zero(linear(width, len(self.place))) if 1 < size <= DENSE else None

    def learn(self, y: Float[Tensor, "n size"], given: Float[Tensor, "n given"]) -> None:
        """Start from the linear regression of y on what is given, and its residuals."""
        coefficients, intercept, residuals = regression(given.double(), y.double())
        covariance = residuals.T @ residuals / len(y)
        covariance = covariance + torch.diag(1e-10 * y.double().var(0, correction=0) + 1e-30)
        with torch.no_grad():
            self.linear.weight.copy_(coefficients.T)
            self.linear.bias.copy_(intercept)
            self.root.copy_(torch.linalg.inv(torch.linalg.cholesky(covariance)))

    def parts(
        self, given: Float[Tensor, "n given"], context: Float[Tensor, "n width"]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return m, the log scales added, the unit lower triangle applied last, and log |B|."""
        mean = self.linear(given) + self.mean(context)
        log_scale = LARGEST * torch.tanh(self.log_scale(context) / LARGEST)
        diagonal = self.root.diagonal()
        if self.mix is None:
            triangle = torch.eye(self.size, dtype=mean.dtype, device=mean.device)[None]
        else:
            flat = mean.new_zeros(len(mean), self.size**2)
            flat = flat.scatter(1, self.place.expand(len(mean), -1), self.mix(context))
            triangle = flat.view(-1, self.size, self.size) + torch.eye(self.size).to(mean)
        return mean, log_scale, triangle, log_scale.sum(1) + diagonal.abs().log().sum()

    def forward(
        self, y: Float[Tensor, "n size"], given: Tensor, context: Tensor
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return v and log |dv/dy|."""
        mean, log_scale, triangle, log_det = self.parts(given, context)
        v = ((y - mean) @ self.root.tril().T) * log_scale.exp()
        return (triangle @ v[..., None]).squeeze(-1), log_det

    def inverse(
        self, v: Float[Tensor, "n size"], given: Tensor, context: Tensor
    ) -> Float[Tensor, "n size"]:
        """Return y."""
        mean, log_scale, triangle, _ = self.parts(given, context)
        v = torch.linalg.solve_triangular(triangle, v[..., None], upper=False).squeeze(-1)
        v = v * (-log_scale).exp()
        return torch.linalg.solve_triangular(self.root.tril(), v.T, upper=False).T + mean


class SplineCoupling(nn.Module):
    """Entries where `moved` is true pass through splines that the others and context shape."""

    def __init__(self, moved: list[bool], width: int, bins: int) -> None:
        super().__init__()
        mask = torch.tensor(moved)
        self.register_buffer("mobile", mask.nonzero()[:, 0], persistent=False)
        self.register_buffer("fixed", (~mask).nonzero()[:, 0], persistent=False)
        self.bins = bins
        self.first = linear(len(self.fixed), width) if len(self.fixed) else None
        self.blocks = nn.Sequential(Block(width), layer_norm(width))
        self.last = zero(linear(width, len(self.mobile) * (3 * bins - 1)))

    def spline(
        self, v: Float[Tensor, "n size"], context: Float[Tensor, "n width"]
    ) -> MonotonicRQSTransform:
        """Return the splines of the entries moved."""
        h = context if self.first is None else context + self.first(v[:, self.fixed])
        shape = len(v), len(self.mobile), 3 * self.bins - 1
        parts = self.last(self.blocks(h)).view(shape)
        sizes = [self.bins, self.bins, self.bins - 1]
        return MonotonicRQSTransform(*parts.split(sizes, dim=-1), bound=BOUND)

    def forward(
        self, v: Float[Tensor, "n size"], context: Tensor
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return v with entries moved towards noise, and log |det|."""
        moved, log_slope = self.spline(v, context).call_and_ladj(v[:, self.mobile])
        return v.index_copy(1, self.mobile, moved), log_slope.sum(1)

    def inverse(self, v: Float[Tensor, "n size"], context: Tensor) -> Float[Tensor, "n size"]:
        """Return v with entries moved back."""
        return v.index_copy(1, self.mobile, self.spline(v, context).inv(v[:, self.mobile]))


class ConditionalFlow(nn.Module):
    """q(y | given), y and what is given being of order one.

    Attributes:
        spec: The arguments, to build the same network again.
        bent: Whether the splines are in use; without them q is Gaussian.

    Example:
        >>> flow = ConditionalFlow(3, 2, width=16)
        >>> z, given = flow.noise(5, torch.Generator().manual_seed(0)), torch.zeros(5, 2).float()
        >>> y = flow(z, given)
        >>> y.shape, flow.log_prob(y, given).shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    def __init__(
        self,
        size: int,
        given: int,
        *,
        width: int = 64,
        depth: int = 2,
        layers: int = 4,
        bins: int = 8,
    ) -> None:
        super().__init__()
        self.spec = {
            "size": size,
            "given": given,
            "width": width,
            "depth": depth,
            "layers": layers,
            "bins": bins,
        }
        self.size, self.given = size, given
        self.first, self.rest = linear(given, width), trunk(width, depth, width)
        self.whitening = Whitening(size, given, width)
        self.couplings = nn.ModuleList(
            SplineCoupling(moved(size, layer), width, bins) for layer in range(layers)
        )
        self.register_buffer("bent", torch.tensor(True))

    @property
    def used(self) -> list[SplineCoupling]:
        """The couplings in use, from data to noise."""
        return list(self.couplings) if self.bent else []

    def learn(self, y: Float[Tensor, "n size"], given: Float[Tensor, "n given"]) -> None:
        """Start from the linear regression of y on what is given."""
        self.whitening.learn(y, given)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32)

    def embed(self, given: Float[Tensor, "n given"]) -> Float[Tensor, "n embedded"]:
        """Return all that the flow needs of what is given, to be used for many y."""
        return torch.cat([given, self.rest(self.first(given))], dim=1)

    def generate(
        self, z: Float[Tensor, "n size"], embedded: Float[Tensor, "n embedded"]
    ) -> Float[Tensor, "n size"]:
        """Return G(z, given), what is given being embedded."""
        given, context = embedded[:, : self.given], embedded[:, self.given :]
        for coupling in reversed(self.used):
            z = coupling.inverse(z, context)
        return self.whitening.inverse(z, given, context)

    def log_density(
        self, y: Float[Tensor, "n size"], embedded: Float[Tensor, "n embedded"]
    ) -> Float[Tensor, " n"]:
        """Return the log density, what is given being embedded."""
        given, context = embedded[:, : self.given], embedded[:, self.given :]
        z, log_det = self.whitening(y, given, context)
        for coupling in self.used:
            z, log_slope = coupling(z, context)
            log_det = log_det + log_slope
        return log_det - z.square().sum(1) / 2 - self.size / 2 * math.log(2 * math.pi)

    def forward(
        self, z: Float[Tensor, "n size"], given: Float[Tensor, "n given"]
    ) -> Float[Tensor, "n size"]:
        """Return G(z, given), differentiable in both."""
        return self.generate(z, self.embed(given))

    def log_prob(
        self, y: Float[Tensor, "n size"], given: Float[Tensor, "n given"]
    ) -> Float[Tensor, " n"]:
        """Return the log density."""
        return self.log_density(y, self.embed(given))


def moved(size: int, layer: int) -> list[bool]:
    """Return which entries a layer moves: halves in turn, split in another way every two layers.

    Entry i of layers 2 k and 2 k + 1 belongs to the half that binary digit k of i names; an entry
    alone is moved by every layer.

    Example:
        >>> moved(4, 0), moved(4, 1), moved(4, 2)
        ([False, True, False, True], [True, False, True, False], [False, False, True, True])
    """
    if size == 1:
        return [True]
    digits = max(1, (size - 1).bit_length())
    digit = (layer // 2) % digits
    return [bool((i >> digit) & 1) != bool(layer % 2) for i in range(size)]
