"""Nested critics of data: linear, smooth and free ones, several stacked in one.

    level 0     h(x) = a + b . z                                        linear
    level 1     h(x) = a + b . t,    t = (z, asinh(x / s), z_i z_j)     smooth
    level 2     h(x) = a + b . t + c(t)                                 free, c a residual network

with z standardised, and logarithmic beyond four standard deviations, and s the scale of each entry.
The log ratio of Gaussians that differ by a shift is linear, by a scale quadratic, of gammas and
other positive data logarithmic; c begins at zero. Where the ratio is simple a free critic errs by
more than a simple one. Each level starts where the one below ended, and the critic's value is
their weighted mean, with weights that held-out samples choose (`lfi.training.stacking`):

    h = w_0 h_0 + w_1 h_1 + w_2 h_2,    w >= 0,  w_0 + w_1 + w_2 = 1.

Members are critics of one shape that see different rows, computed as one batch of matrices.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.standardise import Standardise, asinh_scale_of, input_for

PRODUCTS = 10  # entries of an event up to which all their products are terms; beyond, squares
BULK = 4.0  # standard deviations beyond which z is logarithmic


class NestedCritics(nn.Module, ABC):
    """Stacked critics, each of nested levels, of which later ones begin where earlier ones ended.

    `weights` are the shares of the levels in the value, (levels,); at first the last one's is 1.
    """

    weights: Tensor

    def __init__(self, levels: Sequence[nn.Module]) -> None:
        super().__init__()
        self.levels: nn.ModuleList = nn.ModuleList(levels)
        weights = torch.zeros(len(levels), dtype=torch.float32)
        weights[-1] = 1.0
        self.register_buffer("weights", weights)

    @property
    @abstractmethod
    def members(self) -> int:
        """How many critics there are."""

    @abstractmethod
    def fit_from_data(self, x: Float[Tensor, "n members ..."]) -> None:
        """Take each member's standardisation from the rows that it trains on."""

    @abstractmethod
    def at(self, level: int, x: Float[Tensor, "n members ..."]) -> Float[Tensor, "n members"]:
        """Return each member's log ratio of its own rows at one level."""

    def begin(self, level: int) -> None:
        """Let a level begin where the one below ended."""

    def forward(self, x: Float[Tensor, "n members ..."]) -> Float[Tensor, "n members"]:
        """Return each member's log ratio of its own rows."""
        used = [level for level in range(len(self.levels)) if self.weights[level] > 0]
        return torch.stack([self.weights[k] * self.at(k, x) for k in used]).sum(0)


class CriticCopies(NestedCritics):
    """Copies of one network of the user's own, of one level.

    A network that has a method `fit_from_data` is handed the rows that it trains on.

    Example:
        >>> copies = CriticCopies(nn.Sequential(nn.Linear(2, 1), nn.Flatten(0)), 3)
        >>> copies(torch.zeros(5, 3, 2)).shape
        torch.Size([5, 3])
    """

    def __init__(self, critic: nn.Module, members: int) -> None:
        super().__init__([nn.ModuleList(copy.deepcopy(critic) for _ in range(members))])

    @property
    def copies(self) -> nn.ModuleList:
        """The copies."""
        (level,) = self.levels
        assert isinstance(level, nn.ModuleList)
        return level

    @property
    def members(self) -> int:
        """How many copies there are."""
        return len(self.copies)

    def fit_from_data(self, x: Float[Tensor, "n members ..."]) -> None:
        """Hand each network that takes scales from data its rows."""
        for critic, rows in zip(self.copies, x.unbind(1), strict=True):
            fit = getattr(critic, "fit_from_data", None)
            if fit is not None:
                fit(input_for(critic, rows))

    def at(self, level: int, x: Float[Tensor, "n members ..."]) -> Float[Tensor, "n members"]:
        """Return each copy's value, one number for each row."""
        pairs = zip(self.copies, x.unbind(1), strict=True)
        values = [critic(input_for(critic, rows)) for critic, rows in pairs]
        if values[0].shape != x.shape[:1]:
            raise ValueError(
                f"critic: maps {tuple(x[:, 0].shape)} to {tuple(values[0].shape)}, expected one "
                f"log ratio for each row, ({len(x)},)"
            )
        return torch.stack(values, dim=1)


class StackedLinear(nn.Module):
    """A linear layer for each member, (members, n, size) to (members, n, out)."""

    def __init__(self, members: int, size: int, out: int, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else 1 / math.sqrt(size)
        weight = torch.empty(members, size, out, dtype=torch.float32)
        bias = torch.empty(members, 1, out, dtype=torch.float32)
        self.weight: nn.Parameter = nn.Parameter(nn.init.uniform_(weight, -bound, bound))
        self.bias: nn.Parameter = nn.Parameter(nn.init.uniform_(bias, -bound, bound))

    def forward(self, x: Float[Tensor, "members n size"]) -> Float[Tensor, "members n out"]:
        """Return the layers' values."""
        return torch.baddbmm(self.bias, x, self.weight)


class NestedLevel(nn.Module):
    """A linear function of the first terms, and a residual network of all where it has a width.

    Without normalisation layers, which would give one entry of an event a direction and no size.
    """

    def __init__(self, members: int, used: int, terms: int, width: int, layers: int) -> None:
        super().__init__()
        self.used = used
        self.line: StackedLinear = StackedLinear(members, used, 1, zero=True)
        self.network: nn.ModuleList = nn.ModuleList()
        if width:
            self.network.append(StackedLinear(members, terms, width))
            self.network.extend(
                nn.ModuleList(
                    [StackedLinear(members, width, width), StackedLinear(members, width, width)]
                )
                for _ in range(layers)
            )
            self.network.append(StackedLinear(members, width, 1, zero=True))

    def forward(self, terms: Float[Tensor, "members n terms"]) -> Float[Tensor, "members n"]:
        """Return each member's log ratio."""
        h = self.line(terms[..., : self.used])
        if len(self.network):
            first, *blocks, last = self.network
            hidden = first(terms)
            for block in blocks:
                assert isinstance(block, nn.ModuleList)
                inner, outer = block
                hidden = hidden + outer(F.silu(inner(hidden)))
            h = h + last(F.silu(hidden))
        return h.squeeze(-1)


class SampleCritics(NestedCritics):
    """log p(x) / q(x) by three levels, standardisation included.

    Example:
        >>> critics = SampleCritics((5,), 2, width=16)
        >>> critics(torch.rand(3, 2, 5).float()).tolist()  # they begin undecided
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """

    spec: dict[str, Any]
    pairs: Tensor | None
    asinh_scale: Tensor

    def __init__(
        self, shape: Sequence[int], members: int, *, width: int = 32, layers: int = 1
    ) -> None:
        entries = int(torch.Size(shape).numel())
        pairs = torch.triu_indices(entries, entries) if entries <= PRODUCTS else None
        products = entries if pairs is None else pairs.shape[1]
        terms = 2 * entries + products
        super().__init__(
            [
                NestedLevel(members, entries, terms, 0, 0),
                NestedLevel(members, terms, terms, 0, 0),
                NestedLevel(members, terms, terms, width, layers),
            ]
        )
        self.spec = {"shape": list(shape), "members": members, "width": width, "layers": layers}
        self.register_buffer("pairs", pairs, persistent=False)
        self.register_buffer("asinh_scale", torch.ones(members, entries, dtype=torch.float64))
        self.linear: Standardise = Standardise((members, entries))
        self.logarithmic: Standardise = Standardise((members, entries))
        self.products: Standardise = Standardise((members, products))

    @property
    def members(self) -> int:
        """How many critics there are."""
        return self.spec["members"]

    def fit_from_data(self, x: Float[Tensor, "n members ..."]) -> None:
        """Take each member's standardisation from the rows that it trains on."""
        x = x.flatten(2) if x.ndim > 2 else x[..., None]
        self.asinh_scale.copy_(torch.stack([asinh_scale_of(rows) for rows in x.unbind(1)]))
        self.linear.fit_from_data(x)
        self.logarithmic.fit_from_data(torch.asinh(x / self.asinh_scale))
        self.products.fit_from_data(self._products(self._bulk(x)))

    def begin(self, level: int) -> None:
        """Let a level's line be that of the level below, as far as that goes."""
        if level == 0:
            return
        lines = [each.line for each in self.levels if isinstance(each, NestedLevel)]
        line, below = lines[level], lines[level - 1]
        with torch.no_grad():
            line.weight[:, : below.weight.shape[1]] = below.weight
            line.bias.copy_(below.bias)

    def at(self, level: int, x: Float[Tensor, "n members ..."]) -> Float[Tensor, "n members"]:
        """Return each member's log ratio of its own rows at one level."""
        return self.levels[level](self.terms(x)).T

    def forward(self, x: Float[Tensor, "n members ..."]) -> Float[Tensor, "n members"]:
        """Return each member's log ratio of its own rows."""
        terms = self.terms(x)
        values = torch.stack([level(terms).T for level in self.levels], dim=-1)
        return values @ self.weights

    def terms(self, x: Float[Tensor, "n members ..."]) -> Float[Tensor, "members n terms"]:
        """Return z, asinh(x / s) and products, all of them standardised."""
        x = x.flatten(2) if x.ndim > 2 else x[..., None]
        z = self._bulk(x)
        logarithmic = self.logarithmic(torch.asinh(x / self.asinh_scale))
        products = self.products(self._products(z))
        return torch.cat([z, logarithmic, products], dim=-1).transpose(0, 1)

    def _bulk(self, x: Tensor) -> Tensor:
        z = self.linear(x)
        size = z.abs().clamp_min(BULK)
        return z.clamp(-BULK, BULK) * (1 + (size / BULK).log())

    def _products(self, z: Tensor) -> Tensor:
        return z.square() if self.pairs is None else z[..., self.pairs[0]] * z[..., self.pairs[1]]
