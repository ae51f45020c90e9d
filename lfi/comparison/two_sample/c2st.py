"""Classifier two-sample test: can a trained classifier tell two samples apart?

A classifier is trained to tell samples of a from samples of b, and its accuracy on held-out samples
is the statistic: 0.5 where it cannot (of equal sizes), 1 where it always can. The default is that
of sbibm, so that figures compare: a network with two hidden layers of 10 x dimension relu units,
Adam, z-scoring by the first sample, and five shuffled folds, whose networks are trained side by
side (`lfi.comparison.two_sample.c2st_networks`). Any classifier of scikit-learn serves. A figure
means little without the classifier that reached it: `compared` says which.

p-value. A fold's labels take no part in training what predicts them. Hold its predictions fixed: if
a and b have the same distribution, every arrangement of the fold's labels among its m points is
equally likely, and of the T points named b, the number that are b is hypergeometric, whatever the
classifier learned and however unequal the samples. Nothing is trained again: the accuracy of each
fold is a linear function of one hypergeometric count, B of them are drawn a fold, and the mean
accuracies so drawn are compared with that observed,

    p = (1 + #) / (1 + B).

In one fold this is exact. Over several it is not quite: a fold's labels train the classifiers of
the other folds, so their counts are not independent, though they are drawn so. Near a threshold
take a permutation test (`mmd_test`), which is exact. Both take the samples for independent draws:
those of a Markov chain are not.

References:
    Lopez-Paz & Oquab, Revisiting Classifier Two-Sample Tests, 2017. arXiv:1610.06545
    Lueckmann et al., Benchmarking Simulation-Based Inference (sbibm), 2021. arXiv:2101.04653
    Phipson & Smyth, Permutation P-values Should Never Be Zero, 2010. arXiv:1603.05766
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from lfi.comparison.two_sample.c2st_networks import predictions
from lfi.comparison.two_sample.permutation import TwoSampleTest, permutation_p_value, two_rows
from lfi.numerics.classifiers import seeded_copy, without_convergence_warnings

Fold = tuple[np.ndarray, np.ndarray]  # predicted and true labels, True for the second sample


@dataclass(frozen=True)
class C2ST(TwoSampleTest):
    """The result of a classifier two-sample test.

    Its statistic is held-out accuracy, the mean over folds: `chance` if none can tell, 1 if all. It
    says in `compared` which classifier, and how it was held out.
    """

    @property
    def chance(self) -> float:
        """The accuracy of always naming the larger sample."""
        return max(self.n_a, self.n_b) / (self.n_a + self.n_b)


def c2st(
    a: Shaped[Tensor, "n ..."] | Shaped[np.ndarray, "n ..."],
    b: Shaped[Tensor, "m ..."] | Shaped[np.ndarray, "m ..."],
    *,
    classifier: object = None,
    folds: int = 5,
    permutations: int = 9_999,
    seed: int | None = None,
) -> C2ST:
    """Return the held-out accuracy of a classifier of a against b, and its p-value.

    Args:
        a: The first sample, (n, *event); its mean and deviation standardise both.
        b: The second sample, (m, *event).
        classifier: Any classifier of scikit-learn, a pipeline too; it is copied, not changed, and
            every `random_state` of it that is None is seeded. By default sbibm's network, trained
            until its loss settles. `MLPClassifier((32, 32), max_iter=20)` is quicker and sees
            less; the p-value means what it did.
        folds: Parts that are held out in turn.
        permutations: Arrangements of the labels: p-values are multiples of 1/(1 + permutations).
        seed: Folds, the classifier's start and arrangements; None takes fresh entropy.

    Raises:
        TypeError: If the classifier is not one of scikit-learn.
        ValueError: If the samples' events differ, are not finite or are fewer than folds, or if
            there are no permutations.

    Example:
        >>> from sklearn.linear_model import LogisticRegression
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(0, 1, (200, 1)), rng.normal(5, 1, (200, 1))
        >>> result = c2st(a, b, classifier=LogisticRegression(), seed=1)
        >>> result.statistic > 0.95, result.p_value, result.compared
        (True, 0.0001, 'LogisticRegression(), 5 folds')
    """
    if permutations < 1:
        raise ValueError(f"permutations must be at least 1, got {permutations}")
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    a, b = two_rows(a, b, folds)
    n_a, n_b, dim = len(a), len(b), a[0].size
    a, b = a.reshape(n_a, dim), b.reshape(n_b, dim)
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
    state, start = (int(word) for word in np.random.SeedSequence(seed).generate_state(2))

    scale = a.std(axis=0, ddof=1)
    scale[scale == 0] = 1
    x = (np.concatenate([a, b]) - a.mean(axis=0)) / scale
    label = np.concatenate([np.zeros(n_a, bool), np.ones(n_b, bool)])
    parts = _parts(label, folds, state)
    if classifier is None:
        words = f"network {dim}-{10 * dim}-{10 * dim}-1"
        predicted = predictions(x, label, parts, state)
    else:
        words = " ".join(repr(classifier).split())
        predicted = _predictions(seeded_copy(classifier, state), x, label, parts)
    held_out = [(said, label[test]) for said, (_, test) in zip(predicted, parts, strict=True)]

    accuracy, arranged = _accuracies(held_out, permutations, np.random.default_rng(start))
    return C2ST(
        statistic=accuracy,
        # a sum of fractions may be rounded differently where it is equal
        p_value=permutation_p_value(accuracy - 1e-12, torch.from_numpy(arranged)),
        n_a=n_a,
        n_b=n_b,
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
    classifier: object,
    x: np.ndarray,
    label: np.ndarray,
    parts: list[tuple[np.ndarray, np.ndarray]],
) -> list[np.ndarray]:
    """Return what a classifier, trained on the other parts, says of each."""
    said = []
    for train, test in parts:
        with without_convergence_warnings():
            classifier.fit(x[train], label[train])
        said.append(classifier.predict(x[test]).astype(bool))
    return said


def _accuracies(
    held_out: list[Fold], permutations: int, rng: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Return the mean accuracy over folds, and those of arranged labels.

    Of m points with k of the second sample, of which T are named so and H of these rightly, T - H
    and k - H are wrong.
    """
    observed, arranged = 0.0, np.zeros(permutations)
    for predicted, true in held_out:
        m, named, present = len(true), int(predicted.sum()), int(true.sum())
        hits = rng.hypergeometric(present, m - present, named, size=permutations)
        arranged += (m - named - present + 2 * hits) / m
        observed += (m - named - present + 2 * int((predicted & true).sum())) / m
    return observed / len(held_out), arranged / len(held_out)
