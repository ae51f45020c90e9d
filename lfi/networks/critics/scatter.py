r"""The critic of data that scatter: a function of the parameters, and noise of one shape.

Many simulators are x = m(theta) + S(theta) noise, or nearly so. Then, for columns f of x, or
bijections of them, in the place of x,

    log p(x | theta) / p(x)  =  log q(B(theta) (f - m(theta))) + log |B(theta)| + b(x)

with B lower triangular, and q the density of the noise, a mixture of Gaussians that is the same for
all theta. Each of its parts is Gaussian in f, so that the pairs are a few inner products of natural
parameters and of the statistics (f f', f, 1), pooled by log-sum-exp. A network gives b(x) and
log N(f; 0, 1) together.

What such a critic says of f, given theta, is a density whatever its weights are, up to a function
of x. That is worth much where a posterior has several modes: how much of it belongs to each is a
matter of what the density at one theta is beside that at another, which free networks can only
learn by counting simulations, and this form gets from the shape of the noise.

References:
    Bishop, Mixture density networks, 1994
    Papamakarios, Sterratt & Murray, Sequential neural likelihood, 2019. arXiv:1805.07226 (a density
    of x given theta, in place of a free ratio)
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.columns import Columns
from lfi.networks.critics.measured import MOST, NORMALISER, start_small
from lfi.networks.critics.pair import LearnsScales, inner, size_of
from lfi.networks.residual import Tower
from lfi.networks.standardise import LIMIT, Coordinates

DIRECT = 4  # x to a theta, up to which the density of each pair is computed by itself
APART = 0.5  # how far the parts of the noise begin from each other


class ColumnFeatures(nn.Module):
    """An event, flattened, as one number of order one for each entry.

    Beyond ten deviations nothing tells values apart, nor do values that a column never takes, such
    as negative ones of a column that is positive.

    Attributes:
        size: How many numbers come out, the event's entries.
    """

    def __init__(self, x_shape: Sequence[int]) -> None:
        super().__init__()
        self.event_rank, self.size = len(x_shape), int(torch.Size(x_shape).numel())
        self.columns = Columns(self.size)

    def learn(self, x: Float[Tensor, "n ..."]) -> None:
        """Take kinds and scales of columns from data, (n, *event)."""
        self.columns.learn(x.reshape(len(x), -1))

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return the numbers of (..., *event), of shape (..., size)."""
        flat = x.flatten(-self.event_rank) if self.event_rank else x[..., None]
        rows = flat.reshape(-1, self.size)
        y, _ = self.columns(rows, torch.full_like(rows, 0.5))  # the middle of a whole number's step
        return y.clamp(-LIMIT, LIMIT).view(flat.shape)


class ScatterCritic(LearnsScales):
    """log p(theta, x) / p(theta) p(x) where x is a function of theta and noise.

    Attributes:
        spec: The arguments, to build the same network again; None with an embedding of your own,
            which a file cannot name.

    Example:
        >>> critic = ScatterCritic([0.0, 0.0], [1.0, float("inf")], (5,), width=16)
        >>> critic(torch.rand(3, 2).float(), torch.rand(3, 5).float()).shape
        torch.Size([3])
    """

    def __init__(
        self,
        lower: Sequence[float],
        upper: Sequence[float],
        x_shape: Sequence[int],
        *,
        width: int = 128,
        layers: int = 3,
        noise: int = 8,
        embedding: nn.Module | None = None,
    ) -> None:
        """Build the critic.

        Args:
            lower: The parameters' lower bounds, perhaps -inf.
            upper: Their upper bounds.
            x_shape: The shape of one x.
            width: Of the network of theta.
            layers: Its residual blocks.
            noise: Of how many Gaussians the noise is a mixture.
            embedding: A network of x, (n, *event) to (n, k), in place of standardised columns.
        """
        super().__init__()
        self.spec: dict[str, Any] | None = None
        if embedding is None:
            self.spec = {
                "lower": list(lower),
                "upper": list(upper),
                "x_shape": list(x_shape),
                "width": width,
                "layers": layers,
                "noise": noise,
                "scatter": True,
            }
        self.coordinates = Coordinates(lower, upper)
        self.features = ColumnFeatures(x_shape) if embedding is None else embedding
        self.noise = noise
        self.count = d = size_of(self.features, x_shape)
        rows, columns = torch.tril_indices(d, d, -1)
        place = torch.cat([rows * d + columns, torch.arange(d) * (d + 1)])
        self.register_buffer("place", place, persistent=False)
        i, j = torch.triu_indices(d, d)
        self.register_buffer("products", torch.stack([i, j]), persistent=False)
        where = i * noise * d + j + d * torch.arange(noise)[:, None]  # in (d, noise, d)
        self.register_buffer("upper", where.flatten(), persistent=False)
        counts = torch.where(i == j, -0.5, -1.0).to(torch.float32)  # a product stands for two
        self.register_buffer("counts", counts, persistent=False)
        self.size = self.products.shape[1] + d + 1  # natural parameters of one Gaussian
        out = d + len(self.place)  # means, entries below the diagonal, scales
        self.moments = Tower(self.coordinates.size, out, width=width, depth=layers)
        self.of_x = Tower(d, 1, width=NORMALISER, depth=1)
        self.centre = nn.Parameter(nn.init.normal_(torch.empty(noise, d).float(), std=APART))
        self.log_diagonal = nn.Parameter(torch.zeros(noise, d, dtype=torch.float32))
        self.below = nn.Parameter(torch.zeros(noise, len(rows), dtype=torch.float32))
        self.log_share = nn.Parameter(torch.zeros(noise, dtype=torch.float32))
        start_small(self.moments, self.of_x)

    def triangle(
        self, below: Float[Tensor, "n p"], log_diagonal: Float[Tensor, "n d"]
    ) -> Float[Tensor, "n d d"]:
        """Return lower triangular matrices, of what is below the diagonal and of its logarithm."""
        entries = torch.cat([below, log_diagonal.exp()], dim=1)
        flat = entries.new_zeros(len(entries), self.count**2).index_copy(1, self.place, entries)
        return flat.view(-1, self.count, self.count)

    def embed_theta(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n_size"]:
        """Return B, B m and log |B| of (..., theta_dim), side by side."""
        out, d = self.moments(self.coordinates(theta)), self.count
        rows = out.reshape(-1, out.shape[-1])
        mean, log_s, below = rows.split([d, d, self.below.shape[1]], dim=1)
        log_s = MOST * torch.tanh(log_s / MOST)
        # the diagonal of a triangle is 1; its columns are divided by s, which bounds them
        scatter = self.triangle(below, torch.zeros_like(mean)) * torch.exp(-log_s)[:, None]
        shift = (scatter * mean[:, None]).sum(-1)
        embedded = torch.cat([scatter.flatten(1), shift, -log_s.sum(1, keepdim=True)], dim=1)
        return embedded.reshape(*out.shape[:-1], embedded.shape[1])

    def natural(self, embedded: Float[Tensor, "*n_size"]) -> Float[Tensor, "*n_parameters"]:
        """Return the natural parameters of embedded theta, those of each Gaussian in turn."""
        d, parts, rows = self.count, self.noise, embedded.reshape(-1, embedded.shape[-1])
        scatter, shift, log_det = rows.split([d * d, d, 1], dim=1)
        scatter, n = scatter.reshape(-1, d, d), len(rows)
        # part k is Gaussian in v = scatter f - shift, with precision P_k about centre_k
        precision = self.shape.mT @ self.shape
        side_by_side = precision.movedim(0, 1).reshape(d, parts * d)
        left = (scatter.mT.reshape(n * d, d) @ side_by_side).view(n, d * parts, d)
        squares = (left @ scatter).flatten(1).index_select(1, self.upper)
        squares = squares.view(n, parts, len(self.counts))
        away = shift[:, None] + self.centre
        pulled = (away.movedim(0, 1) @ precision).movedim(0, 1)
        constant = self.share + log_det - 0.5 * (pulled * away).sum(-1)
        found = torch.cat([squares, pulled @ scatter, constant[..., None]], dim=-1)
        return found.reshape(*embedded.shape[:-1], parts * self.size)

    @property
    def shape(self) -> Float[Tensor, "k d d"]:
        """The roots of the precisions of the noise's parts."""
        return self.triangle(self.below, self.log_diagonal)

    @property
    def share(self) -> Float[Tensor, " k"]:
        """The log shares of the noise's parts, and the log determinants of their shapes."""
        return self.log_share.log_softmax(0) + self.log_diagonal.sum(1)

    def embed_x(self, x: Float[Tensor, "*m"]) -> Float[Tensor, "*m_size"]:
        """Return the sufficient statistics of (..., *event), and then b(x)."""
        f, (i, j) = self.features(x), self.products
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
        u = (v @ shape.flatten(0, 1).T - centre).unflatten(-1, (self.noise, d))
        density = (self.share - 0.5 * u.square().sum(-1)).logsumexp(-1) + theta[..., -1]
        return density + x[..., self.size]
