"""The neuron: its prior, its stimulus, its spikes, and the statistics that suffice."""

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats
import torch

from simulators import bernoulli_glm, bernoulli_glm_raw

TRUE = bernoulli_glm_raw.true_parameters.double()


def convolved(theta):
    """The log odds by convolving the stimulus with the filter."""
    stimulus = bernoulli_glm_raw.stimulus.double().numpy()
    return np.stack([t[0] + np.convolve(stimulus, t[1:])[:100] for t in theta.numpy()])


def test_log_odds_are_a_convolution_of_the_stimulus():
    odds = TRUE @ bernoulli_glm_raw.design.double().T
    torch.testing.assert_close(odds, torch.from_numpy(convolved(TRUE)), rtol=1e-12, atol=1e-12)


def test_the_prior_prefers_smooth_filters():
    # the roughness of sbibm: second differences, and a weight that grows with the lag
    differences = scipy.linalg.toeplitz([1, -1, *[0] * 7], [1, *[0] * 8])
    f = differences @ differences + np.diag(np.sqrt(np.arange(9) / 9))
    exact = scipy.linalg.block_diag([[0.5]], f.T @ f)
    prior = bernoulli_glm_raw.prior
    np.testing.assert_allclose(prior.precision_matrix, exact, rtol=1e-4, atol=1e-4)  # float32
    law = scipy.stats.multivariate_normal(np.zeros(10), np.linalg.inv(exact))
    theta = bernoulli_glm_raw.true_parameters
    np.testing.assert_allclose(prior.log_prob(theta), law.logpdf(theta), rtol=1e-5)


def test_spikes_come_independently_with_their_odds():
    n = 20_000
    x = bernoulli_glm_raw.simulate(TRUE[:1].expand(n, 10), torch.Generator().manual_seed(1))
    share = torch.from_numpy(scipy.special.expit(convolved(TRUE[:1]))[0])
    assert set(x.unique().tolist()) == {0.0, 1.0}
    z = (x - share) / (share * (1 - share)).sqrt()
    # counts of at least 20,000 times the rarest share; of 100 of them the largest |z| is below 5
    assert (z.mean(dim=0).abs() < 5 / n**0.5).all()
    off = z.T @ z / n - torch.eye(100)
    off.fill_diagonal_(0)
    common = ((share > 0.01) & (share < 0.99)).nonzero().squeeze(1)  # products near normal
    assert off[common][:, common].abs().max() < 6 / n**0.5  # of 5000 pairs


def test_log_likelihood_of_spikes_is_scipys():
    x = bernoulli_glm_raw.observations.double()
    exact = scipy.stats.bernoulli.logpmf(x, scipy.special.expit(convolved(TRUE))).sum(axis=1)
    ours = bernoulli_glm_raw.log_likelihood(TRUE, x)
    torch.testing.assert_close(ours, torch.from_numpy(exact), rtol=1e-10, atol=0)


def test_likelihood_of_large_odds_is_finite():
    theta, x = 100 * TRUE, bernoulli_glm_raw.observations.double()
    assert bernoulli_glm_raw.log_likelihood(theta, x).isfinite().all()
    assert bernoulli_glm.log_likelihood(theta, bernoulli_glm.observations.double()).isfinite().all()


def test_statistics_are_sums_of_the_stimulus_before_spikes():
    y = bernoulli_glm_raw.observations.double()
    x = bernoulli_glm.observations.double()
    stimulus = bernoulli_glm_raw.stimulus.double()
    for spikes, statistics in zip(y, x, strict=True):
        at = spikes.nonzero().squeeze(1)
        sums = [sum(stimulus[t - j] for t in at if t >= j) for j in range(9)]
        # sbibm's were computed in float32 from numbers of order one
        torch.testing.assert_close(statistics[1:], torch.stack(sums), rtol=1e-5, atol=1e-5)
        assert statistics[0] == len(at)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_statistics_are_of_the_spikes_that_an_equal_seed_gives(dtype):
    theta = TRUE.to(dtype)
    y = bernoulli_glm_raw.simulate(theta, torch.Generator().manual_seed(1))
    x = bernoulli_glm.simulate(theta, torch.Generator().manual_seed(1))
    assert torch.equal(x, y @ bernoulli_glm_raw.design.to(dtype))


def test_statistics_are_sufficient():
    y = bernoulli_glm_raw.simulate(TRUE, torch.Generator().manual_seed(1))
    x = y @ bernoulli_glm_raw.design.double()
    for theta in (TRUE, TRUE.flip(0)):
        torch.testing.assert_close(
            bernoulli_glm.log_likelihood(theta, x), bernoulli_glm_raw.log_likelihood(theta, y)
        )


def test_distinct_trains_of_spikes_have_distinct_statistics():
    y = bernoulli_glm_raw.simulate(0 * TRUE[:1].expand(2**15, 10), torch.Generator().manual_seed(1))
    near = torch.cat([y[:1].expand(100, 100) + (1 - 2 * y[0]) * torch.eye(100), y])
    x = near @ bernoulli_glm_raw.design.double()
    assert len(near.unique(dim=0)) == len(x.unique(dim=0)) == len(near)
    gaps = x[:, 1].sort().values.diff()
    assert (gaps > 1e-12).float().mean() > 0.99  # told apart by one statistic, not by rounding


def test_log_likelihoods_have_the_gradients_of_their_differences():
    theta = TRUE[:3].clone().requires_grad_()
    for module in (bernoulli_glm, bernoulli_glm_raw):
        x = module.observations[:3].double()
        ours = lambda t, module=module, x=x: module.log_likelihood(t, x)
        assert torch.autograd.gradcheck(ours, theta)
