"""Support: disjoint, equal and half-covered supports, and what coverage is on average."""

import pytest
import torch

from lfi.comparison.scores.precision_recall import expected_coverage, support_scores


def test_disjoint_supports_score_zero():
    x = torch.rand(200, 2)
    scores = support_scores(x, x + 10)
    for score in (scores.precision, scores.recall, scores.density, scores.coverage):
        assert score == 0


def test_equal_samples_score_one():
    x = torch.randn(200, 3)
    scores = support_scores(x, x.clone(), k=4)
    assert scores.precision == scores.recall == scores.coverage == 1
    # each ball holds its centre and the k neighbours that make it
    assert scores.density == pytest.approx(5 / 4)


def test_half_of_the_support_is_precise_and_recalled_by_half():
    n = 2_000
    data, half = torch.rand(n, 2), torch.rand(n, 2) * torch.tensor([0.5, 1.0])
    scores = support_scores(data, half, k=3)
    # balls along the edge, of radius about sqrt(3 / (n pi)) = 0.022, reach across it
    reach = 5 * (0.25 / n) ** 0.5 + 2 * (3 / (n * torch.pi)) ** 0.5
    assert scores.precision > 0.95  # points of the edge are in no ball now and then
    assert abs(scores.recall - 0.5) < reach
    assert abs(scores.coverage - 0.5) < reach
    back = support_scores(half, data, k=3)
    assert back.recall > 0.95
    assert abs(back.precision - 0.5) < reach


def test_coverage_and_density_of_equal_distributions_are_what_is_expected():
    repeats, n, m, k = 300, 40, 25, 3
    scores = support_scores(torch.randn(repeats, n, 2), torch.randn(repeats, m, 2), k=k)
    expected = 1 - 39 * 38 * 37 / (64 * 63 * 62)
    assert scores.expected_coverage == pytest.approx(expected, rel=1e-12)
    error = scores.coverage.std() / repeats**0.5
    assert abs(scores.coverage.mean() - expected) < 5 * error
    assert abs(scores.density.mean() - 1) < 5 * scores.density.std() / repeats**0.5


def test_many_generated_points_cover_almost_surely():
    assert expected_coverage(100, 100_000, 5) == pytest.approx(1.0, abs=1e-10)


def test_all_scores_are_those_of_brute_force():
    x, y, k = torch.randn(30, 2), 0.7 * torch.randn(20, 2) + 0.5, 3
    across = (x[:, None] - y).norm(dim=2)
    reach_x = (x[:, None] - x).norm(dim=2).sort(1).values[:, k]
    reach_y = (y[:, None] - y).norm(dim=2).sort(1).values[:, k]
    near = across <= reach_x[:, None]
    scores = support_scores(x, y, k=k)
    assert scores.precision == near.any(0).double().mean()
    assert scores.recall == (across <= reach_y).any(1).double().mean()
    torch.testing.assert_close(scores.density, near.double().sum() / (k * 20))
    assert scores.coverage == near.any(1).double().mean()


def test_rows_at_a_time_are_as_all_at_once():
    x, y = torch.randn(2, 50, 3), torch.randn(2, 40, 3)
    whole = support_scores(x, y)
    parts = support_scores(x, y, max_entries=300)
    for name in ("precision", "recall", "density", "coverage"):
        assert torch.equal(getattr(parts, name), getattr(whole, name))


def test_an_outlier_helps_recall_and_not_coverage():
    data = torch.rand(300, 2)
    outlier = torch.cat([torch.full((299, 2), 5.0) + 1e-3 * torch.rand(299, 2), data[:1] - 3])
    scores = support_scores(data, outlier)
    assert scores.recall > 0.9
    assert scores.coverage == 0


@pytest.mark.parametrize("k", [0, 5])
def test_mistakes_are_named(k):
    with pytest.raises(ValueError, match="k must be at least 1 and below both sizes, 9 and 5"):
        support_scores(torch.zeros(9, 2), torch.zeros(5, 2), k=k)
