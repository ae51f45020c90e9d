"""Fuel: a linear regression on standardised properties of 32 cars."""

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import fuel


def draws(n):
    rng = np.random.default_rng(0)
    columns = [law.rvs(n, random_state=rng) for law in fuel.prior.values()]
    return torch.from_numpy(np.stack(columns, axis=1))


def mean(theta):
    design = torch.cat([torch.ones(32, 1), fuel.properties], dim=1)
    return theta[:, :11] @ design.T


def test_properties_are_standardised_and_of_full_rank():
    assert fuel.properties.shape == (32, 10)
    torch.testing.assert_close(fuel.properties.mean(dim=0), torch.zeros(10), atol=1e-12, rtol=0)
    torch.testing.assert_close(fuel.properties.square().mean(dim=0), torch.ones(10))
    assert torch.linalg.matrix_rank(fuel.properties) == 10


def test_least_squares_finds_what_statisticians_find():
    # R's lm(mpg ~ ., mtcars): R squared 0.869, residual standard error 2.65 on 21 degrees
    design = torch.cat([torch.ones(32, 1), fuel.properties], dim=1)
    x = fuel.x_obs.double()
    squares = (x - design @ torch.linalg.lstsq(design, x[:, None]).solution[:, 0]).square().sum()
    assert (squares / 21).sqrt() == pytest.approx(2.65, abs=0.005)
    assert 1 - squares / (x - x.mean()).square().sum() == pytest.approx(0.869, abs=0.0005)


def test_miles_are_normal_around_the_line():
    theta = draws(1).expand(2_000, 12)
    x = fuel.simulate(theta, torch.Generator().manual_seed(1))
    z = (x - mean(theta)) / theta[:, 11:]
    # 32 tests: below 1e-5 once in 3,000
    assert min(scipy.stats.kstest(column, "norm").pvalue for column in z.T) > 1e-5


def test_log_likelihood_is_that_of_scipys_normal():
    theta, x = draws(5), fuel.x_obs.double()
    exact = scipy.stats.norm.logpdf(x, mean(theta), theta[:, 11:]).sum(axis=1)
    torch.testing.assert_close(fuel.log_likelihood(theta, x), torch.from_numpy(exact))
