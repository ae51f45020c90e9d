"""Classifier discrepancy: held-out accuracy of a classifier of two samples.

With labels h > 0 for x and h < 0 for y, both samples counting the same whatever their sizes (in
training too, where the classifier takes weights),

    discrepancy = (E_p sign h - E_q sign h) / 2 = 2 accuracy - 1,

over held-out points of all folds. On average it is at most the total variation distance of p and q,
which the best of all classifiers reaches: 0 where p = q, 1 where they share no region. Where p and
q are alike it is negative about half of the time; its sampling error is about sqrt(1/n + 1/m)/2.
Accuracy is a step function of the points: there is no gradient.

The default classifier is a quadratic discriminant: a normal distribution fitted to each sample,

    h(z) = log N(z; mean_x, S_x) - log N(z; mean_y, S_y),

the best there is for normal distributions, and a closed form, so that thousands of data sets are
compared in one batch. Each S is shrunk as if d + 1 of its points had the pooled variances and no
correlations, so that it exists for few points.

References:
    Gutmann et al., Likelihood-free inference via classification, 2018. arXiv:1407.4981
    Friedman, Regularized Discriminant Analysis, JASA, 1989.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lfi.comparison.types import SampleP, SampleQ, WeightP, WeightQ
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_whole
from lfi.numerics.classifiers import seeded_copy, without_convergence_warnings
from lfi.numerics.weighted_samples import as_batches, probabilities


@checked
@dataclass(frozen=True)
class ClassifierDiscrepancy:
    """2 accuracy - 1 of a classifier on held-out points; it has no gradient.

    Rows are dealt to folds in their order, each run of `folds` rows in a random order fixed by the
    seed, so that equal samples of equal order are at zero exactly.

    Attributes:
        classifier: Any classifier of scikit-learn, trained anew for every pair of samples and every
            fold, in a loop; it takes weights if its `fit` takes `sample_weight`, and otherwise
            refuses them. None for a quadratic discriminant, in one batch.
        folds: Parts that are held out in turn.
        seed: Of the folds, and of every `random_state` of the classifier that is None.

    Example:
        >>> x = torch.randn(1000, 2)
        >>> y = torch.randn(3, 1000, 2) * torch.tensor([1.5, 4.0, 9.0])[:, None, None]
        >>> [round(value, 1) for value in lfi.discrepancies.ClassifierDiscrepancy()(x, y).tolist()]
        [0.3, 0.8, 0.9]
    """

    classifier: object = None
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("folds", self.folds, minimum=2)
        check_whole("seed", self.seed, minimum=0)
        if self.classifier is not None:
            seeded_copy(self.classifier, 0)

    @torch.no_grad()
    def __call__(
        self, p: SampleP, q: SampleQ, *, weight_p: WeightP = None, weight_q: WeightQ = None
    ) -> Float[Tensor, "*bc"]:
        """Return 2 accuracy - 1, between -1 and 1, of samples with a weighted point a fold."""
        x, y = as_batches(p, q)
        lead = torch.broadcast_shapes(x.shape[:-2], y.shape[:-2])
        if not (weight_p is None and weight_q is None) and not self._takes_weights():
            raise ValueError(
                f"{type(self.classifier).__name__} takes no weights: its fit has no sample_weight"
            )
        a, b = probabilities("weight_p", x, weight_p), probabilities("weight_q", y, weight_q)
        fold_x, fold_y = self._deal("p", a), self._deal("q", b)
        x, y = x.expand(*lead, *x.shape[-2:]), y.expand(*lead, *y.shape[-2:])
        a, fold_x = a.expand(*lead, -1), fold_x.expand(*lead, -1)
        b, fold_y = b.expand(*lead, -1), fold_y.expand(*lead, -1)
        if self.classifier is None:
            sign_x, sign_y = _by_discriminant(x, y, a, b, fold_x, fold_y, self.folds)
        else:
            sign_x, sign_y = self._by_classifier(x, y, a, b, fold_x, fold_y)
        return ((a * sign_x).sum(dim=-1) - (b * sign_y).sum(dim=-1)) / 2

    def _takes_weights(self) -> bool:
        from sklearn.utils.validation import has_fit_parameter

        return self.classifier is None or has_fit_parameter(self.classifier, "sample_weight")

    def _deal(self, name: str, weight: Float[Tensor, "*b n"]) -> Int[Tensor, "*b n"]:
        """Return the fold of each point; those of no weight are not dealt."""
        counts = (weight > 0).sum(dim=-1)
        if (counts < self.folds).any():
            raise ValueError(
                f"{name} must have a point with a weight in each of {self.folds} folds, got "
                f"{int(counts.min())}"
            )
        runs = -(-weight.shape[-1] // self.folds)
        order = np.random.default_rng(self.seed).random((runs, self.folds)).argsort(axis=1)
        dealt = torch.from_numpy(order.ravel()).to(weight.device)
        place = ((weight > 0).cumsum(dim=-1) - 1).clamp(min=0)
        return dealt[place]

    def _by_classifier(
        self, x: Tensor, y: Tensor, a: Tensor, b: Tensor, fold_x: Tensor, fold_y: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the signs that classifiers give to held-out points."""
        weighted = self._takes_weights()
        n, m = x.shape[-2], y.shape[-2]
        label = np.arange(n + m) < n
        signs = np.full((x.shape[:-2].numel(), n + m), np.nan)
        points = torch.cat([x, y], dim=-2).reshape(len(signs), n + m, -1)
        weights = torch.cat([a, b], dim=-1).reshape(len(signs), n + m)
        folds = torch.cat([fold_x, fold_y], dim=-1).reshape(len(signs), n + m)
        arrays = [tensor.cpu().numpy() for tensor in (points, weights, folds)]
        for points, weight, fold, sign in zip(*arrays, signs, strict=True):
            if not np.isfinite(points).all():
                continue  # nan, as of the other discrepancies
            for k in range(self.folds):
                train, test = (fold != k) & (weight > 0), fold == k
                own, count = label[train], weight[train]
                # both samples count the same, and points 1 on average
                count = count / np.where(own, count[own].sum(), count[~own].sum()) * len(own) / 2
                extra = {"sample_weight": count} if weighted else {}
                with without_convergence_warnings():
                    fitted = seeded_copy(self.classifier, self.seed)
                    fitted.fit(points[train], own, **extra)
                sign[test] = np.where(fitted.predict(points[test]), 1.0, -1.0)
        signs = torch.from_numpy(signs).to(x).reshape(*x.shape[:-2], n + m)
        return signs[..., :n], signs[..., n:]


def _by_discriminant(
    x: Tensor, y: Tensor, a: Tensor, b: Tensor, fold_x: Tensor, fold_y: Tensor, folds: int
) -> tuple[Float[Tensor, "*b n"], Float[Tensor, "*b m"]]:
    """Return the signs of the log-odds that quadratic discriminants give to held-out points."""
    sign_x, sign_y = torch.zeros_like(a), torch.zeros_like(b)
    for k in range(folds):
        mean_x, cov_x, n = _moments(x, torch.where(fold_x == k, 0.0, a))
        mean_y, cov_y, m = _moments(y, torch.where(fold_y == k, 0.0, b))
        pooled = (cov_x + cov_y).diagonal(dim1=-2, dim2=-1) / 2
        pooled = torch.where(pooled == 0, 1.0, pooled)  # a coordinate that never varies
        cov_x, cov_y = _shrunk(cov_x, pooled, n), _shrunk(cov_y, pooled, m)
        for z, fold, sign in ((x, fold_x, sign_x), (y, fold_y, sign_y)):
            log_odds = _log_normal(z, mean_x, cov_x) - _log_normal(z, mean_y, cov_y)
            found = torch.where(log_odds.isnan(), log_odds, log_odds.sign())
            sign += torch.where(fold == k, found, 0.0)
    return sign_x, sign_y


def _moments(
    x: Float[Tensor, "*b n d"], weight: Float[Tensor, "*b n"]
) -> tuple[Float[Tensor, "*b d"], Float[Tensor, "*b d d"], Float[Tensor, "*b"]]:
    """Return mean, covariance, and how many equal weights have the variance of these."""
    weight = weight / weight.sum(dim=-1, keepdim=True)
    mean = (weight[..., None] * x).sum(dim=-2)
    z = x - mean[..., None, :]
    return mean, (weight[..., None] * z).mT @ z, 1 / weight.square().sum(dim=-1)


def _shrunk(
    cov: Float[Tensor, "*b d d"], pooled: Float[Tensor, "*b d"], n: Float[Tensor, "*b"]
) -> Float[Tensor, "*b d d"]:
    """Return the covariance of n points and d + 1 with the pooled variances."""
    share = ((pooled.shape[-1] + 1) / (n + pooled.shape[-1] + 1))[..., None, None]
    return (1 - share) * cov + share * torch.diag_embed(pooled)


def _log_normal(
    x: Float[Tensor, "*b n d"], mean: Float[Tensor, "*b d"], cov: Float[Tensor, "*b d d"]
) -> Float[Tensor, "*b n"]:
    """Return log densities but for a constant; nan for broken samples."""
    root = torch.linalg.cholesky_ex(cov).L
    z = torch.linalg.solve_triangular(root, (x - mean[..., None, :]).mT, upper=False)
    log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(dim=-1, keepdim=True)
    return -z.square().sum(dim=-2) / 2 - log_det
