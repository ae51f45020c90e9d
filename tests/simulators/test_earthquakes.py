"""Major earthquakes: the counts' recursion, their moments, the likelihood and the data."""

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import earthquakes

THETA = [19.0, 0.8, 0.5]


def test_log_likelihood_is_that_of_a_loop_with_scipys_poisson():
    for level, memory, news in (THETA, (10.0, 0.99, 0.01), (30.0, 0.0, 0.5)):
        mean, total = level, 0.0
        a, b = memory * news, memory * (1 - news)  # as the literature has it
        for count in earthquakes.x_obs.tolist():
            total += scipy.stats.poisson.logpmf(count, mean)
            mean = level * (1 - a - b) + a * count + b * mean
        theta = torch.tensor([[level, memory, news]])
        own = earthquakes.log_likelihood(theta, earthquakes.x_obs.double())
        assert own.item() == pytest.approx(total, rel=1e-12)


def test_counts_have_the_moments_of_the_recursion():
    # E m_t = level, Var m_(t+1) = (a + b)^2 Var m_t + a^2 level, Var x_t = Var m_t + level
    n, (level, memory, news) = 20_000, THETA
    theta = torch.tensor([THETA]).expand(n, 3)
    x = earthquakes.simulate(theta, torch.Generator().manual_seed(1))
    variance, of_mean = [], 0.0
    for _ in range(107):
        variance.append(of_mean + level)
        of_mean = memory**2 * of_mean + (memory * news) ** 2 * level
    centred = x - level
    for own, exact in ((centred, 0.0), (centred.square(), torch.tensor(variance))):
        assert ((own.mean(dim=0) - exact).abs() < 5 * own.std(dim=0) / n**0.5).all()


def test_counts_without_memory_are_independent_poisson():
    theta = torch.tensor([[12.0, 0.0, 0.3]]).expand(200, 3)
    x = earthquakes.simulate(theta, torch.Generator().manual_seed(1))
    values, counts = np.unique(x.numpy().clip(4, 22), return_counts=True)
    share = scipy.stats.poisson(12.0).pmf(values)
    share[0], share[-1] = scipy.stats.poisson.cdf(4, 12.0), scipy.stats.poisson.sf(21, 12.0)
    assert scipy.stats.chisquare(counts, share * x.numel()).pvalue > 1e-5


def test_observation_is_of_107_years():
    assert earthquakes.x_obs.shape == (107,)
    assert earthquakes.x_obs[[0, 1, 43, 106]].tolist() == [13, 14, 41, 11]
    assert earthquakes.x_obs.mean() == pytest.approx(19.36, abs=0.005)  # Zucchini & MacDonald
