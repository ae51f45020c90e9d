"""Columns of data as real numbers of order one, by bijections whose slope is known.

A conditional density of x is one of y = (T(x + u) - location) / scale, column by column:

    real numbers        T(x) = x, or asinh(x / s) where a few rows are far from all others
    positive numbers    T(x) = log x
    whole numbers       u ~ Uniform(0, 1) is added first; x is the whole part of what comes back

so that no probability is lost to values that x never takes, and log p(x) = log q(y) + log |dy/dx|.
Of whole numbers the probability is the mean of its exponential over u.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.standardise import Standardise, knee

FAR = 12.0  # standard deviations at which asinh takes over
SLACK = 1.0  # of the range seen, beyond which nothing is decoded


class Columns(nn.Module):
    """The bijection between flat data and what a flow sees.

    Attributes:
        whole: Which columns hold whole numbers.
        positive: Which columns are logarithms; of x + u where they are whole.
        tailed: Which columns pass through asinh.

    Example:
        >>> columns = Columns(2)
        >>> x = torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.5, 7.0]])
        >>> columns.learn(x)
        >>> columns.positive.tolist(), columns.whole.tolist()
        ([True, True], [False, True])
        >>> y, log_slope = columns(x, torch.full_like(x, 0.5))
        >>> torch.allclose(columns.decode(y), x)
        True
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        for name in ("whole", "positive", "tailed"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.bool))
        for name in ("knee", "lowest", "highest"):
            self.register_buffer(name, torch.ones(size, dtype=torch.float32))
        self.standardise = Standardise((size,))

    @property
    def discrete(self) -> bool:
        """Whether any column holds whole numbers."""
        return bool(self.whole.any())

    def learn(self, x: Float[Tensor, "n size"]) -> None:
        """Take kinds and scales of columns from data."""
        self.whole.copy_((x == x.floor()).all(0))
        self.positive.copy_(torch.where(self.whole, (x >= 0).all(0), (x > 0).all(0)))
        z = (x - x.mean(0)) / x.std(0).clamp_min(1e-30)
        self.tailed.copy_(~self.positive & (z.abs().amax(0) > FAR))
        self.knee.copy_(torch.where(self.tailed, knee(x), 1.0))
        y = self.straight(x + 0.5 * self.whole)[0]
        self.standardise.learn(y)
        reach = SLACK * (y.amax(0) - y.amin(0))
        self.lowest.copy_(y.amin(0) - reach)
        self.highest.copy_(y.amax(0) + reach)

    def straight(self, x: Float[Tensor, "n size"]) -> tuple[Tensor, Tensor]:
        """Return T(x), not standardised, and the log slopes of T."""
        tiny = torch.finfo(x.dtype).tiny
        log = torch.where(self.positive, x, 1.0).clamp_min(tiny).log()
        bent = x / self.knee
        y = torch.where(self.positive, log, torch.where(self.tailed, bent.asinh(), x))
        slope = torch.where(self.tailed, -self.knee.log() - torch.log1p(bent.square()) / 2, 0.0)
        return y, torch.where(self.positive, -log, slope)

    def forward(
        self, x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return y and log |dy/dx|.

        Args:
            x: Data, flat.
            u: Numbers in [0, 1), added to whole numbers and ignored for others.
        """
        y, slope = self.straight(x + u * self.whole)
        return self.standardise(y), (slope - self.standardise.scale.log()).sum(1)

    def decode(self, y: Float[Tensor, "n size"]) -> Float[Tensor, "n size"]:
        """Return x; the rounding of whole numbers lets gradients pass."""
        y = self.standardise.inverse(y)
        y = torch.minimum(torch.maximum(y, self.lowest), self.highest)
        bent = torch.where(self.tailed, torch.sinh(torch.where(self.tailed, y, 0.0)) * self.knee, y)
        x = torch.where(self.positive, torch.where(self.positive, y, 0.0).exp(), bent)
        return torch.where(self.whole, x + (x.floor() - x).detach(), x)
