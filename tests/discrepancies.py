"""All discrepancies, and what each promises: an entry here gets the contract tests."""

from dataclasses import dataclass

import torch

from lfi.comparison import (
    MMD,
    Biased,
    Block,
    Discrepancy,
    Energy,
    Gaussian,
    InverseMultiquadric,
    Laplace,
    Learned,
    Linear,
    LinearTime,
    Quantile,
    RandomFeatureMMD,
    RationalQuadratic,
    Sum,
    Unbiased,
)


@dataclass(frozen=True)
class Case:
    """A discrepancy and what is true of it.

    Attributes:
        name: For test reports.
        discrepancy: The object.
        dim: Of the vectors it is tested on.
        zero: Whether it is zero, and not only on average, between a sample and itself.
        symmetric: Whether d(x, y) = d(y, x).
        weighted: Whether it takes weights.
        counts: Whether weights that are whole numbers say the same as repeated rows.
        orderly: Whether the order of the rows does not matter.
        gradient: Whether it is differentiable; one that is not refuses nothing, but has none.
    """

    name: str
    discrepancy: Discrepancy
    dim: int = 3
    zero: bool = True
    symmetric: bool = True
    weighted: bool = True
    counts: bool = True
    orderly: bool = True
    gradient: bool = True


def _features(x):
    return torch.tanh(x @ torch.linspace(-1, 2, 6).reshape(3, 2).to(x))


_scales = tuple(Gaussian(Quantile(scale=scale)) for scale in (0.5, 1.0, 2.0))

DISCREPANCIES = (
    Case("MMD", MMD(), zero=False, counts=False),
    Case("MMD, biased", MMD(estimator=Biased())),
    Case("MMD, fixed bandwidth", MMD(Gaussian(1.5), Biased())),
    Case("MMD, Laplace", MMD(Laplace(), Biased())),
    Case("MMD, inverse multiquadric", MMD(InverseMultiquadric(), Biased())),
    Case("MMD, rational quadratic", MMD(RationalQuadratic(alpha=0.2), Biased())),
    Case("MMD, linear", MMD(Linear(), Biased())),
    Case("MMD, sum", MMD(Sum(_scales), Biased())),
    Case("MMD, small quantile", MMD(Gaussian(Quantile(0.1)), Biased())),
    Case("MMD, learned", MMD(Learned(_features, Gaussian()), Biased())),
    Case(
        "MMD, blocks",
        MMD(estimator=Block(4)),
        zero=False,
        weighted=False,
        orderly=False,
    ),
    Case(
        "MMD, linear time",
        MMD(estimator=LinearTime()),
        zero=False,
        weighted=False,
        orderly=False,
    ),
    Case("random features", RandomFeatureMMD(features=50), zero=False, counts=False),
    Case("random features, biased", RandomFeatureMMD(features=50, estimator=Biased())),
    Case("random features, Laplace", RandomFeatureMMD(Laplace(), 50, estimator=Biased())),
    Case("energy", Energy(), zero=False, counts=False),
    Case("energy, biased", Energy(Biased())),
    Case("energy on a line", Energy(Unbiased()), dim=1, zero=False, counts=False),
    Case("energy on a line, biased", Energy(Biased()), dim=1),
)
