"""Columns: the map between what a simulator returns and what networks exchange, entry by entry.

Each entry of x has a law of its own, and its support is respected in drawing:

    kind                               y, before standardisation        back
    real                               asinh(x / s)                     s sinh(y)
    bounded, the bounds never met      log(x - a), -log(b - x), logit   inside the bounds, always
    bounded, with data on a bound      asinh((x - a) / s)               clipped to the bounds
    whole numbers                      the same of x + u, u uniform     rounded down, clipped

asinh is linear for small values and logarithmic for large ones, so that numbers over several orders
of magnitude are one scale. Whole numbers are spread evenly over their cell, anew in every epoch,
and the gradient passes through the rounding. Bounds that nobody states are found: 0 below where no
x is negative; whether an entry is of whole numbers is seen from the data.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.standardise import Standardise, knee

Bounds = float | Float[Tensor, "*event"] | None

BEYOND = 1.0  # standard deviations past the data where a generator's value is clipped


class Columns(nn.Module):
    """The map of flat data (n, d), learnt from the training split.

    Attributes:
        whole: Which entries are whole numbers.
        inside: Which are bounded, and never on a bound.
        lower: Lower bounds, minus infinity where there are none.
        upper: Upper bounds.

    Example:
        >>> columns = Columns(2)
        >>> x = torch.tensor([[0.0, 0.5], [3.0, 2.5], [7.0, 0.1]]).float()
        >>> columns.learn(x)
        >>> columns.whole.tolist(), columns.inside.tolist()
        ([True, False], [False, True])
        >>> y = columns.encode(x, torch.Generator().manual_seed(1))
        >>> torch.allclose(columns.decode(y), x)
        True
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.standardise = Standardise((size,))
        for name, value in (("knee", 1.0), ("shift", 0.0)):
            self.register_buffer(name, torch.full((size,), value, dtype=torch.float32))
        for name, value in (("lower", -torch.inf), ("upper", torch.inf)):
            self.register_buffer(name, torch.full((size,), value, dtype=torch.float32))
        for name, value in (("least", -torch.inf), ("most", torch.inf)):
            self.register_buffer(name, torch.full((size,), value, dtype=torch.float32))
        for name in ("whole", "inside"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.bool))

    def learn(self, x: Float[Tensor, "n d"], *, lower: Bounds = None, upper: Bounds = None) -> None:
        """Take kinds, bounds and scales from data.

        Args:
            x: The data, flat.
            lower: A bound for all entries or one for each, minus infinity for none; where it is not
                given, 0 if no x is negative.
            upper: Likewise; by default none.

        Raises:
            ValueError: If x is outside bounds that are given.
        """
        least, most = x.amin(0), x.amax(0)
        self.lower.copy_(_bound("lower", lower, torch.where(least >= 0, 0.0, -torch.inf)))
        self.upper.copy_(_bound("upper", upper, torch.full_like(most, torch.inf)))
        outside = (least < self.lower) | (most > self.upper)
        if outside.any():
            i = int(outside.nonzero()[0])
            raise ValueError(
                f"entry {i} of x reaches from {least[i]:g} to {most[i]:g}, beyond its bounds "
                f"lower={self.lower[i]:g} and upper={self.upper[i]:g}"
            )
        bounded = self.lower.isfinite() | self.upper.isfinite()
        self.whole.copy_((x == x.floor()).all(0))
        self.inside.copy_(bounded & ~self.whole & ((x > self.lower) & (x < self.upper)).all(0))
        self.shift.copy_(torch.where(self.lower.isfinite(), self.lower, 0.0))
        self.knee.copy_(knee(x - self.shift))
        y = self._straight(x + 0.5 * self.whole)
        self.standardise.learn(y)
        y = self.standardise(y)
        self.least.copy_(y.amin(0) - BEYOND)  # a little beyond what was seen, and no further:
        self.most.copy_(y.amax(0) + BEYOND)  # sinh would make anything of a stray value

    def encode(self, x: Float[Tensor, "n d"], rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Return y, with whole numbers spread over their cells."""
        u = torch.rand(x.shape, generator=rng, dtype=x.dtype).to(x.device)
        return self.standardise(self._straight(x + torch.where(self.whole, u, 0.0)))

    def decode(self, y: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return x, inside its bounds, differentiable in y."""
        y = self.standardise.inverse(torch.minimum(torch.maximum(y, self.least), self.most))
        x = torch.sinh(y) * self.knee + self.shift
        below, above = self.lower.isfinite(), self.upper.isfinite()
        low, high = self.lower.nan_to_num(0, 0, 0), self.upper.nan_to_num(0, 0, 0)
        free = torch.where(below, low + y.exp(), high - (-y).exp())
        free = torch.where(below & above, low + (high - low) * torch.sigmoid(y), free)
        x = torch.where(self.inside, free, x)
        x = x + torch.where(self.whole, x.floor() - x, 0.0).detach()
        first = torch.where(self.inside, torch.nextafter(self.lower, self.upper), self.lower)
        last = torch.where(self.inside, torch.nextafter(self.upper, self.lower), self.upper)
        return torch.minimum(torch.maximum(x, first), last)

    def _straight(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return y before standardisation."""
        below, above = self.lower.isfinite() & self.inside, self.upper.isfinite() & self.inside
        low = torch.where(below, x - self.lower.nan_to_num(0, 0, 0), 1.0).log()
        high = torch.where(above, self.upper.nan_to_num(0, 0, 0) - x, 1.0).log()
        return torch.where(self.inside, low - high, torch.asinh((x - self.shift) / self.knee))


def _bound(name: str, given: Bounds, found: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    if given is None:
        return found
    flat = torch.as_tensor(given, dtype=torch.float32).flatten()
    if len(flat) not in (1, len(found)):
        raise ValueError(
            f"{name} must be a number or one for each of {len(found)} entries of x, got {len(flat)}"
        )
    return flat.expand(len(found))
