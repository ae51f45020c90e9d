"""Scores by rank, against order statistics and against leaving rows out one by one."""

import torch
from torch.distributions import Normal

from lfi.diagnostics.scores import normal_scores, predict_left_out, scores_among


def test_normal_scores_of_distinct_values_are_quantiles_in_their_order():
    x = torch.randn(100, 3).exp()
    expected = Normal(0.0, 1.0).icdf((torch.arange(100) + 0.5) / 100)
    scores = normal_scores(x)
    torch.testing.assert_close(scores.sort(dim=0).values, expected[:, None].expand(100, 3))
    assert torch.equal(scores.argsort(dim=0), x.argsort(dim=0))


def test_tied_values_share_a_score():
    torch.testing.assert_close(normal_scores(torch.full((5, 2), 3.0)), torch.zeros(5, 2))


def test_scores_among_a_sample_of_a_distribution_are_its_normal_scores():
    levels = (torch.arange(5000) + 0.5) / 5000  # quantiles: a sample without noise
    reference = torch.distributions.Exponential(2.0).icdf(levels)[:, None]
    x = torch.tensor([0.01, 0.3, 1.0, 2.0])[:, None]
    expected = Normal(0.0, 1.0).icdf(1 - torch.exp(-2 * x))
    torch.testing.assert_close(scores_among(x, reference), expected, atol=1e-3, rtol=0)


def test_scores_among_a_sample_are_finite_beyond_it_and_keep_leading_dimensions():
    scores = scores_among(torch.tensor([[[-1e30]], [[1e30]]]), torch.randn(50, 1))
    assert scores.shape == (2, 1, 1)
    assert scores.isfinite().all() and scores[0] == -scores[1]


def test_left_out_predictions_are_those_of_a_regression_on_the_other_rows():
    n = 30
    x, y = torch.randn(n, 2), torch.randn(n, 3)
    z = normal_scores(x)
    features = torch.cat([z, z.square() - 1], dim=1)
    penalty = 4 * torch.eye(4)
    for i in range(n):
        others = torch.arange(n) != i
        a, b = features[others], y[others]
        expected = features[i] @ torch.linalg.solve(a.T @ a + penalty, a.T @ b)
        torch.testing.assert_close(predict_left_out(x, y)[i], expected)


def test_data_of_more_entries_than_rows_can_be_regressed_on():
    y = torch.randn(20, 1)
    assert predict_left_out(torch.cat([y, torch.randn(20, 100)], dim=1), y).isfinite().all()
