"""LFIRE: a ratio for each parameter, right for a model whose ratio is known."""

import math

import pytest
import torch
from torch.distributions import Normal, Uniform

import lfi
from lfi.inference import parameter_grid

PRIOR = {"mean": Normal(0.0, 2.0)}


def noisy(theta, rng: torch.Generator):
    return theta + torch.randn(theta.shape, generator=rng, dtype=theta.dtype)


def powers(x):
    return torch.cat([x, x.square()], dim=1)


def log_ratio(theta, x):
    """log N(x; theta, 1) - log N(x; 0, 5), (m, J)."""
    evidence = Normal(0.0, 5**0.5).log_prob(x)
    return Normal(theta[:, 0], 1.0).log_prob(x) - evidence


@pytest.fixture(scope="module")
def fitted(float64_throughout):
    simulator = lfi.Simulator(noisy, prior=PRIOR)
    theta = torch.linspace(-4, 4, 21)[:, None]
    return lfi.fit_lfire(
        simulator, theta, simulations=2_000, summary=powers, seed=1, progress=False
    )


def test_log_odds_are_as_good_as_those_of_maximum_likelihood(fitted):
    theta = fitted.theta
    rng = torch.Generator().manual_seed(2)
    x_p = theta + torch.randn(21, 20_000, generator=rng)
    x_q = 5**0.5 * torch.randn(21, 20_000, generator=rng)
    loss = lambda h_p, h_q: (
        (torch.nn.functional.softplus(-h_p) + torch.nn.functional.softplus(h_q)) / 2
    )
    h_p, h_q = (
        torch.stack([fitted.log_ratios(x[j][:, None])[:, j] for j in range(21)]) for x in (x_p, x_q)
    )
    exact = tuple(
        torch.stack([log_ratio(theta[j : j + 1], x[j][:, None])[:, 0] for j in range(21)])
        for x in (x_p, x_q)
    )
    excess = (loss(h_p, h_q) - loss(*exact)).mean(dim=1)
    # of maximum likelihood with 3 coefficients and 4,000 rows it is chi-square(3) / 8,000, whose
    # 99.9% quantile is 16.3 / 8,000, and whose mean 3 / 8,000
    assert excess.max() < 16.3 / 8_000
    assert excess.mean() < 2 * 3 / 8_000


def test_the_posterior_on_a_grid_is_prior_times_ratio(fitted):
    x_obs = torch.tensor([1.0])
    weights = fitted.weights(x_obs)
    log_prior = Normal(0.0, 2.0).log_prob(fitted.theta[:, 0])
    expected = (log_prior + fitted.log_ratios(x_obs[None])[0]).softmax(dim=0)
    expected = expected.double()
    torch.testing.assert_close(weights, expected, atol=1e-6, rtol=1e-5)  # float32
    mean = (expected @ fitted.theta.double()).to(fitted.theta)
    torch.testing.assert_close(fitted.mean(x_obs), mean)
    # exact: N(4/5, 4/5). An error of e nats at each theta moves the mean by about e sds, and e is
    # (3 / 2,000)^(1/2) for 3 coefficients from 2,000 rows a class
    assert abs(fitted.mean(x_obs).item() - 0.8) < 5 * math.sqrt(3 / 2_000) * math.sqrt(0.8)


def test_it_is_a_posterior_without_a_density_that_checks_take(fitted):
    assert isinstance(fitted, lfi.inference.Posterior)
    draws = fitted.draw(50, [1.0], seed=1)
    assert draws.sampler == "lfire" and draws.theta.shape == (50, 1)
    with pytest.raises(NotImplementedError, match="no density"):
        fitted.log_prob(fitted.theta, torch.zeros(1))
    with pytest.raises(ValueError, match="give the observation"):
        fitted.sample(5)
    held_out = lfi.simulate(lfi.Simulator(noisy, prior=PRIOR), 50, seed=2, progress=False)
    assert len(lfi.check(fitted, held_out, seed=1).ranks) == 50
    assert "21 parameters (mean) by LFIRE" in repr(fitted)


def test_draws_are_parameters_by_their_weights(fitted):
    x_obs = torch.tensor([1.0])
    draws = fitted.sample(20_000, x_obs, seed=1)
    weights = fitted.weights(x_obs)
    shares = (draws == fitted.theta[:, 0]).double().mean(dim=0)
    assert ((shares - weights).abs() < 5 * (weights * (1 - weights) / 20_000).sqrt() + 1e-12).all()
    assert torch.equal(draws, fitted.sample(20_000, x_obs, seed=1))


def test_export_has_posterior_prior_and_data(fitted):
    data = fitted.to_arviz(torch.tensor([1.0]), draws=40, seed=2)
    assert data.posterior["mean"].shape == (4, 10)
    assert data.posterior.attrs["sampler"] == "lfire"


def test_simulations_are_as_many_as_it_says_and_draws_of_the_prior_weigh_the_same():
    counts = []

    def counted(theta, rng: torch.Generator):
        counts.append(len(theta))
        return noisy(theta, rng)

    simulator = lfi.Simulator(counted, prior=PRIOR)
    posterior = lfi.fit_lfire(simulator, 30, simulations=50, folds=2, penalties=4, seed=1)
    assert posterior.simulations == sum(counts) == 31 * 50
    assert posterior.failed == 0
    assert posterior.log_prior.unique().tolist() == [0.0]
    again = lfi.fit_lfire(simulator, 30, simulations=50, folds=2, penalties=4, seed=1)
    assert torch.equal(posterior.slopes, again.slopes)
    assert torch.equal(posterior.theta, again.theta)


def test_parameters_fitted_in_parts_are_fitted_alike():
    simulator = lfi.Simulator(noisy, prior=PRIOR)
    theta = torch.linspace(-2, 2, 7)[:, None]
    options = {"simulations": 40, "folds": 2, "penalties": 4, "seed": 1}
    first = lfi.fit_lfire(simulator, theta[:3], **options)
    whole = lfi.fit_lfire(simulator, theta, max_entries=3 * 80, **options)  # three at a time
    assert torch.equal(whole.slopes[:3], first.slopes)
    assert whole.slopes.shape == (7, 1)
    assert whole.intercepts.isfinite().all()


def test_useless_summaries_are_left_out():
    def simulate(theta, rng: torch.Generator):
        return torch.cat([noisy(theta, rng), torch.randn(len(theta), 9, generator=rng)], dim=1)

    simulator = lfi.Simulator(simulate, prior=PRIOR)
    posterior = lfi.fit_lfire(simulator, torch.tensor([[-3.0], [3.0]]), simulations=500, seed=1)
    assert (posterior.slopes[:, 0].sign() == torch.tensor([-1.0, 1.0])).all()
    assert (posterior.slopes[:, 1:] == 0).any()


def test_failures_are_a_factor_of_the_likelihood():
    def simulate(theta, rng: torch.Generator):
        u = torch.rand(theta.shape, generator=rng, dtype=theta.dtype)
        return torch.where(u < theta, torch.nan, torch.ones_like(theta))  # data tell nothing

    simulator = lfi.Simulator(simulate, prior={"p": Uniform(0.0, 1.0)})
    theta = torch.tensor([[0.1], [0.5], [0.999999]])
    posterior = lfi.fit_lfire(simulator, theta, simulations=1_000, seed=1)
    weights = posterior.weights(torch.ones(1))
    assert weights[2] == 0
    share = 0.9 / (0.9 + 0.5)
    # of a ratio of two binomial shares: relative variances (1 - p) / (p n) add
    error = share * (1 - share) * math.sqrt((0.1 / 0.9 + 0.5 / 0.5) / 1_000)
    assert abs(weights[0] - share) < 5 * error
    assert posterior.failed > 1_400


def test_grids_hold_every_combination():
    points = parameter_grid(torch.arange(3.0), torch.arange(4.0), torch.arange(2.0))
    assert points.shape == (24, 3)
    assert len(points.unique(dim=0)) == 24


def test_what_cannot_be_fitted_is_refused():
    simulator = lfi.Simulator(noisy, prior={"a": Uniform(0.0, 1.0)})
    with pytest.raises(ValueError, match="theta must lie in the support"):
        lfi.fit_lfire(simulator, torch.tensor([[2.0]]))
    with pytest.raises(ValueError, match="simulations must be at least"):
        lfi.fit_lfire(simulator, 5, simulations=3)
    with pytest.raises(ValueError, match="folds at least 2"):
        lfi.fit_lfire(simulator, 5, folds=1)
    broken = lfi.Simulator(lambda theta: theta * math.nan, prior=PRIOR)
    with pytest.raises(RuntimeError, match="too few"):
        lfi.fit_lfire(broken, 5)


def test_observations_of_another_shape_are_refused(fitted):
    with pytest.raises(ValueError, match="x_obs has shape"):
        fitted.weights(torch.zeros(2))
    with pytest.raises(ValueError, match="not finite"):
        fitted.weights(torch.tensor([math.nan]))
