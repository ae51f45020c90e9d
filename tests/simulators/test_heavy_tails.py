"""Heavy tails: draws and likelihood are those of SciPy's Student law."""

import scipy.stats
import torch

from simulators import heavy_tails


def test_numbers_are_scipys_student_law():
    theta = torch.tensor([[2.0, 0.5]]).expand(2_000, 2)
    x = heavy_tails.simulate(theta, torch.Generator().manual_seed(1))
    law = scipy.stats.t(df=2, loc=2.0, scale=0.5)
    # 12 tests and one of all: below 1e-5 once in 7,500
    assert min(scipy.stats.kstest(column, law.cdf).pvalue for column in x.T) > 1e-5
    assert scipy.stats.kstest(x.flatten(), law.cdf).pvalue > 1e-5


def test_log_likelihood_is_scipys():
    theta = torch.tensor([[2.0, 0.5], [-7.0, 3.0]])
    x = torch.linspace(-1e4, 1e3, 24).reshape(2, 12)
    exact = scipy.stats.t.logpdf(x, 2, theta[:, :1], theta[:, 1:]).sum(axis=1)
    torch.testing.assert_close(heavy_tails.log_likelihood(theta, x), torch.from_numpy(exact))
