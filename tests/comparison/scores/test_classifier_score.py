"""Classifier score: one where nothing is told, the number of classes at best, formulas between."""

import math

import pytest
import torch

from lfi.comparison.scores.classifier_score import classifier_score


def probabilities(p):
    """A classifier that says row i of p of the point i."""
    return lambda x: p[x[:, 0].long()].log()


def test_a_sure_classifier_of_even_classes_scores_their_number():
    sure = lambda x: 1000 * torch.nn.functional.one_hot(x[:, 0].long() % 4, 4).double()
    score = classifier_score(torch.arange(40.0)[:, None], sure)
    assert score.statistic == pytest.approx(4.0)
    assert score.standard_error == pytest.approx(0.0, abs=1e-9)
    torch.testing.assert_close(score.shares, torch.full((4,), 0.25))


def test_it_is_one_where_the_classifier_says_the_same_of_all():
    same = torch.tensor([[0.2, 0.3, 0.5]]).expand(20, 3)
    assert classifier_score(torch.arange(20.0)[:, None], probabilities(same)).statistic == 1.0


def test_classes_that_are_missing_cost_their_share():
    sure = lambda x: 1000 * torch.nn.functional.one_hot(x[:, 0].long() % 2, 10).double()
    score = classifier_score(torch.arange(40.0)[:, None], sure, splits=1)
    assert score.statistic == pytest.approx(2.0)
    assert math.isnan(score.standard_error)


def test_it_is_the_formula_in_batches_too():
    p = torch.rand(30, 5).softmax(1)
    mean = p.mean(0)
    expected = (p * (p / mean).log()).sum(1).mean().exp()
    x = torch.arange(30.0)[:, None]
    score = classifier_score(x, probabilities(p), splits=1, batch_size=7)
    assert score.statistic == pytest.approx(expected.item(), rel=1e-12)


def test_splits_are_scored_apart():
    p = torch.rand(21, 3).softmax(1)
    x = torch.arange(21.0)[:, None]
    alone = [
        classifier_score(part, probabilities(p), splits=1).statistic for part in x[:20].split(10)
    ]
    score = classifier_score(x, probabilities(p), splits=2)
    assert score.statistic == pytest.approx(sum(alone) / 2)
    assert score.standard_error == pytest.approx(abs(alone[0] - alone[1]) / 2)


def test_mistakes_are_named():
    x = torch.zeros(5, 1)
    with pytest.raises(ValueError, match="splits must lie between 1 and the 5 points, got 6"):
        classifier_score(x, lambda x: x, splits=6)
    with pytest.raises(ValueError, match="classifier must return finite logits"):
        classifier_score(x, lambda x: x[:, 0], splits=1)
    with pytest.raises(ValueError, match="not all finite"):
        classifier_score(x, lambda x: x * torch.nan, splits=1)
