"""Distances of all pairs of two samples, exact where points are close, and their quantiles.

|x - y|^2 = |x|^2 + |y|^2 - 2 x . y loses every digit where x and y are close to each other compared
with the origin. So coordinates are subtracted; only in more than 16 dimensions is that matrix
product taken, of centred points, and pairs where it has lost digits are computed again. The
gradient of |x - y|^2 is a matrix product in any dimension, (sum_j g_ij) x_i - sum_j g_ij y_j, twice
over; that of |x - y| at equal points is 0, the middle of its subgradients.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.numerics.arguments import shown
from lfi.numerics.autograd import FunctionContext

ROWS = 250  # points of either sample whose distances make a quantile: 124,750 pairs
BATCH = 2**22  # distances held at once
DIRECT = 16  # dimensions up to which subtraction is as quick as a product
CLOSE = 0.01  # of |x|^2 + |y|^2: below it, a product has lost two digits


class _SquaredDistances(torch.autograd.Function):
    """Squared distances of two samples with equal leading dimensions."""

    @staticmethod
    def forward(ctx: FunctionContext, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        if x.shape[-1] > DIRECT:
            return _by_product(x, y)
        return _direct(x, y).square_()

    @staticmethod
    def backward(ctx: FunctionContext, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, y = ctx.saved_tensors
        centre = x.detach().mean(dim=-2, keepdim=True)
        x, y = x - centre, y - centre
        grad_x = 2 * (grad.sum(dim=-1)[..., None] * x - grad @ y)
        grad_y = 2 * (grad.sum(dim=-2)[..., None] * y - grad.mT @ x)
        return grad_x, grad_y


def _direct(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def _by_product(x: Tensor, y: Tensor) -> Tensor:
    centre = x.mean(dim=-2, keepdim=True)
    a, b = x - centre, y - centre
    size = a.square().sum(dim=-1)[..., :, None] + b.square().sum(dim=-1)[..., None, :]
    result = torch.add(size, a @ b.mT, alpha=-2)
    close = result < size.mul_(CLOSE)
    pairs = int(close.sum())
    if pairs * 8 > close.numel():
        return _direct(x, y).square_()
    if pairs:
        *lead, i, j = close.nonzero(as_tuple=True)
        result[close] = (x[(*lead, i)] - y[(*lead, j)]).square().sum(dim=-1)
    return result


def squared_distances(
    x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
) -> Float[Tensor, "*bc n m"]:
    """Return |x_i - y_j|^2, never negative, zero at equal points; twice differentiable.

    Example:
        >>> squared_distances(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        tensor([[ 0., 25.]])
    """
    return _SquaredDistances.apply(*_aligned(x, y))


def euclidean_distances(
    x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
) -> Float[Tensor, "*bc n m"]:
    """Return |x_i - y_j|, with gradient 0 at equal points.

    Example:
        >>> euclidean_distances(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        tensor([[0., 5.]])
    """
    if not torch.is_grad_enabled():
        x, y = _aligned(x, y)
        return _direct(x, y) if x.shape[-1] <= DIRECT else _by_product(x, y).sqrt_()
    squared = squared_distances(x, y)
    apart = squared != 0  # NaN stays NaN
    return torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)


def manhattan_distances(
    x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]
) -> Float[Tensor, "*bc n m"]:
    """Return the sums of absolute differences of coordinates; once differentiable.

    Example:
        >>> manhattan_distances(torch.zeros(1, 2), torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
        tensor([[0., 7.]])
    """
    return torch.cdist(*_aligned(x, y), p=1.0)


def check_points(x: object, y: object) -> None:
    """Check that x and y are points of one dimension, (*batch, n, d), in floating point."""
    for name, points in (("x", x), ("y", y)):
        if not isinstance(points, Tensor) or not points.is_floating_point():
            raise TypeError(
                f"{name} must be a torch tensor of floating-point numbers, got {shown(points)}"
            )
        if points.ndim < 2:
            raise ValueError(f"{name} has shape {tuple(points.shape)}, expected (*batch, n, d)")
    assert isinstance(x, Tensor) and isinstance(y, Tensor)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"x and y must be points of one dimension, got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )


def _aligned(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return both with the leading dimensions that they broadcast to."""
    check_points(x, y)
    lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return x.expand(*lead, *x.shape[-2:]), y.expand(*lead, *y.shape[-2:])


@torch.no_grad()
def quantile_distances(
    x: Float[Tensor, "*b n d"],
    y: Float[Tensor, "*c m d"],
    levels: Sequence[float],
    *,
    distance: Callable[[Tensor, Tensor], Tensor] = euclidean_distances,
    weight_p: Float[Tensor, "*b n"] | None = None,
    weight_q: Float[Tensor, "*c m"] | None = None,
) -> Float[Tensor, "levels ..."]:
    """Return quantiles of the distances between points of the pooled sample, without gradients.

    Both samples count the same, whatever their sizes, and pairs of equal points are left out: so
    repeated rows and whole-number weights say the same. A quantile is the least distance that at
    least that share of the pairs does not exceed. Of a sample with more than 250 points, 250 evenly
    spaced ones of those with a weight are used, the same ones every time. There is one row a level,
    in [0, 1]; it is 1 where all points are equal.

    Example:
        >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [7.0]])
        >>> quantile_distances(x, y, (0.0, 0.5, 1.0))
        tensor([1., 3., 7.])
    """
    check_points(x, y)
    for name, points in (("x", x), ("y", y)):
        if 0 in points.shape:
            raise ValueError(f"{name} has shape {tuple(points.shape)}: there is no point")
    sides = [_bounded(x, weight_p), _bounded(y, weight_q)]
    lead = torch.broadcast_shapes(*(part.shape[:-1] for _, part in sides))
    lead = torch.broadcast_shapes(lead, *(rows.shape[:-2] for rows, _ in sides))
    pooled = torch.cat([rows.expand(*lead, *rows.shape[-2:]) for rows, _ in sides], dim=-2)
    mass = torch.cat([part.expand(*lead, part.shape[-1]) for _, part in sides], dim=-1)
    rows, masses = pooled.reshape(-1, *pooled.shape[-2:]), mass.reshape(-1, mass.shape[-1])
    size = max(1, BATCH // rows.shape[-2] ** 2)
    parts = zip(rows.split(size), masses.split(size), strict=True)
    found = torch.cat([_quantiles(distance(part, part), w, levels) for part, w in parts], dim=-1)
    return found.reshape(len(levels), *lead)


def _bounded(x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return at most ROWS evenly spaced points that have a weight, and their shares."""
    n = x.shape[-2]
    mass = torch.ones(x.shape[:-1], device=x.device) if weight is None else weight.detach()
    if n > ROWS:
        rank = (mass > 0).cumsum(dim=-1)
        share = torch.linspace(0, 1, ROWS, dtype=torch.float64, device=x.device)
        wanted = 1 + (share * (rank[..., -1:] - 1)).round().long()
        index = torch.searchsorted(rank, wanted)
        rows = index[..., None].expand(*index.shape, x.shape[-1])
        again = index == torch.nn.functional.pad(index, (1, 0), value=-1)[..., :-1]  # of few points
        x, mass = x.gather(-2, rows), torch.where(again, 0.0, mass.gather(-1, index))
    return x.detach(), mass.double() / mass.double().sum(dim=-1, keepdim=True)


def _quantiles(
    length: Float[Tensor, "b n n"], mass: Float[Tensor, "b n"], levels: Sequence[float]
) -> Float[Tensor, "levels b"]:
    """Return quantiles of the positive distances among weighted points."""
    i, j = torch.triu_indices(*length.shape[-2:], offset=1, device=length.device)
    length, order = length[:, i, j].sort(dim=-1)
    pairs = (mass[:, i] * mass[:, j]).gather(-1, order)
    below = torch.where(length > 0, pairs, 0.0).cumsum(dim=-1)
    total = below[:, -1:]
    wanted = total * torch.tensor(levels, dtype=below.dtype, device=below.device)
    wanted = (wanted - 1e-9 * total).clamp(min=torch.finfo(below.dtype).tiny)  # rounding of sums
    index = torch.searchsorted(below, wanted).clamp(max=length.shape[-1] - 1)
    return torch.where(total > 0, length.gather(-1, index), 1.0).T


def median_distance(x: Float[Tensor, "*b n d"], y: Float[Tensor, "*c m d"]) -> Float[Tensor, "*bc"]:
    """Return the median distance between points of the pooled sample, without a gradient.

    Example:
        >>> median_distance(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [7.0]]))
        tensor(3.)
    """
    chosen = quantile_distances(x, y, (0.5,))[0]
    missing = x.detach().isnan().any(-1).any(-1) | y.detach().isnan().any(-1).any(-1)
    return torch.where(missing, torch.nan, chosen)
