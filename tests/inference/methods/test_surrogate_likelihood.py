"""Neural likelihood estimation against posteriors in closed form, of real numbers and of counts."""

import pytest
import torch
from support.conjugate import model, posterior
from torch.distributions import Binomial, Gamma, Poisson

import lfi

X_OBS = torch.tensor([0.8, -0.5])
QUICK = lfi.SurrogateLikelihood(
    proposal=None, gaussian_steps=10, settings=lfi.TrainSettings(steps=5), width=8
)


@pytest.mark.slow
def test_a_trained_likelihood_is_the_conjugate_posterior():
    method = lfi.SurrogateLikelihood(
        proposal=None, gaussian_steps=500, settings=lfi.TrainSettings(steps=300)
    )
    fitted = lfi.fit_posterior(lfi.simulate(model(), 10_000, seed=1), method=method, seed=1)
    x = torch.stack([torch.zeros(2), X_OBS, torch.tensor([-1.5, 1.0])])
    for theta, x_obs in zip(fitted.sample(10_000, x, seed=2), x, strict=True):
        truth = posterior(x_obs.double())
        # five errors of a regression on 9,000 rows (1/95) and of 10,000 draws (1/100)
        assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 0.1
        assert (theta.std(0) / truth.stddev - 1).abs().max() < 0.1


def distance(fitted, grid, x, exact):
    """Total variation between a fitted posterior and an exact one, on a grid."""
    ours = fitted.log_prob(grid[:, None], torch.tensor([x])).softmax(0)
    return float((ours - exact.softmax(0)).abs().sum() / 2)


@pytest.mark.slow
def test_counts_give_the_exact_poisson_posterior():
    """theta ~ Gamma(2, 1/2), x ~ Poisson(theta): theta given x is Gamma(2 + x, 3/2)."""
    prior = Gamma(torch.tensor(2.0), torch.tensor(0.5))
    simulator = lfi.Simulator(
        lambda theta, rng: torch.from_numpy(rng.poisson(theta.numpy())).to(theta),
        prior={"rate": prior},
    )
    method = lfi.SurrogateLikelihood(
        proposal=None, gaussian_steps=1_000, settings=lfi.TrainSettings(steps=800), width=64
    )
    fitted = lfi.fit_posterior(lfi.simulate(simulator, 10_000, seed=1), method=method, seed=1)
    grid = torch.linspace(0.01, 30, 3_000)
    for x in (0.0, 1.0, 4.0, 9.0):
        exact = prior.log_prob(grid) + Poisson(grid).log_prob(torch.tensor(x))
        torch.testing.assert_close(
            exact.softmax(0), Gamma(2 + x, 1.5).log_prob(grid).softmax(0), atol=1e-5, rtol=1e-3
        )
        assert distance(fitted, grid, x, exact) < 0.05


def test_shares_of_few_give_the_exact_binomial_posterior():
    """Whole numbers from 0 to 3 are as discrete as data get."""
    prior = torch.distributions.Uniform(torch.tensor(0.0), torch.tensor(1.0))
    simulator = lfi.Simulator(
        lambda theta, rng: torch.from_numpy(rng.binomial(3, theta.numpy())).to(theta),
        prior={"share": prior},
    )
    method = lfi.SurrogateLikelihood(proposal=None, settings=lfi.TrainSettings(steps=300), width=32)
    fitted = lfi.fit_posterior(lfi.simulate(simulator, 10_000, seed=1), method=method, seed=1)
    grid = torch.linspace(0.001, 0.999, 999)
    for x in range(4):
        exact = Binomial(3, grid).log_prob(torch.tensor(float(x)))
        # of 9,000 simulations some 2,000 have each x: three errors of a share of them, and the
        # logits of a share, which a regression and a network have to bend, as much again
        assert distance(fitted, grid, float(x), exact) < 0.06


def test_a_fit_repeats_itself_and_records_its_seed():
    simulations = lfi.simulate(model(), 300, seed=1)
    first, again, other = (QUICK.fit(simulations, seed=seed) for seed in (3, 3, 4))
    theta = torch.randn(10, 2)
    assert torch.equal(first.log_prob(theta, X_OBS), again.log_prob(theta, X_OBS))
    assert not torch.equal(first.log_prob(theta, X_OBS), other.log_prob(theta, X_OBS))
    assert {history.seed for history in first.history} == {3}


def test_the_global_state_is_left_as_it_was():
    before = torch.get_rng_state()
    QUICK.fit(lfi.simulate(model(), 300, seed=1), seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_x_of_any_shape_is_taken():
    def images(theta, rng: torch.Generator):
        return theta[:, :1, None] + torch.randn(len(theta), 2, 3, generator=rng)

    simulator = lfi.Simulator(images, prior=model().prior)
    fitted = QUICK.fit(lfi.simulate(simulator, 200, seed=1), seed=1)
    theta = fitted.sample(5, torch.zeros(2, 3), seed=1)
    assert theta.shape == (5, 2)
    assert fitted.simulate(theta, torch.Generator()).shape == (5, 2, 3)


SHORT = lfi.SurrogateLikelihood(
    proposal=None, gaussian_steps=300, settings=lfi.TrainSettings(steps=300), width=32
)


def noisy(theta, rng: torch.Generator):
    """Twelve independent draws of a Laplace law around theta."""
    x = torch.rand(len(theta), 12, generator=rng, dtype=theta.dtype) - 0.5
    return theta[:, :1] - x.sign() * torch.log1p(-2 * x.abs())


def shared(theta, rng: torch.Generator):
    """Twelve draws around theta and an error that they have in common."""
    x = torch.randn(len(theta), 13, generator=rng, dtype=theta.dtype)
    return theta[:, :1] + x[:, :12] + x[:, 12:]


def lacking(simulate, log_likelihood):
    """Fit to 1,000 simulations; return the posterior, and its mean lack of log p(x | theta)."""
    simulator = lfi.Simulator(simulate, prior=model().prior)
    fitted = SHORT.fit(lfi.simulate(simulator, 1_000, seed=1), seed=1)
    new = lfi.simulate(simulator, 1_000, seed=2)
    exact = log_likelihood(new.x - new.theta[:, :1])
    return fitted, float((exact - fitted.log_ratio(new.theta, new.x)).mean())


def test_trials_are_learnt_from_all_of_them():
    law = torch.distributions.Laplace(torch.tensor(0.0), torch.tensor(1.0))
    fitted, lack = lacking(noisy, lambda e: law.log_prob(e).sum(1))
    assert fitted.network.trials == 12
    assert fitted.history[0].stopped.startswith("12 trials; kept: linear")
    # a Gaussian of the same moments lacks log(4 pi e) / 2 - log(2 e) = .072 of each of the twelve
    assert 0 < lack < 12 * 0.072 / 2


def test_trials_that_depend_on_each_other_are_fitted_as_a_whole():
    covariance = torch.eye(12) + 1
    law = torch.distributions.MultivariateNormal(torch.zeros(12), covariance)
    fitted, lack = lacking(shared, law.log_prob)
    assert fitted.network.trials == 1
    # independent ones lack half of the log of prod(variances) / det = 2^12 / 13: 2.9
    assert 0 < lack < 2.9 / 2


def logit(theta):
    """Log odds of eight answers to two parameters: (n, 2) to (n, 8)."""
    return theta[:, :1] + theta[:, 1:] * torch.linspace(-1.5, 1.5, 8)


def answers(theta, rng: torch.Generator):
    """Eight answers, yes or no."""
    p = logit(theta).sigmoid()
    return (torch.rand(p.shape, generator=rng, dtype=p.dtype) < p).to(theta)


def test_yes_and_no_are_a_logistic_regression():
    simulator = lfi.Simulator(answers, prior=model().prior)
    fitted = SHORT.fit(lfi.simulate(simulator, 2_000, seed=1), seed=1)
    assert fitted.network.spec["levels"] == 2
    assert fitted.history[0].stopped.startswith("kept: linear, logistic")
    new = lfi.simulate(simulator, 2_000, seed=2)
    exact = (new.x * logit(new.theta) - torch.nn.functional.softplus(logit(new.theta))).sum(1)
    lack = float((exact - fitted.log_ratio(new.theta, new.x)).mean())
    # 24 coefficients from 1,800 simulations lack 24 / 3,600 = .0067 in the mean, +- .002
    assert 0 < lack < 0.015


def test_answers_that_depend_on_each_other_are_not_taken_to_be_independent():
    def copied(theta, rng: torch.Generator):
        return answers(theta, rng)[:, :4].repeat_interleave(2, dim=1)

    simulations = lfi.simulate(lfi.Simulator(copied, prior=model().prior), 1_000, seed=1)
    fitted = SHORT.fit(simulations, seed=1)
    assert "levels" not in fitted.network.spec


def test_trials_of_yes_and_no_have_a_categorical_law():
    def coins(theta, rng: torch.Generator):
        p = theta[:, :1].sigmoid().expand(-1, 12)
        return (torch.rand(p.shape, generator=rng, dtype=p.dtype) < p).to(theta)

    simulations = lfi.simulate(lfi.Simulator(coins, prior=model().prior), 1_000, seed=1)
    fitted = SHORT.fit(simulations, seed=1)
    assert fitted.network.trials == 12 and fitted.network.spec["levels"] == 2
    odds = fitted.log_likelihood(simulations.theta, torch.ones(12))
    odds = (odds - fitted.log_likelihood(simulations.theta, torch.zeros(12))) / 12
    # two coefficients from 10,800 tosses: five errors of 2 / 10,800^.5 each at a distance of one
    error = (odds - simulations.theta[:, 0]).square().mean().sqrt()
    assert error < 5 * 2 / 10_800**0.5


@pytest.mark.slow
def test_failed_simulations_are_corrected_for():
    """x = theta + N(0, 1), lost with probability Phi(2 a): p(a | x) has the factor Phi(-2 a)."""
    normal = torch.distributions.Normal(0.0, 1.0)

    def sometimes(theta, rng: torch.Generator):
        x = theta + torch.randn(theta.shape, generator=rng, dtype=theta.dtype)
        lost = torch.rand(len(theta), generator=rng) < normal.cdf(2 * theta[:, 0])
        return torch.where(lost[:, None], torch.nan, x)

    simulations = lfi.simulate(lfi.Simulator(sometimes, prior=model().prior), 20_000, seed=1)
    method = lfi.SurrogateLikelihood(
        proposal=None, gaussian_steps=300, settings=lfi.TrainSettings(steps=1), width=32
    )
    fitted = lfi.fit_posterior(simulations, method=method, seed=1)
    theta = fitted.sample(10_000, torch.zeros(2), seed=2)
    grid = torch.linspace(-6, 6, 2_001)
    density = torch.exp(-grid.square()) * normal.cdf(-2 * grid)
    mean = (grid * density).sum() / density.sum()  # about -0.46; 0 without the correction
    assert (theta[:, 0].mean() - mean).abs() < 0.08
    assert theta[:, 1].mean().abs() < 0.08
