"""Counts on and off a source: the likelihood is SciPy's, and posteriors lie at the edges."""

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import on_off


def test_counts_are_scipys_poisson():
    n = 20_000
    x = on_off.simulate(torch.tensor([[3.0, 9.0]]).expand(n, 2), torch.Generator().manual_seed(1))
    for column, mean in zip(x.T.numpy(), (12.0, 45.0), strict=True):
        law = scipy.stats.poisson(mean)
        ends = law.ppf([0.02, 0.98])
        values, counts = np.unique(column.clip(*ends), return_counts=True)
        share = law.pmf(values)
        share[0], share[-1] = law.cdf(ends[0]), law.sf(ends[1] - 1)
        assert scipy.stats.chisquare(counts, n * share).pvalue > 1e-5
    z = (x - torch.tensor([12.0, 45.0])) / torch.tensor([12.0, 45.0]).sqrt()
    assert z.prod(dim=1).mean().abs() < 5 / n**0.5  # independent


def test_log_likelihood_is_scipys():
    theta, x = torch.tensor([[3.0, 9.0], [0.01, 19.0]]), torch.tensor([[0.0, 7.0], [30.0, 0.0]])
    mean = torch.stack([theta.sum(dim=1), 5 * theta[:, 1]], dim=1)
    exact = torch.from_numpy(scipy.stats.poisson.logpmf(x, mean).sum(axis=1))
    torch.testing.assert_close(on_off.log_likelihood(theta, x), exact)


@pytest.mark.parametrize(("number", "edge"), [(1, 0.0), (2, 20.0)])
def test_posteriors_of_the_second_and_third_are_densest_at_an_edge(number, edge):
    source = torch.linspace(0, 20, 201)[:, None].expand(201, 400)
    background = ((torch.arange(400) + 0.5) / 20).expand(201, 400)
    theta = torch.stack([source, background], dim=2).reshape(-1, 2)
    x = on_off.observations[number].double()
    density = on_off.log_likelihood(theta, x).exp().reshape(201, 400).sum(dim=1)
    assert source[density.argmax(), 0] == edge
    assert density.amax() / density.mean() > 3
