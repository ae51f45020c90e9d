"""The epidemic of sbibm: its equations, its tests of a thousand people, and their likelihood."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import sir


def precise(beta, gamma):
    """I(t) / N by an eighth-order method at a tolerance of 1e-12, in logarithms."""

    def slope(_, state):
        s, i = np.exp(state)
        return [-beta * i, beta * s - gamma]

    start = np.log([1 - 1e-6, 1e-6])
    path = scipy.integrate.solve_ivp(
        slope, (0, 153), start, method="DOP853", rtol=1e-12, atol=1e-12, t_eval=range(0, 154, 17)
    )
    return np.exp(path.y[1])


def quantiles(shares):
    """Every pair of prior quantiles, (n, 2)."""
    normal = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(shares))
    beta, gamma = (marginal.loc + marginal.scale * normal for marginal in sir.prior.values())
    return torch.cartesian_prod(beta.exp().double(), gamma.exp().double())


def test_the_prior_is_the_published_one():
    grid = torch.linspace(0.05, 3, 50)
    for marginal, median, sigma in zip(sir.prior.values(), (0.4, 0.125), (0.5, 0.2), strict=True):
        exact = scipy.stats.lognorm(sigma, scale=median).logpdf(grid)
        np.testing.assert_allclose(marginal.log_prob(grid), exact, rtol=1e-4, atol=1e-5)


def test_infected_people_solve_the_equations_over_the_prior():
    theta = quantiles([1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6])
    exact = torch.from_numpy(np.stack([precise(*row) for row in theta.tolist()]))
    # 1e-7 is what the module promises
    torch.testing.assert_close(sir.infected(theta), exact, rtol=1e-7, atol=0)


def test_without_infection_the_first_one_recovers_exponentially():
    theta = torch.tensor([[0.0, 0.05], [0.0, 0.3]])
    exact = 1e-6 * torch.exp(-theta[:, 1:] * torch.tensor(sir.days))
    torch.testing.assert_close(sir.infected(theta), exact, rtol=1e-7, atol=0)


def test_the_infected_have_the_gradient_of_their_differences():
    theta = torch.tensor([[0.4, 0.125], [0.9, 0.1]], requires_grad=True)
    assert torch.autograd.gradcheck(sir.infected, theta, fast_mode=True)


def test_counts_are_binomial():
    n, theta = 20_000, [0.4, 0.125]
    x = sir.simulate(torch.tensor([theta]).expand(n, 2), torch.Generator().manual_seed(1))
    share = precise(*theta)
    assert ((x >= 0) & (x <= 1000) & (x == x.round())).all()
    for column, p in zip(x.T.numpy(), share, strict=True):
        law = scipy.stats.binom(1000, p)
        cells = np.unique(law.ppf(np.linspace(0.05, 0.95, 19)))  # each with 5% or more
        observed = np.histogram(column, [-1, *cells + 0.5, 1001])[0]
        expected = np.diff([0, *law.cdf(cells), 1]) * n
        kept = expected >= 10  # the rest is a cell of its own
        pooled = [np.append(c[kept], c[~kept].sum() + 1e-9) for c in (observed, expected)]
        if kept.sum() > 1:
            statistic = ((pooled[0] - pooled[1]) ** 2 / pooled[1])[:-1].sum()
            assert scipy.stats.chi2(kept.sum() - 1).sf(statistic) > 1e-5
    off = np.corrcoef(x[:, 2:7].T) - np.eye(5)
    assert np.abs(off).max() < 5 / n**0.5


@pytest.mark.parametrize("one_observation", [True, False], ids=["(10,)", "(n, 10)"])
def test_log_likelihood_is_that_of_scipys_binomial(one_observation):
    theta = sir.true_parameters.double()
    x = sir.observations.double()
    x = x[3] if one_observation else x
    share = np.stack([precise(*row) for row in theta.tolist()])
    exact = torch.from_numpy(scipy.stats.binom.logpmf(x.numpy(), 1000, share).sum(axis=1))
    # counts of 1000 change by 1e-7 of log p each
    torch.testing.assert_close(sir.log_likelihood(theta, x), exact, rtol=1e-7, atol=1e-4)


def test_counts_that_cannot_be_have_no_probability():
    theta = sir.true_parameters[:1].double()
    for value in (-1.0, 0.5, 1001.0):
        x = sir.x_obs.double().clone()
        x[4] = value
        assert sir.log_likelihood(theta, x) == -math.inf


def test_log_likelihood_has_the_gradient_of_its_differences():
    theta = sir.true_parameters[:3].double().requires_grad_()
    x = sir.observations[:3].double()
    assert torch.autograd.gradcheck(lambda t: sir.log_likelihood(t, x), theta, fast_mode=True)


def test_observations_are_sums_of_coins_thrown_with_sbibms_seeds():
    # torch drew a binomial number by 1000 coins when sbibm made its observations
    seeds = [0, 1, 10, 11, 4, 5, 6, 13, 8, 9]
    for seed, theta, x in zip(seeds, sir.true_parameters, sir.observations, strict=True):
        rng = torch.Generator().manual_seed(1_000_000 + seed)
        normal = torch.randn(1, 2, generator=rng, dtype=torch.float32)
        laws = sir.prior.values()
        drawn = [(law.loc + law.scale * z).exp() for law, z in zip(laws, normal[0], strict=True)]
        torch.testing.assert_close(torch.stack(drawn), theta)
        share = sir.infected(theta[None]).float().double()
        coins = torch.bernoulli(share[..., None].expand(1, 10, 1000), generator=rng)
        assert torch.equal(coins.sum(dim=-1)[0].float(), x)
