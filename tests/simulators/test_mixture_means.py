"""A mixture's means: draws and likelihood of two normal laws, and their symmetry."""

import numpy as np
import scipy.stats
import torch

from simulators import mixture_means

THETA = (-1.0, 2.0)


def test_numbers_are_those_of_the_mixture():
    theta = torch.tensor([THETA]).expand(2_000, 2)
    x = mixture_means.simulate(theta, torch.Generator().manual_seed(1))
    law = lambda t: (scipy.stats.norm.cdf(t, THETA[0]) + scipy.stats.norm.cdf(t, THETA[1])) / 2
    # 30 tests: below 1e-5 once in 3,000
    assert min(scipy.stats.kstest(column, law).pvalue for column in x.T) > 1e-5


def test_numbers_choose_their_part_independently():
    theta = torch.tensor([[-50.0, 50.0]]).expand(5_000, 2)
    x = mixture_means.simulate(theta, torch.Generator().manual_seed(1))
    first = (x < 0).sum(dim=1).numpy()
    share = scipy.stats.binom(30, 0.5)
    counts = [np.sum(first == k) for k in range(10, 21)]
    rest = len(first) - sum(counts)
    shares = [share.pmf(k) for k in range(10, 21)]
    expected = len(first) * np.array([*shares, 1 - sum(shares)])
    assert scipy.stats.chisquare([*counts, rest], expected).pvalue > 1e-5


def test_log_likelihood_is_scipys_and_symmetric():
    theta, x = torch.tensor([THETA, (0.3, 9.0)]), 3 * torch.randn(2, 30)
    parts = [scipy.stats.norm.pdf(x, theta[:, i : i + 1]) for i in (0, 1)]
    exact = torch.from_numpy(np.log(np.mean(parts, axis=0)).sum(axis=1))
    torch.testing.assert_close(mixture_means.log_likelihood(theta, x), exact)
    torch.testing.assert_close(mixture_means.log_likelihood(theta.flip(1), x), exact)
