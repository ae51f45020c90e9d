"""The classifier two-sample test: alike, apart, unequal, repeatable."""

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

from lfi.comparison import C2ST, c2st

CHEAP = {"hidden": (16,), "max_iter": 30}


def normal(n, dim=2, mean=0.0, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, (n, dim))


def test_samples_of_one_distribution_cannot_be_told_apart():
    result = c2st(normal(500, seed=1), normal(500, seed=2), seed=1, **CHEAP)
    # 1000 guesses at a half: five standard errors
    assert abs(result.statistic - 0.5) < 5 * (0.25 / 1000) ** 0.5
    assert result.p_value > 1e-6


def test_samples_far_apart_are_told_apart_always():
    result = c2st(normal(200), normal(200, mean=8.0, seed=1), seed=1, hidden=(16,), max_iter=300)
    assert result.statistic == 1
    assert result.p_value < 1e-12


def test_the_best_classifier_of_two_gaussians_is_approached():
    """N(0, 1) against N(1, 1): the best accuracy is Phi(1/2)."""
    result = c2st(normal(2000, 1), normal(2000, 1, mean=1.0, seed=1), seed=1, max_iter=50)
    best = norm.cdf(0.5)
    assert abs(result.statistic - best) < 5 * (best * (1 - best) / 4000) ** 0.5
    assert result.p_value < 1e-12


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
    assert result.classifier == "network 1-10-10-1, 5 folds"


def test_p_values_of_alike_samples_are_not_too_often_small():
    p_values = [
        c2st(normal(60, seed=2 * i), normal(40, seed=2 * i + 1), seed=i, **CHEAP).p_value
        for i in range(40)
    ]
    # as many as are below 0.1 in 40 uniform draws, but for one time in two million
    assert sum(p < 0.1 for p in p_values) <= binom.isf(3e-7, 40, 0.1)
    assert 0.5 - 5 / np.sqrt(12 * 40) < np.mean(p_values) < 0.5 + 5 / np.sqrt(12 * 40)


def test_the_larger_of_unequal_samples_is_no_evidence():
    a, b = normal(200, dim=10), normal(100, dim=10, seed=1)
    result = c2st(a, b, seed=1, hidden=(16,), max_iter=200)
    assert result.chance == pytest.approx(2 / 3)
    assert result.statistic > 0.55
    assert 1e-6 < result.p_value < 1  # 1 where the larger is always named


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
    assert (of_arrays.n_a, of_arrays.n_b) == (50, 70)
    assert isinstance(of_arrays, C2ST)


def test_counts_and_columns_that_never_vary_are_taken():
    a = np.column_stack([np.arange(50), np.full(50, 7)])
    assert c2st(a, a + 1000, seed=1, hidden=(16,), max_iter=300).statistic > 0.9
    assert 0 <= c2st(np.ones((50, 1)), np.ones((50, 1)), seed=1, **CHEAP).p_value <= 1


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.zeros(10), np.zeros((10, 1)), r"a must have shape \(n, \*event\).*got \(10,\)"),
        (np.zeros((10, 2)), np.zeros((10, 3)), r"equal events, got \(2,\) and \(3,\)"),
        (np.zeros((10, 2)), np.zeros((3, 2)), "b must have a sample in each of 5 folds, got 3"),
        (np.zeros((0, 2)), np.zeros((3, 2)), r"a must have shape \(n, \*event\)"),
        (np.full((10, 2), np.nan), np.zeros((9, 2)), "a must be finite, got 10 of 10 samples"),
    ],
)
def test_what_cannot_be_compared_is_named(a, b, message):
    with pytest.raises(ValueError, match=message):
        c2st(a, b)


def test_seeds_are_whole_and_not_negative():
    a = normal(10)
    with pytest.raises(ValueError, match="non-negative"):
        c2st(a, a, seed=-1)
