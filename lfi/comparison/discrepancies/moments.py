"""Feature matching: squared distance of the means, and covariances, of two samples' features.

With features phi (the coordinates themselves, or a network's), midpoint c of both means, and
optionally each feature divided by its pooled standard deviation,

    |E_p phi - E_q phi|^2                              means
    + |Cov_p phi - Cov_q phi|_F^2                      covariances, if asked for.

The first line is the squared MMD of the kernel u . v. As second moments about the midpoint exceed
the two covariances by the same matrix, both lines are that of u . v + (u . v)^2 of the features
less c: exactly, in O((n + m) e^2) for e features. Two distributions may be zero apart and differ.
All estimates are V-statistics: never negative, zero at equal samples, and in excess by about
(1/n + 1/m) times the features' variance where p = q.

Reference: Sun & Saenko, Deep CORAL, 2016. arXiv:1607.01719
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_callable
from lfi.numerics.weighted_samples import as_batches, probabilities


@checked
@dataclass(frozen=True)
class Moments:
    """Squared distance of the means of features and, if asked for, of their covariances.

    Attributes:
        features: A network or a function, (*b, n, d) to (*b, n, e); None for the coordinates.
        covariances: Whether covariances are compared as well.
        standardise: Whether each feature is divided by its pooled standard deviation, the root of
            its mean square about the midpoint of both means: features in other units then count
            the same. The deviation is a constant to autograd, since a model could otherwise come
            closer by spreading out; one that is zero divides nothing.

    Example:
        >>> x = torch.randn(1000, 2)
        >>> round(Moments()(x, x + torch.tensor([3.0, 4.0])).item(), 6)
        25.0
        >>> Moments(torch.nn.Linear(2, 8), covariances=True)(x, x.clone()).item()
        0.0
    """

    features: nn.Module | Callable[[Tensor], Tensor] | None = None
    covariances: bool = False
    standardise: bool = False

    def __post_init__(self) -> None:
        if self.features is not None:
            check_callable("features", self.features, "a function")

    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return the squared distance; features must be one row a point."""
        x, y = as_batches(p, q)
        a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
        if self.features is not None:
            x, y = _features(self.features, "p", x), _features(self.features, "q", y)
        mean_x, mean_y = _mean(a, x), _mean(b, y)
        x, y = x - mean_x[..., None, :], y - mean_y[..., None, :]
        difference = mean_x - mean_y
        scale = None
        if self.standardise:
            within = _mean(a, x.detach().square()) + _mean(b, y.detach().square())
            scale = (within / 2 + difference.detach().square() / 4).sqrt()
            scale = torch.where(scale == 0, 1.0, scale)
            difference = difference / scale
        value = difference.square().sum(dim=-1)
        if not self.covariances:
            return value
        excess = (a[..., None] * x).mT @ x - (b[..., None] * y).mT @ y
        if scale is not None:
            excess = excess / (scale[..., :, None] * scale[..., None, :])
        return value + excess.square().sum(dim=(-2, -1))


def _mean(weight: Float[Tensor, "*b n"], x: Float[Tensor, "*b n e"]) -> Float[Tensor, "*b e"]:
    return (weight[..., None] * x).sum(dim=-2)


def _features(features: Callable[[Tensor], Tensor], name: str, sample: Tensor) -> Tensor:
    """Return the features of a sample, checked."""
    found = features(sample)
    if found.shape[:-1] != sample.shape[:-1]:
        raise ValueError(
            f"features of {name}, of shape {tuple(sample.shape)}, must have shape "
            f"{(*sample.shape[:-1], 'e')}, got {tuple(found.shape)}"
        )
    return found
