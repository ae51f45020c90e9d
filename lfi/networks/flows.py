"""Conditional normalising flows: exact densities, and samples y = G(z, condition).

From data to noise, an affine map is followed by splines,

    v = B(c) (y - m(c)),            B lower triangular, its diagonal positive,
    z = s_k o ... o s_1 (v; c),     s_i monotonic splines of some entries, by a network of the rest,

    log q(y | c) = log N(z; 0, 1) + log |dz/dy|,     c the condition.

Training starts where the splines are zero and m and B are those of a linear regression, so that a
linear Gaussian model needs no training. A flow of entries that may be independent given c, such as
measurements with errors of their own, has a variant with a diagonal B, and a spline of each entry
that the condition alone shapes, before the others.

References:
    Dinh, Sohl-Dickstein & Bengio, Density estimation using Real NVP, 2017. arXiv:1605.08803
    Durkan, Bekasov, Murray & Papamakarios, Neural spline flows, 2019. arXiv:1906.04032
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.networks.conditional_gaussian import ConditionalGaussian
from lfi.networks.neighbours import Autoregression
from lfi.networks.residual import ResidualBlock, layer_norm, linear, repeated, trunk, zero
from lfi.networks.splines import inverse_spline, spline
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts

BOUND = 6.0  # standard deviations: beyond them splines are the identity


class SplineCoupling(nn.Module):
    """Entries where `moved` is true pass through splines that the others and context shape.

    Where all are moved, the context alone shapes them.
    """

    mobile: Tensor
    fixed: Tensor

    def __init__(self, moved: list[bool], width: int, bins: int) -> None:
        super().__init__()
        mask = torch.tensor(moved)
        self.register_buffer("mobile", mask.nonzero()[:, 0], persistent=False)
        self.register_buffer("fixed", (~mask).nonzero()[:, 0], persistent=False)
        self.bins: int = bins
        self.first: nn.Linear | None = linear(len(self.fixed), width) if len(self.fixed) else None
        self.blocks: nn.Sequential = nn.Sequential(ResidualBlock(width), layer_norm(width))
        self.last: nn.Linear = zero(linear(width, len(self.mobile) * (3 * bins - 1)))

    def _spline_parameters(
        self, v: Float[Tensor, "n size"], context: Float[Tensor, "m width"]
    ) -> Float[Tensor, "n mobile parameters"]:
        if self.first is not None:
            context = repeated(context, v) + self.first(v[:, self.fixed])
        found = repeated(self.last(self.blocks(context)), v)
        return found.view(len(v), len(self.mobile), 3 * self.bins - 1)

    def forward(
        self, v: Float[Tensor, "n size"], context: Tensor
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return v with entries moved towards noise, and log |det|."""
        moved, log_slope = spline(v[:, self.mobile], self._spline_parameters(v, context), BOUND)
        return v.index_copy(1, self.mobile, moved), log_slope.sum(1)

    def inverse(self, v: Float[Tensor, "n size"], context: Tensor) -> Float[Tensor, "n size"]:
        """Return v with entries moved back."""
        moved = inverse_spline(v[:, self.mobile], self._spline_parameters(v, context), BOUND)
        return v.index_copy(1, self.mobile, moved)


@checked
class ConditionalFlow(nn.Module):
    """q(y | condition), both of order one; Gaussian unless `splines_active`.

    With `by_entry` it has a spline of each entry too, which is used if `entries_active`, and a
    diagonal B if `independent`. With an `event`, the shape of which y are the entries, v passes
    through an autoregression on neighbours if `neighbours_active`, before any splines.

    Example:
        >>> flow = ConditionalFlow(3, 2, width=16)
        >>> z = flow.noise(5, torch.Generator().manual_seed(0))
        >>> condition = torch.zeros(5, 2).float()
        >>> y = flow(z, condition)
        >>> y.shape, flow.log_prob(y, condition).shape
        (torch.Size([5, 3]), torch.Size([5]))
    """

    splines_active: Tensor
    entries_active: Tensor
    independent: Tensor
    neighbours_active: Tensor

    def __init__(
        self,
        size: int,
        condition: int,
        *,
        width: int = 64,
        layers: int = 2,
        couplings: int = 4,
        bins: int = 8,
        by_entry: bool = False,
        event: Sequence[int] | None = None,
    ) -> None:
        check_counts(size=size, width=width, layers=layers, couplings=couplings)
        check_counts(minimum=2, bins=bins)
        check_counts(minimum=0, condition=condition)
        super().__init__()
        sizes = {"width": width, "layers": layers, "couplings": couplings, "bins": bins}
        self.spec: dict[str, Any] = {"size": size, "condition": condition, **sizes}
        if by_entry:
            self.spec["by_entry"] = True
        if event is not None:
            self.spec["event"] = list(event)
        self.size: int = size
        self.condition: int = condition
        self.first: nn.Linear = linear(condition, width)
        self.rest: nn.Sequential = trunk(width, layers, width)
        self.whitening: ConditionalGaussian = ConditionalGaussian(size, condition, width)
        self.couplings: nn.ModuleList = nn.ModuleList(
            SplineCoupling(moved(size, layer), width, bins) for layer in range(couplings)
        )
        self.register_buffer("splines_active", torch.tensor(True))
        self.entries: SplineCoupling | None = None
        if by_entry:
            self.entries = SplineCoupling([True] * size, width, bins)
        for name in ("entries_active", "independent"):  # files without `by_entry` lack them
            self.register_buffer(name, torch.tensor(False), persistent=by_entry)
        self.neighbours: Autoregression | None = None
        if event is not None:
            self.neighbours = Autoregression(event, condition, bins=bins, bound=BOUND)
        self.register_buffer("neighbours_active", torch.tensor(False), persistent=event is not None)

    @property
    def used(self) -> list[SplineCoupling]:
        """The couplings in use, from data to noise."""
        used = [] if self.entries is None or not self.entries_active else [self.entries]
        if self.splines_active:
            used += [each for each in self.couplings if isinstance(each, SplineCoupling)]
        return used

    def fit_from_data(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> None:
        """Start from the linear regression of y on the condition, without splines."""
        self.splines_active.fill_(False)
        self.whitening.fit_from_data(y, condition)

    def noise(self, n: int, rng: torch.Generator) -> Float[Tensor, "n size"]:
        """Draw n standard normal vectors, on the CPU."""
        return torch.randn(n, self.size, generator=rng, dtype=torch.float32, device="cpu")

    def embed(self, condition: Float[Tensor, "n condition"]) -> Float[Tensor, "n embedded"]:
        """Return all that the flow needs of the condition, to be used for many y."""
        return torch.cat([condition, self.rest(self.first(condition))], dim=1)

    def generate(
        self, z: Float[Tensor, "n size"], embedded: Float[Tensor, "m embedded"]
    ) -> Float[Tensor, "n size"]:
        """Return G(z, condition), conditions embedded, each of several consecutive z perhaps."""
        condition, context = embedded[:, : self.condition], embedded[:, self.condition :]
        for coupling in reversed(self.used):
            z = coupling.inverse(z, context)
        if self.neighbours is not None and self.neighbours_active:
            mean = repeated(self.whitening.mean_of(condition, context), z)
            z = self.neighbours.inverse(z, mean, condition)
        return self.whitening.inverse(z, condition, context, independent=bool(self.independent))

    def to_noise(
        self, y: Float[Tensor, "n size"], embedded: Float[Tensor, "m embedded"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, " n"]]:
        """Return z of y and log |dz/dy|, conditions embedded, each of several y perhaps."""
        condition, context = embedded[:, : self.condition], embedded[:, self.condition :]
        independent = bool(self.independent)
        z, log_det = self.whitening(y, condition, context, independent=independent)
        if self.neighbours is not None and self.neighbours_active:
            mean = repeated(self.whitening.mean_of(condition, context), z)
            z, log_slope = self.neighbours(z, mean, condition)
            log_det = log_det + log_slope
        for coupling in self.used:
            z, log_slope = coupling(z, context)
            log_det = log_det + log_slope
        return z, log_det

    def log_density(
        self, y: Float[Tensor, "n size"], embedded: Float[Tensor, "m embedded"]
    ) -> Float[Tensor, " n"]:
        """Return the log density, conditions embedded, each of several consecutive y perhaps."""
        z, log_det = self.to_noise(y, embedded)
        return log_det - z.square().sum(1) / 2 - self.size / 2 * math.log(2 * math.pi)

    def forward(
        self, z: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, "n size"]:
        """Return G(z, condition), differentiable in both."""
        return self.generate(z, self.embed(condition))

    def log_prob(
        self, y: Float[Tensor, "n size"], condition: Float[Tensor, "n condition"]
    ) -> Float[Tensor, " n"]:
        """Return the log density."""
        return self.log_density(y, self.embed(condition))


def moved(size: int, layer: int) -> list[bool]:
    """Return which entries a layer moves: halves in turn, split in another way every two layers.

    Entry i of layers 2 k and 2 k + 1 belongs to the half that binary digit k of i names; an entry
    alone is moved by every layer.

    Example:
        >>> moved(4, 0), moved(4, 1), moved(4, 2)
        ([False, True, False, True], [True, False, True, False], [False, False, True, True])
    """
    if size == 1:
        return [True]
    digits = max(1, (size - 1).bit_length())
    digit = (layer // 2) % digits
    return [bool((i >> digit) & 1) != bool(layer % 2) for i in range(size)]
