"""Categorical laws of data given a condition: whole numbers of few values, such as yes and no.

    p(x | c) = prod_j softmax(W_j c + f_j(c))[x_j]

Each x_j takes its levels, from the least to the largest number that was seen; they are independent
given c. W alone is a multinomial logistic regression; f is one network for all, in use if
`network_active`. To data with uniform noise u the law is a flow whose distribution functions are
linear between whole numbers: z_j = Phi^-1(P(x_j' < x_j) + u_j p(x_j)), the randomised quantile
residual, is standard normal where the law is right.

Reference:
    Dunn & Smyth, Randomized quantile residuals, 1996. doi:10.1080/10618600.1996.10474708
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import last_linear, linear, repeated, trunk, zero

MAX_LEVELS = 8  # of an entry
SEEN = 0.5  # simulations in which a level counts as seen, besides those where it was
EDGE = 1e-6  # of a probability, and of a cell, so that float32 tells it from the next


def few_levels(x: Float[Tensor, "n size"]) -> int | None:
    """Return how many levels the entries of x take, at most; None where not all are of few.

    Example:
        >>> few_levels(torch.tensor([[0.0, 3.0], [1.0, 5.0]]))
        3
        >>> few_levels(torch.tensor([[0.0, 3.5], [1.0, 5.0]]))
    """
    if not bool((x == x.floor()).all()):
        return None
    levels = int((x.amax(0) - x.amin(0)).max()) + 1
    return levels if 2 <= levels <= MAX_LEVELS else None


class LevelColumns(nn.Module):
    """Whole numbers as levels from 0 on, plus u; a number beyond those seen is the next one seen.

    Example:
        >>> columns = LevelColumns(2)
        >>> columns.fit_from_data(torch.tensor([[4.0, 0.0], [6.0, 1.0]]))
        >>> y, log_slope = columns(torch.tensor([[5.0, 2.0]]), torch.tensor([[0.5, 0.5]]))
        >>> y, columns.decode(y)
        (tensor([[1.5000, 1.5000]], dtype=torch.float32), tensor([[5., 1.]], dtype=torch.float32))
    """

    lowest: Tensor
    number: Tensor
    like: Tensor  # has the network's dtype

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size: int = size
        self.register_buffer("like", torch.zeros((), dtype=torch.float32), persistent=False)
        self.register_buffer("lowest", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("number", torch.ones(size, dtype=torch.float64))

    @property
    def device(self) -> torch.device:
        """Where the levels are."""
        return self.lowest.device

    def fit_from_data(self, x: Float[Tensor, "n size"]) -> None:
        """Take the levels of each column from data."""
        self.lowest.copy_(x.amin(0))
        self.number.copy_(x.amax(0) - x.amin(0) + 1)

    def forward(
        self, x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return levels plus u, and log |dy/dx|, which is 0."""
        level = (x.floor() - self.lowest).clamp_min(0)
        y = (torch.minimum(level, self.number - 1) + u.clamp_max(1 - EDGE)).to(self.like.dtype)
        return y, torch.zeros_like(y[:, 0])

    def decode(
        self, y: Float[Tensor, "n size"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n size"]:
        """Return x in a dtype; the rounding lets gradients pass."""
        level = torch.minimum(y.floor().clamp_min(0), (self.number - 1).to(y))
        return (self.lowest + y + (level - y).detach()).to(dtype)


class CategoricalFlow(nn.Module):
    """p(y | condition) of levels plus uniform noise, independent entries of at most so many each.

    Example:
        >>> flow = CategoricalFlow(3, 2, levels=2, width=16)
        >>> c, y = torch.zeros(1, 2).float(), torch.tensor([[0.5, 1.5, 0.5]]).float()
        >>> flow.log_density(y, flow.embed(c)).exp().detach()  # three fair coins
        tensor([0.1250], dtype=torch.float32)
    """

    network_active: Tensor

    def __init__(
        self, size: int, condition: int, *, levels: int, width: int = 64, layers: int = 2
    ) -> None:
        super().__init__()
        if not 2 <= levels <= MAX_LEVELS:
            raise ValueError(f"levels must be from 2 to {MAX_LEVELS}, got {levels}")
        self.size: int = size
        self.condition: int = condition
        self.levels: int = levels
        self.straight: nn.Linear = zero(linear(condition, size * levels))
        self.first: nn.Linear = linear(condition, width)
        self.rest: nn.Sequential = trunk(width, layers, size * levels)
        zero(last_linear(self.rest))
        self.register_buffer("network_active", torch.tensor(False))

    def fit_from_data(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> None:
        """Start from how often each level was seen."""
        at = torch.arange(self.levels)
        seen = (y.long()[..., None] == at).sum(0) + SEEN
        possible = at <= y.long().amax(0)[:, None]
        with torch.no_grad():
            bias = torch.where(possible, seen.log(), -torch.inf)
            bias = bias - bias.logsumexp(1, keepdim=True)
            self.straight.bias.copy_(bias.clamp_min(math.log(EDGE)).flatten())

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32, device="cpu")

    def embed(self, condition: Float[Tensor, "n condition"]) -> Float[Tensor, "n embedded"]:
        """Return all that the law needs of the condition, to be used for many y."""
        logits = self.straight(condition)
        if self.network_active:
            logits = logits + self.rest(self.first(condition))
        logits = logits.view(len(condition), self.size, self.levels)
        return torch.cat([condition, logits.log_softmax(2).flatten(1)], dim=1)

    def _log_laws(
        self, embedded: Float[Tensor, "m embedded"], like: Float[Tensor, "n size"]
    ) -> Float[Tensor, "n size levels"]:
        laws = embedded[:, self.condition :].view(len(embedded), self.size, self.levels)
        return repeated(laws, like)

    def log_density(
        self, y: Float[Tensor, "n size"], embedded: Float[Tensor, "m embedded"]
    ) -> Float[Tensor, " n"]:
        """Return the log probability, conditions embedded, each of several y perhaps."""
        laws, level = self._log_laws(embedded, y), y.long()[..., None]
        return laws.gather(2, level)[..., 0].sum(1)

    def to_noise(
        self, y: Float[Tensor, "n size"], embedded: Float[Tensor, "m embedded"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return z of y and log |dz/dy|, conditions embedded, each of several y perhaps."""
        p, level = self._log_laws(embedded, y).exp(), y.long()[..., None]
        own = p.gather(2, level)[..., 0]
        below = p.cumsum(2).gather(2, level)[..., 0] - own
        z = torch.special.ndtri((below + (y - y.floor()) * own).clamp(EDGE, 1 - EDGE))
        log_normal = -z.square() / 2 - math.log(2 * math.pi) / 2
        return z, (own.log() - log_normal).sum(1)

    def generate(
        self, z: Float[Tensor, "n size"], embedded: Float[Tensor, "m embedded"]
    ) -> Float[Tensor, "n size"]:
        """Return y of noise, conditions embedded, each of several z perhaps."""
        p = self._log_laws(embedded, z).exp()
        total, share = p.cumsum(2), torch.special.ndtr(z)[..., None]
        level = (share >= total).sum(2, keepdim=True).clamp_max(self.levels - 1)
        own = p.gather(2, level)
        within = (share - (total.gather(2, level) - own)) / own.clamp_min(EDGE)
        return (level + within.clamp(0, 1 - EDGE))[..., 0]
