"""Classifier two-sample test (C2ST): held-out accuracy of a classifier of two samples.

The statistic is 0.5 where it cannot tell p from q (of equal sizes), 1 where it always can. The
default is sbibm's, so that figures compare: a network with two hidden layers of 10 x dimension relu
units, Adam, z-scoring by the first sample, and five shuffled folds, trained in one batch
(`c2st_networks`). A figure means little without its classifier: `compared` says which.

p-value. A fold's labels take no part in training what predicts them. Hold its predictions fixed: if
p and q have the same distribution, every arrangement of the fold's labels among its m points is
equally likely, and of the T points named q, the number that are q is hypergeometric, whatever the
classifier learned and however unequal the samples. The accuracy of each fold is a linear function
of one such count; B are drawn a fold, and mean accuracies compared with that observed,
p = (1 + #) / (1 + B). In one fold this is exact. Over several it is not quite: a fold's labels
train the others' classifiers, so their counts are not independent, though drawn so. Near a
threshold take a permutation test (`mmd_test`), which is exact. Both take the samples for
independent draws: those of a Markov chain are not.

References:
    Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, 2017. arXiv:1610.06545
    Lueckmann et al., Benchmarking Simulation-Based Inference (sbibm), 2021. arXiv:2101.04653
"""

from dataclasses import dataclass

import numpy as np
import torch

from lfi.comparison.two_sample.c2st_networks import FoldNetworks, predictions
from lfi.comparison.two_sample.permutation import (
    TwoSampleTest,
    flat_samples,
    permutation_p_value,
    sizes,
)
from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples
from lfi.numerics.checks import check_whole
from lfi.numerics.classifiers import SklearnClassifier, seeded_copy, without_convergence_warnings
from lfi.runtime import fresh

Fold = tuple[np.ndarray, np.ndarray]  # predicted and true labels, True for the second sample


@dataclass(frozen=True, repr=False)
class C2ST(TwoSampleTest):
    """The result of a classifier two-sample test.

    Its statistic is held-out accuracy, the mean over folds: `chance` where the samples cannot be
    told apart, 1 where they always can. `compared` is the classifier and how it was held out.
    """

    @property
    def chance(self) -> float:
        """The accuracy of always naming the larger sample."""
        return max(self.n_p, self.n_q) / (self.n_p + self.n_q)


@checked
def c2st(
    p: Samples,
    q: Samples,
    *,
    classifier: object = None,
    folds: int = 5,
    permutations: int = 9_999,
    seed: int | None = None,
) -> C2ST:
    """Return the held-out accuracy of a classifier of p against q, and its p-value.

    Args:
        p: The first sample, (n, *event); its mean and deviation standardise both.
        q: The second sample, (m, *event).
        classifier: Any classifier of scikit-learn, a pipeline too; it is copied, not changed, and
            every `random_state` of it that is None is seeded. By default sbibm's network, trained
            until its loss settles. `MLPClassifier((32, 32), max_iter=20)` is quicker and sees
            less; the p-value means what it did.
        folds: Parts that are held out in turn.
        permutations: Arrangements of the labels: p-values are multiples of 1/(1 + permutations).
        seed: Folds, the classifier's start and arrangements; None takes fresh entropy.

    Raises:
        TypeError: If the classifier is not one of scikit-learn, or a sample is no array of numbers.
        ValueError: If the samples' events differ, are not finite or are fewer than folds, or if
            there are no permutations.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> rng = np.random.default_rng(0)
        >>> p, q = rng.normal(0, 1, (200, 1)), rng.normal(5, 1, (200, 1))
        >>> result = c2st(p, q, classifier=LogisticRegression(), seed=1)
        >>> result.statistic > 0.95, result.p_value, result.compared
        (True, 0.0001, 'LogisticRegression(), 5 folds')
    """
    check_whole("permutations", permutations)
    check_whole("folds", folds, minimum=2)
    p, q = flat_samples(p, q, min_rows=folds)
    seed = fresh(seed)
    state, start = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))

    size = sizes(torch.cat([p, q]))
    p, q = p / size, q / size
    scale = p.std(dim=0)
    x = ((torch.cat([p, q]) - p.mean(dim=0)) / torch.where(scale > 0, scale, 1)).numpy()
    label = np.arange(len(x)) >= len(p)
    parts = _parts(label, folds, state)
    networks = FoldNetworks() if classifier is None else classifier
    if isinstance(networks, FoldNetworks):
        words = f"network {'-'.join(map(str, networks.sizes(x.shape[1])))}"
        predicted = predictions(x, label, parts, state, networks)
    else:
        words = " ".join(repr(classifier).split())
        predicted = _predictions(seeded_copy(classifier, state), x, label, parts)
    held_out = [(named, label[test]) for named, (_, test) in zip(predicted, parts, strict=True)]

    accuracy, arranged = _accuracies(held_out, permutations, np.random.default_rng(start))
    return C2ST(
        statistic=accuracy,
        # a sum of fractions may be rounded differently where it is equal
        p_value=permutation_p_value(accuracy - 1e-12, torch.from_numpy(arranged)),
        n_p=len(p),
        n_q=len(q),
        compared=f"{words}, {folds} folds",
        permutations=permutations,
        seed=seed,
    )


def _parts(label: np.ndarray, folds: int, state: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows that each fold trains on, and those it holds out."""
    from sklearn.model_selection import KFold

    parts = list(KFold(folds, shuffle=True, random_state=state).split(label))
    for train, _ in parts:
        if label[train].all() or not label[train].any():
            raise ValueError(
                f"a training part has no point of one sample: {len(label) - label.sum()} and "
                f"{label.sum()} points are too few for {folds} folds"
            )
    return parts


def _predictions(
    classifier: SklearnClassifier,
    x: np.ndarray,
    label: np.ndarray,
    parts: list[tuple[np.ndarray, np.ndarray]],
) -> list[np.ndarray]:
    """Return the predictions for each part of a classifier trained on the others."""
    predicted = []
    for train, test in parts:
        with without_convergence_warnings():
            classifier.fit(x[train], label[train])
        predicted.append(classifier.predict(x[test]).astype(bool))
    return predicted


def _accuracies(
    held_out: list[Fold], permutations: int, rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Return the mean accuracy over folds, and those of arranged labels.

    Of m points, k of the second sample and T named so, H rightly: T - H and k - H are wrong.
    """
    observed, arranged = 0.0, np.zeros(permutations)
    for predicted, true in held_out:
        m, named, present = len(true), int(predicted.sum()), int(true.sum())
        hits = rng.hypergeometric(present, m - present, named, size=permutations)
        arranged += (m - named - present + 2 * hits) / m
        observed += (m - named - present + 2 * int((predicted & true).sum())) / m
    return observed / len(held_out), arranged / len(held_out)
