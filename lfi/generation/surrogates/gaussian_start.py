"""A Gaussian start: whitening what depends on theta in ways that need no critic to be learnt.

    y = m(theta) + P(theta)^-1 e,    log p(y | theta) = -|e|^2 / 2 + log det P(theta) + constant,

with a network for the mean m and the triangular factor P of the inverse covariance, fitted by
maximum likelihood. It is a map of y that can be undone for each theta, so that telling (theta, e)
apart is telling (theta, x) apart, whatever the comparison: a generator of e starts where a Gaussian
fitted to each theta ends, on a scale that is the same for all theta, and is left with what is not
Gaussian. Beyond 32 entries P is diagonal. The networks are without normalisation layers, whose
noise a regression cannot use: of lotka_volterra they leave 2 nats where those leave 8.

References:
    Williams, Using neural networks to model conditional multivariate densities, Neural
        Computation 1996.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.residual import linear, trunk
from lfi.training import Batch, Batches, History, Monitor, Player, Step, adamw, fit, one_cycle
from lfi.training.loop import Callback

FULL = 32  # entries up to which all covariances are fitted
RANGE = 8.0  # of the logarithms of scales
RATE, AVERAGE, JUDGEMENTS = 5e-3, 0.99, 20


class GaussianStart(nn.Module):
    """e = P(theta) (y - m(theta)), and back.

    Attributes:
        size: The number of entries of y.
        full: Whether P has entries off the diagonal.

    Example:
        >>> start = GaussianStart(3, 2, width=16)
        >>> y, condition = torch.randn(5, 3).float(), torch.randn(5, 2).float()
        >>> torch.allclose(start.colour(start.whiten(y, condition), condition), y, atol=1e-5)
        True
    """

    def __init__(self, size: int, condition: int, *, width: int = 128, layers: int = 4) -> None:
        super().__init__()
        self.size, self.full = size, size <= FULL
        pairs = size * (size - 1) // 2 if self.full else 0
        self.register_buffer("pairs", torch.tril_indices(size, size, -1), persistent=False)
        self.mean = nn.Sequential(linear(condition, width), trunk(width, layers, size, norm=False))
        self.factor = nn.Sequential(
            linear(condition, width), trunk(width, 1, size + pairs, norm=False)
        )
        with torch.no_grad():
            self.factor[-1][-1].weight.mul_(0.1)
            self.factor[-1][-1].bias.zero_()

    def forward(
        self, condition: Float[Tensor, "n condition"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, "n size"], Float[Tensor, "n pairs"]]:
        """Return m, the logarithms of P's diagonal, and its entries below."""
        out = self.factor(condition)
        logs = RANGE * torch.tanh(out[:, : self.size] / RANGE)
        return self.mean(condition), logs, out[:, self.size :]

    def whiten(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, "n size"]:
        """Return e."""
        mean, logs, below = self(condition)
        off = y - mean
        if not self.full:
            return off * logs.exp()
        return (self._triangle(logs, below) @ off[..., None]).squeeze(-1)

    def colour(
        self, e: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, "n size"]:
        """Return y."""
        mean, logs, below = self(condition)
        if not self.full:
            return mean + e * (-logs).exp()
        triangle = self._triangle(logs, below)
        off = torch.linalg.solve_triangular(triangle, e[..., None], upper=False)
        return mean + off.squeeze(-1)

    def loss(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, ""]:
        """Return the mean of -log p(y | theta), without its constant."""
        mean, logs, below = self(condition)
        off = y - mean
        if self.full:
            e = (self._triangle(logs, below) @ off[..., None]).squeeze(-1)
        else:
            e = off * logs.exp()
        return (e.square() / 2 - logs).sum(dim=1).mean()

    def _triangle(self, logs: Tensor, below: Tensor) -> Float[Tensor, "n size size"]:
        triangle = torch.diag_embed(logs.exp())
        triangle[:, self.pairs[0], self.pairs[1]] = below
        return triangle


def fit_start(
    start: GaussianStart,
    batches: Batches,
    *,
    steps: int,
    seed: int,
    device: str = "cpu",
    callbacks: Sequence[Callback] = (),
) -> History:
    """Fit it by maximum likelihood, and keep what the held-out rows like best.

    Args:
        start: What is fitted, in place.
        batches: Of (y, condition). They hold rows out, by which the best weights are chosen.
        steps: How long.
        seed: Of the batches' order.
        device: Where to train.
        callbacks: Called after every step.
    """

    def objective(batch: Batch, step: Step) -> Tensor:
        return start.loss(*batch)

    player = Player(
        "start", start, objective, adamw(RATE, weight_decay=1e-4), ema=AVERAGE, clip=10.0
    )
    return fit(
        [player],
        batches,
        steps=steps,
        monitor=Monitor(
            lambda held_out: float(start.loss(*held_out)), every=max(1, steps // JUDGEMENTS)
        ),
        schedule=one_cycle(),
        seed=seed,
        device=device,
        callbacks=callbacks,
    )
