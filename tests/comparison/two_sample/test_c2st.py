"""The classifier two-sample test: alike, apart, unequal, repeatable."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from lfi.comparison import C2ST, c2st
from lfi.comparison.two_sample.c2st import _accuracies
from lfi.numerics.classifiers import seeded_copy

CHEAP = {"classifier": MLPClassifier((16,), max_iter=30)}
LINEAR = {"classifier": LogisticRegression()}


def normal(n, dim=2, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, (n, dim))


def test_samples_of_one_distribution_cannot_be_told_apart():
    result = c2st(normal(500, seed=1), normal(500, seed=2), seed=1, **CHEAP)
    # 1000 guesses at a half: five standard errors
    assert abs(result.statistic - 0.5) < 5 * (0.25 / 1000) ** 0.5
    assert result.p_value > 1e-3


def test_samples_far_apart_are_told_apart_always():
    result = c2st(normal(200), normal(200, mean=8.0, seed=1), seed=1, **LINEAR)
    assert result.statistic == 1
    assert result.p_value == 1e-4


def test_the_best_classifier_of_two_gaussians_is_approached():
    """N(0, 1) against N(1, 1): the best accuracy is Phi(1/2)."""
    network = MLPClassifier((10, 10), max_iter=50)
    result = c2st(normal(2000, 1), normal(2000, 1, mean=1.0, seed=1), classifier=network, seed=1)
    best = norm.cdf(0.5)
    assert abs(result.statistic - best) < 5 * (best * (1 - best) / 4000) ** 0.5
    assert result.p_value == 1e-4


def test_the_default_is_the_benchmarks():
    """The accuracy of sbibm's lines, run as they stand there, on the same folds."""
    a, b = normal(30, 1), normal(30, 1, mean=1.0, seed=1)
    seed = int(np.random.SeedSequence(5).generate_state(1)[0])
    data = (np.concatenate([a, b]) - a.mean(0)) / a.std(0, ddof=1)
    target = np.concatenate([np.zeros(30), np.ones(30)])
    network = MLPClassifier(
        activation="relu",
        hidden_layer_sizes=(10, 10),
        max_iter=10_000,
        solver="adam",
        random_state=seed,
    )
    shuffle = KFold(n_splits=5, shuffle=True, random_state=seed)
    expected = cross_val_score(network, data, target, cv=shuffle, scoring="accuracy").mean()
    result = c2st(a, b, seed=5)
    assert result.statistic == pytest.approx(expected)
    assert result.compared == "network 1-10-10-1, 5 folds"


@pytest.mark.parametrize("n, m, folds", [(60, 40, 5), (30, 30, 2)])
def test_p_values_of_alike_samples_are_not_too_often_small(n, m, folds):
    p_values = np.array(
        [
            c2st(
                normal(n, seed=2 * i),
                normal(m, seed=2 * i + 1),
                classifier=QuadraticDiscriminantAnalysis(),
                folds=folds,
                permutations=999,
                seed=i,
            ).p_value
            for i in range(200)
        ]
    )
    # no more are below a level than of 200 uniform draws, but for one time in two million
    for level in (0.01, 0.05, 0.2):
        assert (p_values <= level).sum() <= binom.isf(3e-7, 200, level)
    # and their mean is a half, or more by half the chance of a tie, which counts against
    assert p_values.mean() > 0.5 - 5 / np.sqrt(12 * 200)


@pytest.mark.slow
def test_the_level_is_kept_over_two_thousand_repetitions():
    """Folds share training data, so that the level is not exact: here it is within sampling."""
    p_values = np.array(
        [
            c2st(
                normal(40, seed=2 * i),
                normal(40, seed=2 * i + 1),
                classifier=KNeighborsClassifier(),
                permutations=499,
                seed=i,
            ).p_value
            for i in range(2000)
        ]
    )
    assert (p_values <= 0.05).mean() < 0.05 + 5 * (0.05 * 0.95 / 2000) ** 0.5


def test_shifts_are_found():
    """80 of 100 pairs at level 0.05, where the best accuracy of all is Phi(0.4) = 0.66."""
    found = [
        c2st(normal(100, 1, seed=2 * i), normal(100, 1, 0.8, seed=2 * i + 1), seed=i, **LINEAR)
        for i in range(100)
    ]
    assert sum(result.p_value <= 0.05 for result in found) > 80


def test_the_p_value_is_that_of_arranged_labels():
    """One split, all arrangements of its labels: exact, by the hypergeometric distribution."""
    rng = np.random.default_rng(0)
    for m, present in ((12, 5), (7, 7), (9, 2)):
        true = np.arange(m) < present
        predicted = rng.random(m) < 0.5
        observed, arranged = _accuracies([(predicted, true)], 20_000, np.random.default_rng(1))
        assert observed == pytest.approx((predicted == true).mean())
        labels = np.array([rng.permutation(true) for _ in range(20_000)])
        accuracies = (labels == predicted).mean(1)
        for value in np.unique(accuracies):
            share = (accuracies >= value - 1e-9).mean()
            drawn = (arranged >= value - 1e-9).mean()
            assert abs(share - drawn) < 5 * (2 * 0.25 / 20_000) ** 0.5


def test_any_classifier_is_taken_and_named():
    a, b = normal(100), normal(80, mean=1.0, seed=1)
    forest = RandomForestClassifier(n_estimators=10)
    first, second = (c2st(a, b, classifier=forest, seed=1) for _ in range(2))
    assert first == second  # its random_state was None, and is seeded
    assert first.compared == "RandomForestClassifier(n_estimators=10), 5 folds"
    assert not hasattr(forest, "classes_")
    assert forest.random_state is None
    squares = make_pipeline(PolynomialFeatures(2), MLPClassifier((4,), max_iter=5))
    first, second = (c2st(a, b, classifier=squares, folds=3, seed=1) for _ in range(2))
    assert first == second
    assert first.compared.startswith("Pipeline(steps=[('polynomialfeatures', PolynomialFeatures()")
    assert first.compared.endswith(", 3 folds")
    given = RandomForestClassifier(random_state=3)
    assert seeded_copy(given, 7).random_state == 3
    assert seeded_copy(squares, 7).get_params()["mlpclassifier__random_state"] == 7


def test_a_classifier_that_sees_spreads_finds_them():
    a, b = normal(300), 2 * normal(300, seed=1)
    assert c2st(a, b, seed=1, **LINEAR).p_value > 0.01
    quadratic = QuadraticDiscriminantAnalysis()
    assert c2st(a, b, classifier=quadratic, seed=1).p_value == 1e-4


def test_what_is_no_classifier_is_refused():
    a = normal(20)
    for wrong in (LinearRegression(), LogisticRegression, lambda x: x):
        with pytest.raises(TypeError, match="classifier must be a classifier of scikit-learn"):
            c2st(a, a, classifier=wrong)


class Unteachable(ClassifierMixin, BaseEstimator):
    """Says that nothing was learned."""

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, x):
        return np.zeros(len(x), bool)


def test_always_saying_the_same_is_no_evidence():
    result = c2st(normal(30), normal(20, mean=9.0, seed=1), classifier=Unteachable(), seed=1)
    assert result.statistic == pytest.approx(0.6)
    assert result.p_value == 1


def test_the_larger_of_unequal_samples_is_no_evidence():
    a, b = normal(200, dim=10), normal(100, dim=10, seed=1)
    result = c2st(a, b, seed=1, classifier=MLPClassifier((16,), max_iter=200))
    assert result.chance == pytest.approx(2 / 3)
    assert result.statistic > 0.55
    assert 1e-3 < result.p_value < 1  # 1 where the larger is always named


def test_equal_seeds_give_equal_results_and_the_global_state_stays():
    a, b = normal(100), normal(100, seed=1)
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (c2st(a, b, seed=3, **CHEAP) for _ in range(2))
    assert first == second
    assert first.seed == 3
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()


def test_a_fresh_seed_is_recorded_and_repeats():
    a, b = normal(50), normal(50, seed=1)
    first = c2st(a, b, **CHEAP)
    assert c2st(a, b, seed=first.seed, **CHEAP) == first


def test_tensors_and_arrays_of_any_event_are_taken():
    a, b = normal(50, 6), normal(70, 6, seed=1)
    of_arrays = c2st(a, b, seed=1, **CHEAP)
    of_tensors = c2st(
        torch.tensor(a).reshape(50, 2, 3), torch.tensor(b).reshape(70, 2, 3), seed=1, **CHEAP
    )
    assert of_arrays == of_tensors
    assert (of_arrays.n_p, of_arrays.n_q) == (50, 70)
    assert isinstance(of_arrays, C2ST)


def test_counts_and_columns_that_never_vary_are_taken():
    a = np.column_stack([np.arange(50), np.full(50, 7)])
    assert c2st(a, a + 1000, seed=1, **LINEAR).statistic > 0.9
    assert 0 <= c2st(np.ones((50, 1)), np.ones((50, 1)), seed=1, **CHEAP).p_value <= 1


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.zeros(10), np.zeros((10, 1)), "events of one shape"),
        (np.zeros((10, 2)), np.zeros((10, 3)), "events of one shape"),
        (np.zeros((10, 2)), np.zeros((3, 2)), "q: 3 rows are too few, need at least 5"),
        (np.zeros((0, 2)), np.zeros((3, 2)), "p: 0 rows are too few"),
        (np.zeros((9, 0)), np.zeros((9, 0)), r"p has shape \(9, 0\): its events have no entries"),
        (np.full((10, 2), np.nan), np.zeros((9, 2)), "p: 10 of 10 rows are not finite"),
    ],
)
def test_what_cannot_be_compared_is_named(a, b, message):
    with pytest.raises(ValueError, match=message):
        c2st(a, b)


def test_settings_that_mean_nothing_are_refused():
    a = normal(10)
    with pytest.raises(ValueError, match="permutations must be at least 1, got 0"):
        c2st(a, a, permutations=0)
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        c2st(a, a, folds=1)


def test_seeds_are_whole_and_not_negative():
    a = normal(10)
    with pytest.raises(ValueError, match="seed must not be negative"):
        c2st(a, a, seed=-1)


def test_huge_values_are_told_apart():
    a, b = 1e201 * normal(60), normal(60)
    assert c2st(a, b, permutations=99, seed=1).p_value < 0.05
