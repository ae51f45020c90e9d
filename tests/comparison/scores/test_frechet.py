"""Frechet distance: closed forms of Gaussians, from moments and from samples with those moments."""

import pytest
import torch

from lfi.comparison.scores.frechet import frechet_distance, frechet_of_gaussians


def exact_sample(mean, cov, n=50):
    """Points whose sample mean and covariance are these."""
    z = torch.randn(n, len(mean))
    z = z - z.mean(0)
    z = torch.linalg.solve_triangular(torch.linalg.cholesky(z.T.cov()), z.T, upper=False).T
    return mean + z @ torch.linalg.cholesky(cov).T


def covariance(d):
    a = torch.randn(d, d)
    return a @ a.T + 0.1 * torch.eye(d)


def test_commuting_covariances_have_the_textbook_distance():
    a, b = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([4.0, 4.0, 1.0])
    mean = torch.tensor([1.0, 2.0, 2.0])
    found = frechet_of_gaussians(torch.zeros(3), a.diag(), mean, b.diag())
    assert found.item() == pytest.approx(9 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2, rel=1e-12)


def test_a_sample_has_the_distance_of_its_moments():
    d = 4
    (m, c), (k, s) = ((torch.randn(d), covariance(d)) for _ in range(2))
    found = frechet_distance(exact_sample(m, c), exact_sample(k, s, 80))
    torch.testing.assert_close(found, frechet_of_gaussians(m, c, k, s), rtol=1e-8, atol=1e-10)


def test_covariances_that_do_not_commute_agree_with_the_matrix_square_root():
    c, s = covariance(3), covariance(3)
    values = torch.linalg.eigvals(c @ s)  # those of the product are real and positive
    expected = c.trace() + s.trace() - 2 * values.real.sqrt().sum()
    found = frechet_of_gaussians(torch.zeros(3), c, torch.zeros(3), s)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


def test_fewer_points_than_features_are_no_matter():
    x, y = torch.randn(5, 20), torch.randn(7, 20) + 1
    from_moments = frechet_of_gaussians(x.mean(0), x.T.cov(), y.mean(0), y.T.cov())
    # eigenvalues that are zero but for rounding are rooted: 1e-15 becomes 3e-8, 20 times
    torch.testing.assert_close(frechet_distance(x, y), from_moments, rtol=0, atol=1e-5)


def test_it_is_zero_of_a_sample_and_itself_and_symmetric():
    x, y = torch.randn(30, 3), torch.randn(20, 3)
    assert frechet_distance(x, x).abs() < 1e-12
    torch.testing.assert_close(frechet_distance(x, y), frechet_distance(y, x))


def test_many_samples_at_once_are_as_one_by_one():
    x, y = torch.randn(3, 30, 2), torch.randn(20, 2)
    expected = torch.stack([frechet_distance(sample, y) for sample in x])
    torch.testing.assert_close(frechet_distance(x, y), expected)


def test_a_gradient_moves_one_sample_to_the_other():
    x, y = torch.randn(40, 2, requires_grad=True), torch.randn(40, 2) + 3
    assert torch.autograd.gradcheck(lambda x: frechet_distance(x, y), (x,))


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="p must have at least two points"):
        frechet_distance(torch.zeros(1, 2), torch.zeros(5, 2))
    with pytest.raises(ValueError, match="vectors of one length"):
        frechet_distance(torch.zeros(5, 3), torch.zeros(5, 2))
