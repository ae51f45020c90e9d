"""The level of Lake Huron: an Ornstein-Uhlenbeck process is a Gaussian one, exp(-|t - s| / tau)."""

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import lake_huron

THETA = [(579.0, 5.0, 1.3), (575.0, 0.2, 0.4), (580.0, 500.0, 3.0)]
years = np.arange(98)


def covariance(tau, deviation):
    return deviation**2 * np.exp(-np.abs(years[:, None] - years) / tau)


@pytest.mark.parametrize("theta", THETA, ids=str)
def test_log_likelihood_is_that_of_scipys_multivariate_normal(theta):
    level, tau, deviation = theta
    law = scipy.stats.multivariate_normal(np.full(98, level), covariance(tau, deviation))
    for x in (lake_huron.x_obs.double(), level + torch.randn(98)):
        own = lake_huron.log_likelihood(torch.tensor([theta]), x)
        assert own.item() == pytest.approx(law.logpdf(x.numpy()), rel=1e-9)


@pytest.mark.parametrize("theta", THETA, ids=str)
def test_levels_whitened_by_the_covariance_are_standard_normal(theta):
    n, (level, tau, deviation) = 5_000, theta
    x = lake_huron.simulate(torch.tensor([theta]).expand(n, 3), torch.Generator().manual_seed(1))
    root = torch.linalg.cholesky(torch.from_numpy(covariance(tau, deviation)))
    z = torch.linalg.solve_triangular(root, (x - level).T, upper=False)
    # 98 tests: below 1e-6 once in 10,000; and of 4,753 pairs the largest is below 6 errors
    assert min(scipy.stats.kstest(row, "norm").pvalue for row in z) > 1e-6
    products = (z @ z.T / n).fill_diagonal_(0.0)
    assert products.abs().max() < 6 / n**0.5


def test_observation_is_of_98_years():
    assert lake_huron.x_obs.shape == (98,)
    assert lake_huron.x_obs[[0, -1]].tolist() == pytest.approx([580.38, 579.96])
    assert lake_huron.x_obs.mean() == pytest.approx(579.004, abs=1e-3)
