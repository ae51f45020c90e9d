"""Growth of yeast: its equation, noise, likelihood and data."""

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import yeast

THETA = [0.53, 670.0, 10.1, 0.03]  # about the posterior means


def test_biomass_solves_the_logistic_equation():
    for r, k, n0 in ((0.53, 670.0, 10.1), (2.0, 100.0, 150.0), (0.1, 3_000.0, 1.0)):
        slope = lambda _, n, r=r, k=k: r * n * (1 - n / k)
        options = dict(method="DOP853", rtol=1e-11, atol=1e-11, t_eval=range(19))
        exact = scipy.integrate.solve_ivp(slope, (0, 18), [n0], **options).y
        own = yeast.log_biomass(torch.tensor([[r, k, n0, 1.0]])).exp()
        torch.testing.assert_close(own, torch.from_numpy(exact), rtol=1e-8, atol=0)


def test_the_logarithm_holds_in_single_precision_over_the_prior():
    rng = np.random.default_rng(0)
    theta = np.stack([law.rvs(1_000, random_state=rng) for law in yeast.prior.values()], axis=1)
    theta = torch.from_numpy(theta)
    single = yeast.log_biomass(theta.float()).double()
    torch.testing.assert_close(single, yeast.log_biomass(theta), rtol=0, atol=1e-4)


def test_measurements_are_log_normal_around_the_solution():
    n = 5_000
    theta = torch.tensor([THETA]).expand(n, 4)
    x = yeast.simulate(theta, torch.Generator().manual_seed(1))
    z = (x.log() - yeast.log_biomass(theta[:1])) / THETA[3]
    # 19 tests: below 1e-5 once in 5,000
    assert min(scipy.stats.kstest(column, "norm").pvalue for column in z.T) > 1e-5


@pytest.mark.parametrize("one_observation", [True, False], ids=["(19,)", "(n, 19)"])
def test_log_likelihood_is_that_of_scipys_log_normal(one_observation):
    theta = torch.tensor([THETA, [1.0, 500.0, 20.0, 0.3]])
    x = yeast.x_obs.double() if one_observation else yeast.x_obs.double() * torch.tensor([[1], [2]])
    scale = yeast.log_biomass(theta).exp().numpy()
    exact = scipy.stats.lognorm(s=theta[:, 3:].numpy(), scale=scale).logpdf(x.numpy()).sum(axis=1)
    torch.testing.assert_close(yeast.log_likelihood(theta, x), torch.from_numpy(exact))


def test_observation_is_carlsons():
    assert yeast.hours.tolist() == list(range(19))
    assert yeast.x_obs[[0, 9, 18]].tolist() == pytest.approx([9.6, 441.0, 661.8], rel=1e-6)
