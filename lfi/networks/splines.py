"""Monotonic rational-quadratic splines, with their gradients in closed form.

A spline takes [-bound, bound] to itself in K bins, and is the identity elsewhere. In the bin from
(x0, y0), width W, height H and slopes d0, d1 at its ends, with s = H / W and z = (x - x0) / W,

    y = y0 + H N / D,     N = s z^2 + d0 z (1 - z),      D = s + (d0 + d1 - 2 s) z (1 - z),
    dy/dx = s^2 M / D^2,  M = 2 s z (1 - z) + d0 (1 - z)^2 + d1 z^2.

Widths and heights are a softmax of their parameters, slopes an exponential, after a soft clip
a / (1 + |a| / c) that keeps slopes at knots above `MIN_SLOPE`, and bins' mean slopes above its
square. Gradients are written out because the graph of some hundred small operations costs several
times what they do.

References:
    Durkan, Bekasov, Murray & Papamakarios, Neural spline flows, 2019. arXiv:1906.04032
    Gregory & Delbourgo, Piecewise rational quadratic interpolation to monotonic data, IMA Journal
        of Numerical Analysis, 1982.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function

from lfi.numerics.autograd import FunctionContext

MIN_SLOPE = 1e-3
CLIP = -math.log(MIN_SLOPE)  # c of slopes; half of it for widths and heights


class Bin(NamedTuple):
    """The bin of each of r numbers, and what its gradient needs; `knots` are of x and of y."""

    index: Tensor  # (r, 2, 1), which bin
    inside: Tensor  # (r,), whether the number is within the bounds
    clip: Tensor  # (r, 2, K), what widths and heights are divided by
    exps: Tensor  # (r, 2, K), of clipped widths and heights, not normalised
    start: Tensor  # (r, 2, 1), their sum below the bin
    size: Tensor  # (r, 2, 1), the bin's own
    total: Tensor  # (r, 2, 1)
    slopes: Tensor  # (r, 2), d0 and d1

    def corner(self, bound: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return x0, y0, W and H."""
        scale = 2 * bound / self.total
        x0, y0 = (self.start * scale - bound).squeeze(2).unbind(1)
        width, height = (self.size * scale).squeeze(2).unbind(1)
        return x0, y0, width, height


class Quotient(NamedTuple):
    """The quotient N / D at r numbers, and what its gradient needs."""

    z: Tensor
    q: Tensor  # z (1 - z)
    square: Tensor  # z^2
    s: Tensor
    bend: Tensor  # d0 + d1 - 2 s
    share: Tensor  # N / D
    d: Tensor
    m: Tensor


def spline(
    x: Float[Tensor, "*n"], parameters: Float[Tensor, "*n parameters"], bound: float
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """Return y of x, and log dy/dx.

    Each number has K widths, K heights and K - 1 slopes of inner knots as `parameters`.

    Example:
        >>> y, log_slope = spline(torch.tensor([0.5, 9.0]), torch.zeros(2, 23), 6.0)
        >>> y, log_slope.abs() < 1e-6  # with parameters zero, the identity
        (tensor([0.5000, 9.0000]), tensor([True, True]))
    """
    flat, rows = x.reshape(-1), parameters.flatten(0, -2)
    if torch._C._are_functorch_transforms_active():  # which differentiate operations alone
        found = _find(flat, rows, bound, axis=0)
        y, log_slope = _value(flat, found, _quotient(flat, found, bound), bound)
    else:
        y, log_slope = _Spline.apply(flat, rows, bound)
    return y.view(x.shape), log_slope.view(x.shape)


def inverse_spline(
    y: Float[Tensor, "*n"], parameters: Float[Tensor, "*n parameters"], bound: float
) -> Float[Tensor, "*n"]:
    """Return the x that `spline` takes to y.

    Example:
        >>> parameters = torch.linspace(-1.0, 1.0, 46).view(2, 23)
        >>> y, _ = spline(torch.tensor([0.5, -2.0]), parameters, 6.0)
        >>> inverse_spline(y, parameters, 6.0)
        tensor([ 0.5000, -2.0000])
    """
    flat, rows = y.reshape(-1), parameters.flatten(0, -2)
    if torch._C._are_functorch_transforms_active():
        return _inverse_value(flat, _find(flat, rows, bound, axis=1), bound).view(y.shape)
    return _InverseSpline.apply(flat, rows, bound).view(y.shape)


class _Saved(FunctionContext):
    bound: float


class _Spline(Function):
    @staticmethod
    def forward(ctx: _Saved, x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
        found = _find(x, parameters, bound, axis=0)
        quotient = _quotient(x, found, bound)
        ctx.save_for_backward(x, parameters, *found, *quotient)
        ctx.bound = bound
        return _value(x, found, quotient, bound)

    @staticmethod
    def backward(ctx: _Saved, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (x, parameters, *saved), bound = ctx.saved_tensors, ctx.bound
        found, quotient = Bin(*saved[: len(Bin._fields)]), Quotient(*saved[len(Bin._fields) :])
        if torch.is_grad_enabled():  # its gradient has to see all that depends on the parameters
            found = _find(x, parameters, bound, axis=0)
            quotient = _quotient(x, found, bound)
        return *_gradient(parameters, found, quotient, bound, *grads), None


class _InverseSpline(Function):
    @staticmethod
    def forward(ctx: _Saved, y: Tensor, parameters: Tensor, bound: float) -> Tensor:
        found = _find(y, parameters, bound, axis=1)
        x = _inverse_value(y, found, bound)
        ctx.save_for_backward(y, parameters, x, *found)
        ctx.bound = bound
        return x

    @staticmethod
    def backward(ctx: _Saved, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (y, parameters, x, *found), bound = ctx.saved_tensors, ctx.bound
        where = Bin(*found)
        if torch.is_grad_enabled():
            where = _find(y, parameters, bound, axis=1)
            x = _inverse_value(y, where, bound)
        # x of y and p has dx/dy = 1 / (dy/dx) and dx/dp = -(dy/dp) / (dy/dx), both at that x
        quotient = _quotient(x, where, bound)
        grad_y = grads[0] * (-_log_slope(where, quotient)).exp()
        none = torch.zeros_like(grad_y)
        of_parameters = _gradient(parameters, where, quotient, bound, -grad_y, none)[1]
        return grad_y, of_parameters, None


def _find(values: Tensor, parameters: Tensor, bound: float, axis: int) -> Bin:
    """Return the bins of r numbers, as values of x (axis 0) or of y (axis 1)."""
    rows, bins = len(values), (parameters.shape[1] + 1) // 3
    raw = parameters[:, : 2 * bins].view(rows, 2, bins)
    clip = _divisor(raw, CLIP / 2)
    exps = (raw / clip).exp()  # bounded by the clip: no overflow
    sums = exps.cumsum(2)
    total = sums[..., -1:]
    inside = values.abs() < bound
    level = ((values / bound + 1) / 2)[:, None] * total[:, axis]
    index = (sums[:, axis, :-1] < level).sum(1)  # an outer value has the first or the last bin
    both = index.view(-1, 1, 1).expand(-1, 2, 1)
    size = exps.gather(2, both)
    start = sums.gather(2, both) - size
    knots, at = _knots(parameters, index, bins)
    ends = knots.gather(1, at)
    slopes = (ends / _divisor(ends, CLIP)).exp()
    return Bin(both, inside, clip, exps, start, size, total, slopes)


def _divisor(raw: Tensor, most: float) -> Tensor:
    """Return what parameters are divided by to stay below `most`."""
    return torch.add(torch.ones_like(raw), raw.abs(), alpha=1 / most)


def _knots(parameters: Tensor, index: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Return the slopes' parameters at all knots, and which are at the ends of bins."""
    knots = torch.nn.functional.pad(parameters[:, 2 * bins :], (1, 1))
    return knots, index[:, None] + torch.arange(2, device=index.device)


def _quotient(x: Tensor, found: Bin, bound: float) -> Quotient:
    x0, _, width, height = found.corner(bound)
    d0, d1 = found.slopes.unbind(1)
    s, z = height / width, (x - x0) / width
    z = z.clamp(0, 1)  # against rounding, and for values outside
    rest = 1 - z
    q, square = z * rest, z * z
    bend = d0 + d1 - 2 * s
    n, d = torch.addcmul(s * square, d0, q), torch.addcmul(s, bend, q)
    m = d0 * rest * rest + d1 * square + 2 * s * q
    return Quotient(z, q, square, s, bend, n / d, d, m)


def _value(x: Tensor, found: Bin, quotient: Quotient, bound: float) -> tuple[Tensor, Tensor]:
    """Return y of x and log dy/dx."""
    _, y0, _, height = found.corner(bound)
    y, log_slope = torch.addcmul(y0, height, quotient.share), _log_slope(found, quotient)
    return torch.where(found.inside, y, x), log_slope


def _log_slope(found: Bin, quotient: Quotient) -> Tensor:
    log_slope = (quotient.m * (quotient.s / quotient.d).square()).log()
    return torch.where(found.inside, log_slope, 0.0)


def _inverse_value(y: Tensor, found: Bin, bound: float) -> Tensor:
    """Return x of y: the root of a quadratic equation in z, in the form that does not cancel."""
    x0, y0, width, height = found.corner(bound)
    d0, d1 = found.slopes.unbind(1)
    s, above = height / width, (y - y0).clamp_min(0)
    bent = above * (d0 + d1 - 2 * s)
    a, b, c = height * (s - d0) + bent, height * d0 - bent, -s * above
    root = (b.square() - 4 * a * c).clamp_min(0).sqrt()
    z = (2 * c / (-b - root)).clamp(0, 1)
    return torch.where(found.inside, x0 + z * width, y)


def _gradient(
    parameters: Tensor, found: Bin, quotient: Quotient, bound: float, of_y: Tensor, of_log: Tensor
) -> tuple[Tensor, Tensor]:
    """Return gradients in x and the parameters from those in y and in log dy/dx."""
    _, _, width, height = found.corner(bound)
    z, q, square, s, bend, share, d, m = quotient
    d0, d1 = found.slopes.unbind(1)
    rest = 1 - z
    turn = rest - z
    passed = of_y
    of_y, of_log = (torch.where(found.inside, each, 0.0) for each in (of_y, of_log))
    of_n = of_y * height / d
    of_d = -torch.addcmul(2 * of_log / d, of_n, share)
    of_m = of_log / m
    of_z = (
        of_n * (2 * s * z + d0 * turn)
        + of_d * bend * turn
        + 2 * of_m * (s * turn - d0 * rest + d1 * z)
    )
    of_s = of_n * square + of_d * (1 - 2 * q) + 2 * of_m * q + 2 * of_log / s
    of_d0 = (of_n + of_d) * q + of_m * rest * rest
    of_d1 = torch.addcmul(of_d * q, of_m, square)
    of_x = of_z / width
    corner = torch.stack([-of_x, of_y], 1)[..., None]  # gradients in x0, y0
    size = torch.stack([-(of_s * s + of_z * z) / width, of_y * share + of_s / width], 1)[..., None]
    scale = 2 * bound / found.total
    bins = torch.arange(found.exps.shape[2], device=z.device)
    mean = (corner * found.start + size * found.size) / found.total
    of_exps = torch.where(
        bins < found.index, corner - mean, torch.where(bins == found.index, size - mean, -mean)
    )
    of_raw = of_exps * scale * found.exps / found.clip.square()
    return torch.where(found.inside, of_x, passed), torch.cat(
        [of_raw.flatten(1), _slope_gradient(parameters, found, of_d0, of_d1)], 1
    )


def _slope_gradient(parameters: Tensor, found: Bin, of_d0: Tensor, of_d1: Tensor) -> Tensor:
    """Return gradients in the parameters of inner knots' slopes."""
    knots, at = _knots(parameters, found.index[:, 0, 0], found.exps.shape[2])
    of_slopes = torch.stack([of_d0, of_d1], 1) * found.slopes
    of_slopes = of_slopes / _divisor(knots.gather(1, at), CLIP).square()
    return torch.zeros_like(knots).scatter(1, at, of_slopes)[:, 1:-1]
