r"""Critics whose likelihood has a known form: Gaussian, or a mixture of Gaussians moved and scaled.

Many simulators end in noise: a mechanism gives m(theta), and the data scatter about it.

**Gaussian likelihood.** For features f of x,

    log p(x | theta) / p(x)  =  sum_j log N(f_j; m_j(theta), s_j(theta)) / N(f_j; 0, 1)  +  b(x),

an inner product of natural parameters (m/s^2, 1 - 1/s^2, ...) and sufficient statistics
(f, f^2, 1). Where the exponential family of `PairCritic` is Gaussian in theta, this is Gaussian in
the features. Where the data are so informative that no contrast of a batch comes near the
posterior's width, this form extrapolates from contrasts farther apart; free networks do not.

**Mixture density, in a location-scale family.** For x = m(theta) + S(theta) noise, and columns f of
x, or bijections of them,

    log p(x | theta) / p(x)  =  log q(B(theta) (f - m(theta))) + log |B(theta)| + b(x)

with B lower triangular, and q the density of the noise, a mixture of Gaussians that is the same for
all theta. Each component is Gaussian in f, so that the pairs are a few inner products of natural
parameters and of the statistics (f f', f, 1), pooled by log-sum-exp. A network gives b(x) and
log N(f; 0, 1) together. Whatever the weights, this is a density of f given theta, up to a function
of x. The masses of a posterior's modes depend on the density at one theta beside that at another:
free networks learn it by counting simulations, this form from the shape of the noise.

References:
    Wood, Statistical inference for noisy nonlinear ecological dynamic systems, Nature 2010
    Bishop, Mixture density networks, 1994
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, 2019. arXiv:1805.07226
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.critics.pair import FitsScales, inner, spec_of, start_small
from lfi.networks.data_transforms import ColumnBijection
from lfi.networks.embeddings import size_of
from lfi.networks.residual import Tower
from lfi.networks.standardise import LIMIT, Coordinates, Features, input_for

MAX_LOG_SCALE = 5.0  # the largest |log s|
NORMALISER_WIDTH = 32  # of the network b(x)
DIRECT = 4  # x to a theta, up to which the density of each pair is computed by itself
DISTANCE = 0.5  # the deviation of the components' centres at the start


class ColumnFeatures(nn.Module):
    """An event, flattened, as one number of order one for each entry.

    Values beyond ten standard deviations are clamped, and so are values that a column never takes,
    such as negative ones of a positive column.
    """

    standardises = True

    def __init__(self, x_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_rank: int = len(x_shape)
        self.size: int = torch.Size(x_shape).numel()
        self.columns: ColumnBijection = ColumnBijection(self.size)

    def fit_from_data(self, x: Float[Tensor, "n ..."]) -> None:
        """Take kinds and scales of columns from data, (n, *event)."""
        self.columns.fit_from_data(x.reshape(len(x), -1))

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the numbers of (..., *event), of shape (..., size)."""
        flat = x.flatten(-self.event_rank) if self.event_rank else x[..., None]
        rows = flat.reshape(-1, self.size)
        y, _ = self.columns(rows, torch.full_like(rows, 0.5))  # the middle of a whole number's step
        return y.clamp(-LIMIT, LIMIT).view(flat.shape)


class NoiseModelCritic(FitsScales):
    """Base of critics that are a likelihood of known form, its parameters networks of theta."""

    default_features: ClassVar[type[nn.Module]] = Features

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        x_shape: Sequence[int],
        *,
        width: int = 128,
        layers: int = 3,
        embedding: nn.Module | None = None,
    ) -> None:
        """Build the critic of parameters within bounds, perhaps infinite, and of x, (n, *x_shape).

        `width` and `layers` (residual blocks) are of the network of theta. An `embedding` is a
        network of x, (n, *event) to (n, k), in place of standardised entries.
        """
        super().__init__()
        shape = {"width": width, "layers": layers}
        self.spec: dict[str, Any] = spec_of(self, lower, upper, x_shape, embedding, shape)
        self.coordinates: Coordinates = Coordinates(lower, upper)
        self.features: nn.Module = (
            self.default_features(x_shape) if embedding is None else embedding
        )
        self.count: int = size_of(self.features, x_shape)
        self.moments: Tower = Tower(self.coordinates.size, self.outputs, width=width, layers=layers)
        self.of_x: Tower = Tower(self.count, 1, width=NORMALISER_WIDTH, layers=1)
        start_small(self.moments)
        start_small(self.of_x)

    @property
    def outputs(self) -> int:
        """How many numbers the network of theta gives."""
        raise NotImplementedError


class GaussianLikelihoodCritic(NoiseModelCritic):
    """log p(theta, x) / p(theta) p(x) where features of x are independent Gaussians given theta.

    Example:
        >>> critic = GaussianLikelihoodCritic([0.0, 0.0], [1.0, float("inf")], (5,), width=16)
        >>> critic(torch.rand(3, 2).float(), torch.rand(3, 5).float()).shape
        torch.Size([3])
    """

    @property
    def outputs(self) -> int:
        """Means and log scales."""
        return 2 * self.count

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the natural parameters of (..., theta_dim), (..., size)."""
        mean, log_s = self.moments(self.coordinates(theta)).split(self.count, dim=-1)
        log_s = MAX_LOG_SCALE * torch.tanh(log_s / MAX_LOG_SCALE)
        precision = torch.exp(-2 * log_s)
        constant = -(0.5 * mean.square() * precision + log_s).sum(-1, keepdim=True)
        one = torch.ones_like(constant)
        return torch.cat([mean * precision, 0.5 * (1 - precision), constant, one], dim=-1)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the sufficient statistics of (..., *event), (..., size)."""
        f = self.features(input_for(self.features, x))
        return torch.cat([f, f.square(), torch.ones_like(f[..., :1]), self.of_x(f)], dim=-1)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        return inner(theta, x)


class MixtureDensityCritic(NoiseModelCritic):
    """log p(theta, x) / p(theta) p(x) where x is a function of theta and noise of one shape.

    Example:
        >>> critic = MixtureDensityCritic([0.0, 0.0], [1.0, float("inf")], (5,), width=16)
        >>> critic(torch.rand(3, 2).float(), torch.rand(3, 5).float()).shape
        torch.Size([3])
    """

    default_features: ClassVar[type[nn.Module]] = ColumnFeatures
    place: Tensor
    products: Tensor
    upper: Tensor
    counts: Tensor

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        x_shape: Sequence[int],
        *,
        width: int = 128,
        layers: int = 3,
        components: int = 8,
        embedding: nn.Module | None = None,
    ) -> None:
        """Build the critic, as `NoiseModelCritic`, with components of the mixture of Gaussians."""
        super().__init__(lower, upper, x_shape, width=width, layers=layers, embedding=embedding)
        self.spec["components"] = components
        self.components: int = components
        d = self.count
        rows, columns = torch.tril_indices(d, d, -1)
        place = torch.cat([rows * d + columns, torch.arange(d) * (d + 1)])
        self.register_buffer("place", place, persistent=False)
        i, j = torch.triu_indices(d, d)
        self.register_buffer("products", torch.stack([i, j]), persistent=False)
        where = i * components * d + j + d * torch.arange(components)[:, None]  # in (d, k, d)
        self.register_buffer("upper", where.flatten(), persistent=False)
        counts = torch.where(i == j, -0.5, -1.0).to(torch.float32)  # a product stands for two
        self.register_buffer("counts", counts, persistent=False)
        self.size: int = self.products.shape[1] + d + 1  # natural parameters of one Gaussian
        zeros = lambda *shape: nn.Parameter(torch.zeros(components, *shape, dtype=torch.float32))
        self.centre: nn.Parameter = zeros(d)
        nn.init.normal_(self.centre, std=DISTANCE)
        self.log_diagonal: nn.Parameter = zeros(d)
        self.below: nn.Parameter = zeros(len(rows))
        self.log_weight: nn.Parameter = zeros()

    @property
    def outputs(self) -> int:
        """Means, log scales and the entries below a diagonal."""
        return 2 * self.count + self.count * (self.count - 1) // 2

    def triangle(
        self, below: Float[Tensor, "n p"], log_diagonal: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d d"]:
        """Return lower triangular matrices, of what is below the diagonal and of its logarithm."""
        entries = torch.cat([below, log_diagonal.exp()], dim=1)
        flat = entries.new_zeros(len(entries), self.count**2).index_copy(1, self.place, entries)
        return flat.view(-1, self.count, self.count)

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return B, B m and log |B| of (..., theta_dim), concatenated."""
        out, d = self.moments(self.coordinates(theta)), self.count
        rows = out.reshape(-1, out.shape[-1])
        mean, log_s, below = rows.split([d, d, self.below.shape[1]], dim=1)
        log_s = MAX_LOG_SCALE * torch.tanh(log_s / MAX_LOG_SCALE)
        # the diagonal of a triangle is 1; its columns are divided by s, which bounds them
        scatter = self.triangle(below, torch.zeros_like(mean)) * torch.exp(-log_s)[:, None]
        shift = (scatter * mean[:, None]).sum(-1)
        embedded = torch.cat([scatter.flatten(1), shift, -log_s.sum(1, keepdim=True)], dim=1)
        return embedded.reshape(*out.shape[:-1], embedded.shape[1])

    def natural(self, embedded: Float[Tensor, "*n_size"]) -> Float[Tensor, "*n_parameters"]:
        """Return the natural parameters of embedded theta, those of each Gaussian in turn."""
        d, parts, rows = self.count, self.components, embedded.reshape(-1, embedded.shape[-1])
        scatter, shift, log_det = rows.split([d * d, d, 1], dim=1)
        scatter, n = scatter.reshape(-1, d, d), len(rows)
        # component k is Gaussian in v = scatter f - shift, with precision P_k about centre_k
        precision = self.shape.mT @ self.shape
        stacked = precision.movedim(0, 1).reshape(d, parts * d)
        left = (scatter.mT.reshape(n * d, d) @ stacked).view(n, d * parts, d)
        squares = (left @ scatter).flatten(1).index_select(1, self.upper)
        squares = squares.view(n, parts, len(self.counts))
        away = shift[:, None] + self.centre
        pulled = (away.movedim(0, 1) @ precision).movedim(0, 1)
        constant = self.log_constants + log_det - 0.5 * (pulled * away).sum(-1)
        found = torch.cat([squares, pulled @ scatter, constant[..., None]], dim=-1)
        return found.reshape(*embedded.shape[:-1], parts * self.size)

    @property
    def shape(self) -> Float[Tensor, "k d d"]:
        """Roots of the precisions of the mixture's components."""
        return self.triangle(self.below, self.log_diagonal)

    @property
    def log_constants(self) -> Float[Tensor, " k"]:
        """Log weights of the mixture's components plus the log determinants of their roots."""
        return self.log_weight.log_softmax(0) + self.log_diagonal.sum(1)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the sufficient statistics of (..., *event), and then b(x)."""
        f, (i, j) = self.features(input_for(self.features, x)), self.products
        one, square = torch.ones_like(f[..., :1]), f.square().sum(-1, keepdim=True)
        products = self.counts * f[..., i] * f[..., j]
        return torch.cat([products, f, one, self.of_x(f) + 0.5 * square], dim=-1)

    def pair(
        self, theta: Float[Tensor, "*n_size"], x: Float[Tensor, "*m_size"]
    ) -> Float[Tensor, "*pairs"]:
        """Return the log ratio of embeddings, broadcasting over leading dimensions."""
        many = torch.broadcast_shapes(theta.shape[:-1], x.shape[:-1]).numel()
        if many > DIRECT * theta.shape[:-1].numel():  # natural parameters are dear, and then cheap
            statistics = x[..., : self.size]
            parts = [inner(p, statistics) for p in self.natural(theta).split(self.size, dim=-1)]
            return torch.stack(parts).logsumexp(0) + x[..., self.size]
        d, last = self.count, self.size - 1
        f, scatter = x[..., last - d : last], theta[..., : d * d].unflatten(-1, (d, d))
        v = (scatter * f[..., None, :]).sum(-1) - theta[..., d * d : -1]
        shape = self.shape
        centre = (shape @ self.centre[..., None]).flatten()
        u = (v @ shape.flatten(0, 1).T - centre).unflatten(-1, (self.components, d))
        density = (self.log_constants - 0.5 * u.square().sum(-1)).logsumexp(-1) + theta[..., -1]
        return density + x[..., self.size]
