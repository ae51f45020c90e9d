"""All discrepancies, and what each promises: an entry here gets the contract tests."""

from dataclasses import dataclass

import torch
from sklearn.linear_model import LogisticRegression

from lfi.comparison import (
    KL,
    LSDD,
    MMD,
    Biased,
    Block,
    ClassifierDiscrepancy,
    Discrepancy,
    Energy,
    Gaussian,
    InverseMultiquadric,
    Laplace,
    Learned,
    LearnedDivergence,
    Linear,
    Moments,
    Quantile,
    RandomFeatureMMD,
    RationalQuadratic,
    Sinkhorn,
    SlicedWasserstein,
    Sum,
    Unbiased,
    Wasserstein1D,
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
    Case("random features", RandomFeatureMMD(features=50), zero=False, counts=False),
    Case("random features, biased", RandomFeatureMMD(features=50, estimator=Biased())),
    Case("random features, Laplace", RandomFeatureMMD(Laplace(), 50, estimator=Biased())),
    Case("energy", Energy(), zero=False, counts=False),
    Case("energy, biased", Energy(Biased())),
    Case("energy on a line", Energy(Unbiased()), dim=1, zero=False, counts=False),
    Case("energy on a line, biased", Energy(Biased()), dim=1),
    Case("Wasserstein on a line", Wasserstein1D(), dim=1),
    Case("Wasserstein on a line, order 3", Wasserstein1D(3.0), dim=1),
    Case("sliced Wasserstein", SlicedWasserstein(projections=10)),
    Case("sliced Wasserstein, order 1", SlicedWasserstein(projections=10, order=1.0)),
    Case("Sinkhorn", Sinkhorn(epsilon=2.0, tolerance=1e-13)),
    Case("Sinkhorn, order 1", Sinkhorn(epsilon=2.0, order=1.0, tolerance=1e-13)),
    # epsilon from the samples is a constant to autograd, not to a finite difference
    Case("Sinkhorn, epsilon from data", Sinkhorn(relative=0.5, tolerance=1e-13), gradient=False),
    Case("moments", Moments()),
    Case("moments of features", Moments(_features, covariances=True)),
    # the pooled deviation likewise
    Case("moments, standardised", Moments(covariances=True, standardise=True), gradient=False),
    Case("density difference", LSDD(width=1.0, ridge=0.01)),
    Case("density difference, chosen", LSDD(), counts=False, gradient=False),
    # a critic's features are standardised as p is
    Case("learned divergence", LearnedDivergence(), symmetric=False, gradient=False),
    Case(
        "learned divergence of features",
        LearnedDivergence(KL(), _features),
        symmetric=False,
        gradient=False,
    ),
    Case("classifier", ClassifierDiscrepancy(), counts=False, orderly=False, gradient=False),
    Case(
        "classifier of scikit-learn",
        ClassifierDiscrepancy(LogisticRegression(), folds=2),
        counts=False,
        orderly=False,
        gradient=False,
    ),
)
