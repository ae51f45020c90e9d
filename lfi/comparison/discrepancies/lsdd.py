"""Least-squares density difference (LSDD): p - q, and the L2 distance of the two densities.

A sum of Gaussians around centres c_l is fitted straight to p - q, which unlike p/q is bounded:

    g(z) = sum_l theta_l exp(-|z - c_l|^2 / (2 s^2)),
    int (g - (p - q))^2 = theta'H theta - 2 h'theta + int (p - q)^2,
    H_lk = (pi s^2)^(d/2) exp(-|c_l - c_k|^2 / (4 s^2)),      known, whatever p and q are,
    h_l = E_p exp(-|x - c_l|^2 / (2 s^2)) - E_q of the same,  a difference of means.

With a ridge penalty theta = (H + R)^-1 h, and 2 h'theta - theta'H theta estimates int (p - q)^2: of
the two plug-in estimates, the combination that cancels the ridge's bias to first order. It is a
V-statistic: not negative, zero at equal samples.

Width s and ridge are chosen by leave-one-out cross-validation of the error above (but for its
constant). H does not depend on the sample and theta is linear in h, so one eigendecomposition a
width gives all of it. The penalty is R = ridge (pi s^2)^(d/2) sum_l theta_l^2 / w_l, w_l the share
of all centres' weight that is at c_l: so ridge has no units, means the same for any number of
centres, and two centres in one place are one centre of twice the weight.

The L2 distance has the units of a density, 1 / volume, and shrinks exponentially with the
dimension: it compares what is measured in one space, and is meant for a few dimensions.

Reference: Sugiyama et al., Density-Difference Estimation, Neural Computation, 2013. arXiv:1207.0099
"""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positives, check_whole
from lfi.numerics.distances import quantile_distances, squared_distances
from lfi.numerics.weighted_samples import as_batches, probabilities

WIDTHS = tuple(2.0 ** (k / 2) for k in range(-6, 3))  # of the median distance: 1/8 to 2
RIDGES = tuple(10.0 ** (k / 2) for k in range(-10, 1))  # 1e-5 to 1


@checked
@dataclass(frozen=True)
class LSDD:
    """The squared L2 distance of two densities, int (p - q)^2, from samples of them.

    All is computed in float64 and returned in the dtype of the samples. Where width and ridge are
    chosen, one pair of samples takes nine eigendecompositions of as many rows as there are
    centres, tenths of a second; of many pairs, choose once, by `fixed`. The choice is a constant
    to autograd; given both, gradients are exact, in weights and in points, of which centres are.

    Attributes:
        width: s, a number or one for each pair of samples, (*bc); None to choose.
        ridge: The penalty, likewise; None to choose.
        centres: The most points that are centres: all points of few, of many as many of x as of y.
        seed: Of which points are centres.

    Example:
        >>> x, y = torch.randn(1000, 1), torch.randn(1000, 1) + 1
        >>> abs(lfi.discrepancies.LSDD()(x, y).item() - 0.1248) < 0.05  # (1 - exp(-1/4)) / sqrt(pi)
        True
    """

    width: float | Tensor | None = None
    ridge: float | Tensor | None = None
    centres: int = 200
    seed: int = 0

    def __post_init__(self) -> None:
        check_positives("width", self.width, optional=True)
        check_positives("ridge", self.ridge, optional=True)
        check_whole("centres", self.centres, minimum=2)
        check_whole("seed", self.seed, minimum=0)

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the squared L2 distance; to choose width or ridge, both need two points."""
        x, y = as_batches(p, q)
        fitted = self._fit(x, y, weight_p, weight_q)
        quadratic = (fitted.theta * (fitted.overlap @ fitted.theta[..., None])[..., 0]).sum(dim=-1)
        value = (2 * (fitted.h * fitted.theta).sum(dim=-1) - quadratic) / fitted.volume
        return value.to(x.dtype)

    def difference(
        self,
        x: SampleP,
        y: SampleQ,
        points: Float[Tensor, "k d"],
        *,
        weight_p: WeightP = None,
        weight_q: WeightQ = None,
    ) -> Float[Tensor, "*bc k"]:
        """Return the estimate of p - q at some points.

        Example:
            >>> x, y = torch.randn(1000, 1), torch.randn(1000, 1) + 1
            >>> left, middle, right = LSDD().difference(x, y, torch.tensor([[-0.5], [0.5], [1.5]]))
            >>> bool(left > 0.1 > abs(middle)), bool(right < -0.1)
            (True, True)
        """
        x, y = as_batches(x, y)
        fitted = self._fit(x, y, weight_p, weight_q)
        basis = gaussian(points.double(), fitted.centres, fitted.width)
        value = (basis @ fitted.theta[..., None])[..., 0] / fitted.volume[..., None]
        return value.to(x.dtype)

    @torch.no_grad()
    def fixed(
        self, x: SampleP, y: SampleQ, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> "LSDD":
        """Return the same with width and ridge chosen for these samples, one a pair.

        Example:
            >>> chosen = LSDD().fixed(torch.randn(100, 2), torch.randn(80, 2) + 1)
            >>> chosen.width.shape, chosen.ridge.shape
            (torch.Size([]), torch.Size([]))
        """
        if self.width is not None and self.ridge is not None:
            return self
        x, y, a, b, lead = _doubled(x, y, weight_p, weight_q)
        for name, weight in (("p", a), ("q", b)):
            if (weight == 1).any():
                raise ValueError(
                    f"LSDD leaves out one point to choose width and ridge, and {name} has a sample "
                    "of one point with a weight: give both numbers, or more points"
                )
        centres, share = self._centres(x, y, a, b)
        if self.width is None:
            unit = quantile_distances(x, y, (0.5,), weight_p=a, weight_q=b)[0]
            widths = torch.stack([factor * unit for factor in WIDTHS])
        else:
            widths = _number(self.width, x).expand(1, *lead)
        if self.ridge is None:
            ridges = x.new_tensor(RIDGES).expand(*lead, -1)
        else:
            ridges = _number(self.ridge, x).expand(lead)[..., None]
        scores = torch.stack(
            [_leave_one_out(x, y, a, b, centres, share, width, ridges) for width in widths], dim=-2
        )  # (*bc, widths, ridges)
        best = scores.flatten(-2).argmin(dim=-1)
        width = widths.movedim(0, -1).gather(-1, best[..., None] // ridges.shape[-1])[..., 0]
        ridge = ridges.gather(-1, best[..., None] % ridges.shape[-1])[..., 0]
        return replace(self, width=width, ridge=ridge)

    def _centres(self, x: Tensor, y: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Return centres, (*bc, k, d), and their shares of the weight, (*bc, k)."""
        n, m, half = x.shape[-2], y.shape[-2], self.centres // 2
        points, shares = [], []
        for z, weight, other in ((x, a, m), (y, b, n)):
            max_centres = max(half, self.centres - other)
            if z.shape[-2] > max_centres:
                rng = torch.Generator().manual_seed(self.seed)
                order = torch.randperm(z.shape[-2], generator=rng, device="cpu").to(z.device)
                first = (weight[..., order] == 0).byte().argsort(dim=-1, stable=True)
                index = order[first[..., :max_centres]]
                z = z.gather(-2, index[..., None].expand(*index.shape, z.shape[-1]))
                weight = weight.gather(-1, index)
                weight = weight / weight.sum(dim=-1, keepdim=True)
            points.append(z)
            shares.append(weight / 2)
        lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        points = [z.expand(*lead, *z.shape[-2:]) for z in points]
        shares = [weight.expand(*lead, weight.shape[-1]) for weight in shares]
        return torch.cat(points, dim=-2), torch.cat(shares, dim=-1)

    def _fit(self, x: Tensor, y: Tensor, weight_p: WeightP, weight_q: WeightQ) -> "_Fitted":
        """Return the fitted difference, in float64."""
        chosen = self.fixed(x, y, weight_p, weight_q)
        assert chosen.width is not None and chosen.ridge is not None
        x, y, a, b, lead = _doubled(x, y, weight_p, weight_q)
        width = _number(chosen.width, x).expand(lead)
        ridge = _number(chosen.ridge, x).expand(lead)[..., None, None]
        centres, share = self._centres(x, y, a, b)
        h = _mean(a, gaussian(x, centres, width)) - _mean(b, gaussian(y, centres, width))
        overlap = gaussian(centres, centres, math.sqrt(2) * width)
        # (overlap + ridge / share) theta = h, also where a centre has no share
        identity = torch.eye(h.shape[-1], dtype=h.dtype, device=h.device)
        theta = share * torch.linalg.solve(overlap * share[..., None, :] + ridge * identity, h)
        return _Fitted(theta, h, overlap, centres, width, _volume(width, x.shape[-1]))


@dataclass(frozen=True, eq=False)
class _Fitted:
    """theta and h in units of the volume, H divided by it, and what they were made of."""

    theta: Tensor
    h: Tensor
    overlap: Tensor
    centres: Tensor
    width: Tensor
    volume: Tensor


def _doubled(
    x: SampleP, y: SampleQ, weight_p: WeightP, weight_q: WeightQ
) -> tuple[Tensor, Tensor, Tensor, Tensor, torch.Size]:
    """Return samples and their probabilities in float64, and the leading dimensions of both."""
    x, y = as_batches(x, y)
    a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
    lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return x.double(), y.double(), a.double(), b.double(), lead


def _number(value: float | Tensor, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def _volume(width: Tensor, dim: int) -> Tensor:
    """Return (pi s^2)^(d/2), the integral of a squared Gaussian."""
    return (math.pi * width.square()).pow(dim / 2)


def gaussian(x: Tensor, centres: Tensor, width: Tensor) -> Tensor:
    """Return exp(-|x - c|^2 / (2 s^2)), (*bc, n, k)."""
    return torch.exp(squared_distances(x, centres) / (-2 * width.square()[..., None, None]))


def _mean(weight: Float[Tensor, "*b n"], values: Float[Tensor, "*bc n k"]) -> Tensor:
    return (weight[..., None] * values).sum(dim=-2)


def spectrum(
    centres: Float[Tensor, "*b k d"], share: Float[Tensor, "*b k"], width: Float[Tensor, "*b"]
) -> tuple[Float[Tensor, "*b k"], Float[Tensor, "*b k k"]]:
    """Return e and E such that, with z = E'h, the fit's numbers are sums over eigenvalues.

    h'theta = sum_l z_l^2 / (e_l + ridge) and theta'H theta = sum_l z_l^2 e_l / (e_l + ridge)^2,
    both in units of 1 / (pi s^2)^(d/2); the e_l sum to 1.
    """
    root = share.sqrt()
    overlap = gaussian(centres, centres, math.sqrt(2) * width)
    matrix = root[..., :, None] * overlap * root[..., None, :]
    values, vectors = torch.linalg.eigh(matrix.nan_to_num())  # of broken samples: nan comes later
    return values.clamp(min=0), root[..., :, None] * vectors


def _leave_one_out(
    x: Tensor,
    y: Tensor,
    a: Tensor,
    b: Tensor,
    centres: Tensor,
    share: Tensor,
    width: Tensor,
    ridges: Float[Tensor, "*bc r"],
) -> Float[Tensor, "*bc r"]:
    """Return int g^2 - 2 (mean of g_-i at x_i - mean of g_-j at y_j), for every ridge.

    Without x_i, the mean over x in h is (h_x - a_i psi_i) / (1 - a_i).
    """
    values, vectors = spectrum(centres, share, width)
    inverse = 1 / (values[..., :, None] + ridges[..., None, :])  # (*bc, k, r)
    z_x = gaussian(x, centres, width) @ vectors
    z_y = gaussian(y, centres, width) @ vectors
    mean_x, mean_y = _mean(a, z_x), _mean(b, z_y)
    held_out = 0.0
    for z, weight, own, other in ((z_x, a, mean_x, mean_y), (z_y, b, mean_y, mean_x)):
        keeps = weight / (1 - weight)
        itself = ((keeps * weight)[..., None] * z.square()).sum(dim=-2)
        without = (keeps[..., None] * z).sum(dim=-2) * own - itself
        held_out = held_out + ((without - own * other)[..., None] * inverse).sum(dim=-2)
    square = (mean_x - mean_y).square() * values
    fitted = (square[..., None] * inverse.square()).sum(dim=-2)
    return (fitted - 2 * held_out) / _volume(width, x.shape[-1])[..., None]
