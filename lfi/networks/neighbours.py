"""Autoregressions: entries given those next to them, by one network for all places.

    v_i = (u_i + t(c) w_i + m_i) exp(s_i),     m_i, s_i = network(c, i),  or network(w_i, c, i)

u are what a Gaussian leaves that takes entries to be independent, and w_i what is known of those
before entry i: their u, and the means that were taken off them and off u_i. A spline of v_i by the
same network comes last, if it is in use. An entry of a series sees the ten before it; one of
several axes, of several series or an image, those one step back along any of the axes at once, and
two steps along each.

A Markov process in time is such a model. Of n series of T entries the network sees n T examples, so
that few series are enough where parameters act everywhere alike.

References:
    Papamakarios, Pavlakou & Murray, Masked autoregressive flow for density estimation, 2017.
        arXiv:1705.07057
    van den Oord et al., WaveNet: a generative model for raw audio, 2016. arXiv:1609.03499
"""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lfi.networks.residual import ResidualBlock, layer_norm, linear, repeated, trunk, zero
from lfi.networks.splines import inverse_spline, spline

LAGS, FEW_LAGS = 10, 2  # of a series, and along each of several axes
HIDDEN = 32
MAX_LOG_SCALE = 5.0  # that the network adds


def entries_before(event: Sequence[int]) -> Int[Tensor, "size k"]:
    """Return the flat indices of each entry's neighbours before it; their number, if not there.

    Example:
        >>> entries_before((2, 2)).tolist()
        [[4, 4, 4, 4, 4], [0, 4, 4, 4, 4], [4, 0, 4, 4, 4], [2, 1, 0, 4, 4]]
    """
    axes, size = len(event), math.prod(event)
    reach = min(LAGS, max(1, size - 1)) if axes == 1 else FEW_LAGS
    back = [list(steps) for steps in itertools.product((0, 1), repeat=axes) if any(steps)]
    for axis in range(axes):
        back += [[lag * (axis == other) for other in range(axes)] for lag in range(2, reach + 1)]
    neighbour = _places(event)[:, None] - torch.tensor(back)
    flat = (neighbour * _strides(event)).sum(2)
    return torch.where((neighbour >= 0).all(2), flat, size)


class Autoregression(nn.Module):
    """v of u, of the means that were taken off, and of a condition c; the identity at first.

    Example:
        >>> model = Autoregression((5,), 2)
        >>> u, mean, c = (torch.randn(3, size).float() for size in (5, 5, 2))
        >>> v, log_slope = model(u, mean, c)
        >>> torch.allclose(model.inverse(v, mean, c), u, atol=1e-5)
        True
    """

    before: Tensor
    fixed: Tensor
    nonlinear: Tensor
    splines_active: Tensor

    def __init__(
        self, event: Sequence[int], condition: int, *, bins: int = 8, bound: float = 6.0
    ) -> None:
        super().__init__()
        before = entries_before(event)
        place = 2 * _places(event) / (torch.tensor(event) - 1).clamp_min(1) - 1
        there = (before < len(before)).to(torch.float32)
        self.bins: int = bins
        self.bound: float = bound
        self.register_buffer("before", before, persistent=False)
        self.register_buffer("fixed", torch.cat([there, place.to(there)], 1), persistent=False)
        self.register_buffer("nonlinear", torch.tensor(False))
        self.register_buffer("splines_active", torch.tensor(False))
        k = before.shape[1]
        self.place: nn.Linear = linear(self.fixed.shape[1], HIDDEN)
        self.seen: nn.Linear = linear(2 * k + 1, HIDDEN, bias=False)
        self.given: nn.Sequential = nn.Sequential(
            linear(condition, HIDDEN), trunk(HIDDEN, 1, HIDDEN)
        )
        self.blocks: nn.Sequential = nn.Sequential(ResidualBlock(HIDDEN), layer_norm(HIDDEN))
        self.coefficients: nn.Linear = zero(linear(HIDDEN, 2 * k + 1))
        self.affine: nn.Linear = zero(linear(HIDDEN, 2))
        self.shape: nn.Linear = zero(linear(HIDDEN, 3 * bins - 1))
        nn.init.zeros_(self.seen.weight)

    def forward(
        self, u: Float[Tensor, "n size"], mean: Float[Tensor, "n size"], c: Tensor
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return v and log |dv/du|."""
        seen = F.pad(u, (0, 1))[:, self.before]  # (n, size, k), 0 where there is no neighbour
        means = F.pad(mean, (0, 1))[:, self.before]
        context = repeated(self.given(c), u)
        return self._moved(u, seen, means, mean, context, slice(None), inverse=False)

    def inverse(
        self, v: Float[Tensor, "n size"], mean: Float[Tensor, "n size"], c: Tensor
    ) -> Float[Tensor, "n size"]:
        """Return u, one entry after the other."""
        means = F.pad(mean, (0, 1))[:, self.before]
        found: list[Tensor] = []
        context = repeated(self.given(c), v)
        nothing = torch.zeros_like(v[:, 0])
        for i, before in enumerate(self.before.tolist()):
            seen = torch.stack([found[j] if j < i else nothing for j in before], 1)[:, None]
            at = slice(i, i + 1)
            parts = v[:, at], seen, means[:, at], mean[:, at], context, at
            found.append(self._moved(*parts, inverse=True)[0][:, 0])
        return torch.stack(found, dim=1)

    def _moved(
        self,
        value: Float[Tensor, "n s"],
        seen: Float[Tensor, "n s k"],
        means: Float[Tensor, "n s k"],
        mean: Float[Tensor, "n s"],
        context: Float[Tensor, "n hidden"],
        at: slice,
        *,
        inverse: bool,
    ) -> tuple[Float[Tensor, "n s"], Float[Tensor, " n"]]:
        """Return entries moved towards noise, or back, and log |dv/du|."""
        known = torch.cat([seen, means, mean[..., None]], 2)
        h = self.place(self.fixed[at]) + context[:, None]
        h = self.blocks(h + self.seen(known) if self.nonlinear else h)
        shift, log_scale = self.affine(h).unbind(2)
        shift = shift + (self.coefficients(context)[:, None] * known).sum(2)
        log_scale = MAX_LOG_SCALE * torch.tanh(log_scale / MAX_LOG_SCALE)
        shape = self.shape(h) if self.splines_active else None
        if inverse:
            value = value if shape is None else inverse_spline(value, shape, self.bound)
            return value * (-log_scale).exp() - shift, log_scale.sum(1)
        value, log_slope = (value + shift) * log_scale.exp(), log_scale.sum(1)
        if shape is not None:
            value, slopes = spline(value, shape, self.bound)
            log_slope = log_slope + slopes.sum(1)
        return value, log_slope


def _strides(event: Sequence[int]) -> Int[Tensor, " axes"]:
    """Return by how much a flat index grows along each axis."""
    return torch.tensor([math.prod(event[axis + 1 :]) for axis in range(len(event))])


def _places(event: Sequence[int]) -> Int[Tensor, "size axes"]:
    """Return where along each axis a flat index is."""
    return torch.arange(math.prod(event))[:, None] // _strides(event) % torch.tensor(event)
