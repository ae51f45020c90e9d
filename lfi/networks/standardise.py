"""Standardisation, fitted to the training split alone and stored with the network.

Under heavy tails (counts, populations) one outlier sets the scale of a z-score. So data enter
twice, linearly and through asinh(x / s), which is linear below s and logarithmic above.

Data are standardised in float64 and cast to the network's dtype, float32, afterwards: of Julian
dates such as 2459000.3 float32 keeps quarters of a day, and it ends at 3e38.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

LIMIT = 10.0  # standard deviations; beyond it only the logarithmic column differs


def column_scale(data: Float[Tensor, "n d"], *, constant: float = 1.0) -> Float[Tensor, " d"]:
    """Return each column's standard deviation in float64, `constant` where it does not vary.

    What is no more than the rounding of the data's dtype is no variation.
    """
    rows = data.double()
    scale = rows.std(0, correction=0)
    varies = (rows.amax(0) > rows.amin(0)) & (
        scale > torch.finfo(data.dtype).eps * rows.abs().amax(0)
    )
    return torch.where(varies, scale, constant)


def input_for(network: nn.Module, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Return x as a network takes it: lfi's standardise it themselves, others get their dtype."""
    if getattr(network, "standardises", False):
        return x
    return x.to(next((weight.dtype for weight in network.parameters()), torch.float32))


def asinh_scale_of(data: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Return each column's scale s of asinh(x / s), in float64, from its magnitudes but zero.

    Their median where the column has both signs, so that the bulk stays linear; their 5% quantile
    where it has one, so that all orders of magnitude count; 1 for a column of zeros.
    """
    some = data[: 2**20 // max(1, data.shape[1]) + 1].double()  # a quantile needs no more rows
    magnitude = torch.where(some != 0, some.abs(), torch.full_like(some, float("nan")))
    low, middle = magnitude.nanquantile(magnitude.new_tensor([0.05, 0.5]), dim=0)
    both = (some.amin(0) < 0) & (some.amax(0) > 0)
    return torch.where(both, middle, low).nan_to_num(nan=1.0)


class Standardise(nn.Module):
    """(x - location) / scale, entry by entry, in the network's dtype; the inverse is in float64.

    The scale of an entry that does not vary is 0: it becomes its distance from what it was in the
    data, and its inverse is constant.

    Example:
        >>> layer = Standardise((2,))
        >>> layer.fit_from_data(torch.tensor([[0.0, 1.0], [2.0, 5.0]]))
        >>> layer(torch.tensor([[1.0, 5.0]]))
        tensor([[0., 1.]], dtype=torch.float32)
    """

    location: Tensor
    scale: Tensor
    like: Tensor  # has the network's dtype

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("like", torch.zeros((), dtype=torch.float32), persistent=False)
        self.register_buffer("location", torch.zeros(*shape, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(*shape, dtype=torch.float64))

    def fit_from_data(self, data: Float[Tensor, "n ..."], *, shared_axes: int = 0) -> None:
        """Take location and scale from data, (n, *event).

        The last `shared_axes` axes share both, as an image's pixels do: a pixel that hardly ever
        changes would else count as much as one that always does.
        """
        own = data.shape[1 : data.ndim - shared_axes]
        rows = data.reshape(len(data), *own, -1).movedim(-1, 1).flatten(0, 1)
        shape = (*own, *[1] * shared_axes)
        scale = column_scale(rows.reshape(len(rows), -1), constant=0.0).reshape(shape)
        mean = torch.where(scale > 0, rows.double().mean(0).reshape(shape), rows[0].reshape(shape))
        self.location.copy_(mean)
        self.scale.copy_(scale)

    @property
    def divisor(self) -> Tensor:
        """The scale, and 1 where an entry does not vary."""
        return torch.where(self.scale > 0, self.scale, 1.0)

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return standardised x."""
        return ((x - self.location) / self.divisor).to(self.like.dtype)

    def inverse(self, y: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the x that standardises to y."""
        return y * self.scale + self.location


def observed_repeated(data: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return data whose missing entries, NaN, repeat what was observed in their column, in order.

    A column has the distribution of what was observed; one that never was is 0.

    Example:
        >>> observed_repeated(torch.tensor([[1.0], [float("nan")], [3.0], [float("nan")]])).T
        tensor([[1., 3., 1., 3.]])
    """
    missing = data.isnan()
    order = missing.to(torch.uint8).argsort(dim=0, stable=True)
    observed = (~missing).sum(0).clamp_min(1)
    rows = torch.arange(len(data), device=data.device)[:, None] % observed
    return data.gather(0, order.gather(0, rows)).nan_to_num(nan=0.0)


class Features(nn.Module):
    """An event, flattened, as 2 d numbers of order one: z-scores of x and of asinh(x / s).

    With `missing`, entries may be NaN: both numbers are 0 there, and d more are 1 where an entry is
    observed, and 0 where it is missing.
    """

    standardises = True
    asinh_scale: Tensor

    def __init__(self, shape: Sequence[int], *, missing: bool = False) -> None:
        super().__init__()
        self.rank: int = len(shape)
        self.missing: bool = missing
        entries = int(torch.Size(shape).numel())
        self.size: int = (3 if missing else 2) * entries
        self.register_buffer("asinh_scale", torch.ones(entries, dtype=torch.float64))
        self.linear: Standardise = Standardise((entries,))
        self.logarithmic: Standardise = Standardise((entries,))

    def fit_from_data(self, data: Float[Tensor, "n ..."]) -> None:
        """Take the scales from data, (n, *event)."""
        flat = data.reshape(len(data), -1)
        flat = observed_repeated(flat) if self.missing else flat
        self.asinh_scale.copy_(asinh_scale_of(flat))
        self.linear.fit_from_data(flat)
        self.logarithmic.fit_from_data(torch.asinh(flat / self.asinh_scale))
        # whether a column varies is seen in its own dtype
        self.logarithmic.scale.masked_fill_(self.linear.scale == 0, 0.0)

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n_features"]:
        """Return the features of (..., *event), of shape (..., size)."""
        flat = x.flatten(-self.rank) if self.rank else x[..., None]
        missing = flat.isnan() if self.missing else None
        if missing is not None:
            flat = flat.masked_fill(missing, 0.0)
        columns = (
            self.linear(flat).clamp(-LIMIT, LIMIT),
            self.logarithmic(torch.asinh(flat / self.asinh_scale)),
        )
        if missing is None:
            return torch.cat(columns, dim=-1)
        filled = (column.masked_fill(missing, 0.0) for column in columns)
        return torch.cat([*filled, (~missing).to(columns[0])], dim=-1)


class Coordinates(nn.Module):
    """Parameters as numbers of order one, by their bounds, then standardised.

    A column bounded on one side enters as the logarithm of its distance from the bound, one bounded
    on both or on none as it is.
    """

    one_sided: Tensor
    sign: Tensor
    bound: Tensor

    def __init__(self, lower: Sequence[float], upper: Sequence[float]) -> None:
        super().__init__()
        low, high = (torch.tensor(side, dtype=torch.float64) for side in (lower, upper))
        above, below = low.isfinite() & ~high.isfinite(), ~low.isfinite() & high.isfinite()
        self.register_buffer("one_sided", above | below)
        self.register_buffer("sign", torch.where(below, -1.0, 1.0).double())
        self.register_buffer("bound", torch.where(above, low, torch.where(below, high, 0.0)))
        self.standardise: Standardise = Standardise((len(lower),))
        self.size: int = len(lower)

    def fit_from_data(self, theta: Float[Tensor, "n theta_dim"]) -> None:
        """Take the scales from parameters of the training split."""
        self.standardise.fit_from_data(self.transform(theta))

    def transform(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the unstandardised coordinates, in float64."""
        distance = (self.sign * (theta - self.bound)).clamp_min(torch.finfo(theta.dtype).tiny)
        return torch.where(self.one_sided, distance.log(), theta)

    def forward(self, theta: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Return the coordinates of (..., theta_dim)."""
        return self.standardise(self.transform(theta))
