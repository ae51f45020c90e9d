"""Data transforms: columns of data as real numbers of order one, and back.

Both classes act on flat data (n, d), column by column, by maps chosen from the training split:

    column                             `ColumnBijection`       `BoundedTransform`
    real                               x                       asinh(x / s)
    real, with extreme outliers        asinh(x / s)            asinh(x / s)
    positive                           log x                   log x
    bounded elsewhere                  x                       log(x - a), -log(b - x), logit
    with values on a bound             x                       asinh((x - a) / s), clipped to it
    whole numbers                      the same of x + u, u ~ Uniform(0, 1), and rounded down

A `ColumnBijection` has a known slope, for conditional densities: log p(x) = log q(y) + log |dy/dx|.
The probability of whole numbers is the mean of its exponential over u. A `BoundedTransform` is for
generators: samples respect the support, and asinh, linear for small values and logarithmic for
large ones, brings numbers over several orders of magnitude to one scale.

Both compute in float64, and cast afterwards: what networks take to float32, data to a dtype asked
for.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.standardise import Standardise, asinh_scale_of

Bounds = float | Float[Tensor, "*event"] | None

MAX_DEVIATION = 12.0  # standard deviations, from which on a real column passes through asinh
RANGE_MARGIN = 1.0  # of the training range, beyond which a bijection decodes nothing
DEVIATION_MARGIN = 1.0  # standard deviations past the data, beyond which generators are clipped


class _ColumnTransform(nn.Module):
    """What both transforms keep: kinds of columns, scales, and the range that is decoded."""

    whole: Tensor
    asinh_scale: Tensor
    lowest: Tensor
    highest: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size: int = size
        self.standardise: Standardise = Standardise((size,))
        self.register_buffer("whole", torch.zeros(size, dtype=torch.bool))
        for name, value in (("asinh_scale", 1.0), ("lowest", -torch.inf), ("highest", torch.inf)):
            self.register_buffer(name, torch.full((size,), value, dtype=torch.float64))

    @property
    def device(self) -> torch.device:
        """Where the scales are."""
        return self.asinh_scale.device

    @property
    def discrete(self) -> bool:
        """Whether any column holds whole numbers."""
        return bool(self.whole.any())


class ColumnBijection(_ColumnTransform):
    """Columns of data as real numbers, by bijections whose slope is known.

    Example:
        >>> columns = ColumnBijection(2)
        >>> x = torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.5, 7.0]]).float()
        >>> columns.fit_from_data(x)
        >>> columns.positive.tolist(), columns.whole.tolist()
        ([True, True], [False, True])
        >>> y, log_slope = columns(x, torch.full_like(x, 0.5))
        >>> torch.allclose(columns.decode(y), x)
        True
    """

    positive: Tensor
    tailed: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        for name in ("positive", "tailed"):
            self.register_buffer(name, torch.zeros(size, dtype=torch.bool))

    @property
    def widest(self) -> float:
        """By how many standard deviations neighbouring whole numbers differ, at most of columns.

        At the geometric mean of a positive column; 0 where no column is whole.
        """
        own = self.standardise
        slope = torch.where(self.positive, (-own.location).exp(), 1 / self.asinh_scale)
        width = torch.where(self.whole & (own.scale > 0), slope / own.divisor, 0.0)
        return float(width.amax())

    def fit_from_data(self, x: Float[Tensor, "n size"]) -> None:
        """Take kinds and scales of columns from data."""
        x = x.double()
        self.whole.copy_((x == x.floor()).all(0))
        self.positive.copy_(torch.where(self.whole, (x >= 0).all(0), (x > 0).all(0)))
        z = (x - x.mean(0)) / x.std(0).clamp_min(torch.finfo(x.dtype).tiny)
        self.tailed.copy_(~self.positive & (z.abs().amax(0) > MAX_DEVIATION))
        self.asinh_scale.copy_(torch.where(self.tailed, asinh_scale_of(x), 1.0))
        y = self._transform(x + 0.5 * self.whole)[0]
        self.standardise.fit_from_data(y)
        margin = RANGE_MARGIN * (y.amax(0) - y.amin(0))
        self.lowest.copy_(y.amin(0) - margin)
        self.highest.copy_(y.amax(0) + margin)

    def _transform(self, x: Float[Tensor, "n size"]) -> tuple[Tensor, Tensor]:
        """Return T(x), not standardised, and the log slopes of T."""
        tiny = torch.finfo(x.dtype).tiny
        log = torch.where(self.positive, x, 1.0).clamp_min(tiny).log()
        scaled = x / self.asinh_scale
        y = torch.where(self.positive, log, torch.where(self.tailed, scaled.asinh(), x))
        slope = torch.where(
            self.tailed, -self.asinh_scale.log() - torch.log1p(scaled.square()) / 2, 0.0
        )
        return y, torch.where(self.positive, -log, slope)

    def forward(
        self, x: Float[Tensor, "n size"], u: Float[Tensor, "n size"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return y and log |dy/dx| of flat x; u in [0, 1) is added to whole numbers only."""
        y, slope = self._transform(x.double() + u * self.whole)
        log_slope = (slope - self.standardise.divisor.log()).sum(1)
        return self.standardise(y), log_slope.to(self.standardise.like.dtype)

    def decode(
        self, y: Float[Tensor, "n size"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n size"]:
        """Return x in a dtype; the rounding of whole numbers lets gradients pass."""
        y = self.standardise.inverse(y)
        y = torch.minimum(torch.maximum(y, self.lowest), self.highest)
        real = torch.where(
            self.tailed, torch.sinh(torch.where(self.tailed, y, 0.0)) * self.asinh_scale, y
        )
        x = torch.where(self.positive, torch.where(self.positive, y, 0.0).exp(), real)
        return torch.where(self.whole, x + (x.floor() - x).detach(), x).to(dtype)


class BoundedTransform(_ColumnTransform):
    """Columns of data as real numbers of order one, and back into their support.

    Bounds that are not given are found: 0 below where no x is negative. Uniform noise of whole
    numbers is drawn anew in every epoch, and gradients pass through the rounding. `inside` are the
    columns that are bounded, and never on a bound.

    Example:
        >>> columns = BoundedTransform(2)
        >>> x = torch.tensor([[0.0, 0.5], [3.0, 2.5], [7.0, 0.1]]).float()
        >>> columns.fit_from_data(x)
        >>> columns.whole.tolist(), columns.inside.tolist()
        ([True, False], [False, True])
        >>> y = columns.encode(x, torch.Generator().manual_seed(1))
        >>> torch.allclose(columns.decode(y), x)
        True
    """

    shift: Tensor
    lower: Tensor
    upper: Tensor
    inside: Tensor

    def __init__(self, size: int) -> None:
        super().__init__(size)
        for name, value in (("shift", 0.0), ("lower", -torch.inf), ("upper", torch.inf)):
            self.register_buffer(name, torch.full((size,), value, dtype=torch.float64))
        self.register_buffer("inside", torch.zeros(size, dtype=torch.bool))

    def fit_from_data(
        self, x: Float[Tensor, "n d"], *, lower: Bounds = None, upper: Bounds = None
    ) -> None:
        """Take kinds, bounds and scales from flat data; ValueError if x is outside bounds given.

        A bound is one number for all entries or one for each, infinite for none. By default there
        is a lower bound of 0 where no x is negative, and no upper one.
        """
        low, high = x.amin(0), x.amax(0)
        below = torch.where(low >= 0, torch.zeros_like(low), -torch.inf)
        self.lower.copy_(_bound("lower", lower, below))
        self.upper.copy_(_bound("upper", upper, torch.full_like(high, torch.inf)))
        x = x.double()
        outside = (low < self.lower) | (high > self.upper)
        if outside.any():
            i = int(outside.nonzero()[0])
            raise ValueError(
                f"entry {i} of x reaches from {low[i]:g} to {high[i]:g}, beyond its bounds "
                f"lower={self.lower[i]:g} and upper={self.upper[i]:g}"
            )
        bounded = self.lower.isfinite() | self.upper.isfinite()
        self.whole.copy_((x == x.floor()).all(0))
        self.inside.copy_(bounded & ~self.whole & ((x > self.lower) & (x < self.upper)).all(0))
        self.shift.copy_(torch.where(self.lower.isfinite(), self.lower, 0.0))
        self.asinh_scale.copy_(asinh_scale_of(x - self.shift))
        y = self._transform(x + 0.5 * self.whole)
        self.standardise.fit_from_data(y)
        y = self.standardise(y)
        self.lowest.copy_(y.amin(0) - DEVIATION_MARGIN)  # a little beyond the data, no further:
        self.highest.copy_(y.amax(0) + DEVIATION_MARGIN)  # sinh amplifies outliers

    def encode(self, x: Float[Tensor, "n d"], rng: torch.Generator) -> Float[Tensor, "n d"]:
        """Return y, with whole numbers spread over their cells."""
        u = torch.rand(x.shape, generator=rng, dtype=x.dtype).to(x.device)
        return self.standardise(self._transform(x.double() + torch.where(self.whole, u, 0.0)))

    def decode(
        self, y: Float[Tensor, "n d"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n d"]:
        """Return x in a dtype, inside its bounds there, differentiable in y."""
        y = self.standardise.inverse(torch.minimum(torch.maximum(y, self.lowest), self.highest))
        x = torch.sinh(y) * self.asinh_scale + self.shift
        below, above = self.lower.isfinite(), self.upper.isfinite()
        low, high = self.lower.nan_to_num(0, 0, 0), self.upper.nan_to_num(0, 0, 0)
        free = torch.where(below, low + y.exp(), high - (-y).exp())
        free = torch.where(below & above, low + (high - low) * torch.sigmoid(y), free)
        x = torch.where(self.inside, free, x)
        x = x + torch.where(self.whole, x.floor() - x, 0.0).detach()
        ends = self.lower.to(dtype), self.upper.to(dtype)
        first = torch.where(self.inside, torch.nextafter(*ends), ends[0])
        last = torch.where(self.inside, torch.nextafter(*ends[::-1]), ends[1])
        return torch.minimum(torch.maximum(x.to(dtype), first), last)

    def _transform(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """Return y before standardisation."""
        below, above = self.lower.isfinite() & self.inside, self.upper.isfinite() & self.inside
        low = torch.where(below, x - self.lower.nan_to_num(0, 0, 0), 1.0).log()
        high = torch.where(above, self.upper.nan_to_num(0, 0, 0) - x, 1.0).log()
        return torch.where(
            self.inside, low - high, torch.asinh((x - self.shift) / self.asinh_scale)
        )


def _bound(name: str, bound: Bounds, found: Float[Tensor, " d"]) -> Float[Tensor, " d"]:
    if bound is None:
        return found
    flat = torch.as_tensor(bound).to(found).flatten()  # as the data are rounded
    if len(flat) not in (1, len(found)):
        raise ValueError(
            f"{name} must be a number or one for each of {len(found)} entries of x, got {len(flat)}"
        )
    return flat.expand(len(found))
