"""The coordinates of batched HMC."""

import torch

from lfi.inference.samplers.metric import metric_factor


def covariances(d, condition):
    """Two covariances whose standard deviations range over a condition, in random directions."""
    axes = torch.linalg.qr(torch.randn(2, d, d, dtype=torch.float64)).Q
    sds = torch.logspace(0, -torch.tensor(condition).log10().item(), d, dtype=torch.float64)
    return axes * sds.square() @ axes.mT


def gradients(covariance, u):
    """Of the log density of N(3, covariance) at points."""
    return -torch.linalg.solve(covariance, (u - 3.0).mT).mT


def test_the_covariance_of_a_gaussian_is_known_from_points_far_away():
    """Gradients are linear, so that two points for each dimension tell it but for rounding."""
    covariance = covariances(30, 1e2)
    u = 100 + torch.randn(2, 60, 30, dtype=torch.float64)
    factor = metric_factor(u, gradients(covariance, u))
    root = torch.linalg.cholesky(covariance)
    white = torch.linalg.solve_triangular(root, factor, upper=False)
    # the gradients' covariance, of a condition of 1e8 here, leaves eight of sixteen digits
    assert (white @ white.mT - torch.eye(30)).abs().max() < 1e-4


def test_points_fewer_than_dimensions_tell_how_wide_each_is():
    sds = torch.logspace(-3, 3, 200, dtype=torch.float64)
    u = torch.randn(1, 20, 200, dtype=torch.float64) * sds
    factor = metric_factor(u, -u / sds.square())
    wide = (factor @ factor.mT).diagonal(dim1=1, dim2=2).sqrt()
    # each coordinate's own scale is exact, and correlations of 20 points by chance count little
    assert (wide / sds).log().abs().max() < 0.1


def test_points_without_slopes_tell_how_wide_each_is():
    u = torch.randn(1, 50, 2) * torch.tensor([1.0, 10.0])
    factor = metric_factor(u, torch.zeros_like(u))
    wide = (factor @ factor.mT).diagonal(dim1=1, dim2=2).sqrt()
    # correlations of 0.14 by chance, of which the squares of halves are lost
    torch.testing.assert_close(wide[0], u[0].std(0), rtol=0.05, atol=0)
