"""Posteriors through a likelihood: probabilities that add to one, slopes, trials, files."""

import math

import pytest
import torch
from support.conjugate import model, posterior, prior

import lfi
from lfi.inference import LikelihoodPosterior
from lfi.networks import ConditionalFlow, LikelihoodEstimator
from lfi.runtime import isolated, numpy_rng, torch_rng
from lfi.simulation import as_prior

X_OBS = torch.tensor([0.8, -0.5])
# at the linear start, which is the truth here: one step of training is left out, as it is no better
LINEAR = lfi.SurrogateLikelihood(
    gaussian_steps=1,
    settings=lfi.TrainSettings(steps=1),
    width=8,
    proposal=lfi.PosteriorFlow(gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8),
)


@pytest.fixture(scope="module")
def fitted():
    return lfi.fit_posterior(lfi.simulate(model(), 5_000, seed=1), method=LINEAR, seed=1)


def bent(x, theta, scale=0.2, seed=0, **form):
    """A surrogate that learnt the columns of x and is otherwise anything."""
    with isolated(seed):
        network = LikelihoodEstimator(
            [-math.inf] * 2, [math.inf] * 2, x.shape[1:], width=8, bins=4, **form
        )
    network.fit_from_data(theta, x.flatten(1), torch_rng(seed))
    if isinstance(network.flow, ConditionalFlow):
        network.flow.splines_active.fill_(True)
    with isolated(seed):
        for parameter in network.parameters():
            parameter.data += scale * torch.randn(parameter.shape)
    return LikelihoodPosterior(network.eval().requires_grad_(False), as_prior(prior))


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def test_the_linear_start_is_the_conjugate_posterior(fitted):
    theta, truth = fitted.sample(10_000, X_OBS, seed=2), posterior(X_OBS.double())
    # coefficients of a regression on 4,500 rows are off by 1/67 of a residual sd; five of them,
    # and of Monte Carlo errors of 1/100
    assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 5 / 100 + 5 / 67
    assert (theta.std(0) / truth.stddev - 1).abs().max() < 5 / 141 + 5 / 67


def test_the_density_normalises_on_request(fitted):
    theta = posterior(X_OBS.double()).sample((200,))
    error = fitted.log_prob(theta, X_OBS, normalise=True) - posterior(X_OBS.double()).log_prob(
        theta
    )
    assert error.abs().mean() < 0.05
    assert not fitted.normalised


def test_likelihoods_of_trials_add(fitted):
    theta, x = torch.randn(6, 2), torch.randn(3, 2)
    together = fitted.trials().target(x[None]).log_weight(theta[None])[0]
    alone = sum(fitted.log_likelihood(theta, row) for row in x)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)
    draws = fitted.trials().sample(2_000, X_OBS.expand(8, 2), seed=1)
    # variance 1 / (1 + 8), its relative Monte Carlo error 0.03, and that of the fitted scale 0.02
    assert (draws.var(0) * 9 - 1).abs().max() < 5 * (0.03**2 + 0.02**2) ** 0.5


def test_the_likelihood_is_differentiable_in_theta():
    network = bent(single(500, 3), single(500, 2)).network.double()
    fitted = LikelihoodPosterior(network, as_prior(prior))
    seen = network.encode(torch.randn(1, 3))
    theta = torch.randn(4, 2, requires_grad=True)
    value = lambda theta: network.log_density(seen.expand(4, 1, -1), network.embed(theta))
    assert torch.autograd.gradcheck(value, (theta,))
    fitted.network.float()
    fitted.log_likelihood(theta, torch.randn(3)).sum().backward()
    assert theta.grad.isfinite().all()


def test_a_density_of_positive_numbers_integrates_to_one():
    fitted = bent(single(500, 1).exp(), single(500, 2))
    logs = torch.linspace(-25, 25, 50_001)
    theta = torch.tensor([[0.3, -0.4]]).expand(len(logs), -1)
    density = fitted.log_ratio(theta, logs.exp()[:, None]).exp() * logs.exp()
    # float32 networks: each of the values is right to about 1e-6
    assert torch.trapezoid(density, logs).item() == pytest.approx(1, abs=1e-3)


def test_probabilities_of_counts_add_to_one():
    """Eight points of each interval leave an error where the density is steep."""
    x = torch.poisson(torch.full((500, 1), 4.0, dtype=torch.float32))
    fitted = bent(x, single(500, 2), scale=0.05)
    counts = torch.arange(400.0)[:, None]
    theta = torch.tensor([[0.3, -0.4]]).expand(len(counts), -1)
    assert fitted.network.columns.discrete
    assert fitted.log_ratio(theta, counts).exp().sum().item() == pytest.approx(1, abs=0.02)


def test_a_saved_categorical_likelihood_is_the_same(tmp_path):
    x, theta = (torch.rand(300, 4) * 3).floor().float(), single(300, 2)
    fitted = bent(x, theta, levels=3)
    fitted.save(tmp_path / "levels.lfi")
    loaded = lfi.load(tmp_path / "levels.lfi")
    found = fitted.log_ratio(theta, x)
    torch.testing.assert_close(loaded.log_ratio(theta, x), found)
    u = torch.rand(x.shape, dtype=torch.float32)  # nothing depends on it
    torch.testing.assert_close(fitted.network.dequantised_log_density(theta, x, u), found)
    simulated = fitted.simulate(theta, torch_rng(1))
    assert set(simulated.unique().tolist()) == {0.0, 1.0, 2.0}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("trial", [1, 2])
def test_a_likelihood_of_trials_is_the_product_of_theirs(trial, whole):
    x, theta = 2 * single(300, 3, trial), single(300, 2)
    x = x.exp().floor() if whole else x
    several = bent(x, theta, trial=trial)
    one = LikelihoodEstimator([-math.inf] * 2, [math.inf] * 2, (trial,), width=8, bins=4)
    one.load_state_dict(several.network.state_dict())
    each = LikelihoodPosterior(one.requires_grad_(False), as_prior(prior))
    assert several.x_shape == (3, trial)
    expected = sum(each.log_likelihood(theta[:9], row) for row in x[4])
    found = several.log_likelihood(theta[:9], x[4])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    again = several.log_likelihood(theta[:9], x[4].flip(0))  # in any order
    torch.testing.assert_close(again, found, rtol=1e-4, atol=1e-4)


def test_trials_are_simulated_as_their_likelihood_says():
    network = bent(single(300, 4, 2), single(300, 2), trial=2).network
    theta = single(3_000, 2)
    x = network.simulate(theta, torch_rng(1)).float()
    assert x.shape == (3_000, 4, 2)
    z, made = network.to_noise(theta, x.flatten(1), torch.zeros(3_000, 8).float())
    assert made.all()
    # standard normal again: five standard errors of means of 3,000, and of their variances
    assert z.mean(0).abs().max() < 5 / 3_000**0.5
    assert (z.var(0) - 1).abs().max() < 5 * (2 / 3_000) ** 0.5


def varying(n, entries=2, trials=3):
    """Rows of numbers and 1, then rows of zeros."""
    made = torch.arange(trials) < torch.randint(trials + 1, (n, 1))
    rows = torch.cat([single(n, trials, entries), torch.ones(n, trials, 1)], 2).float()
    return rows * made[..., None]


def test_a_likelihood_of_varying_trials_is_the_product_of_those_made_and_of_their_number():
    x, theta = varying(300), single(300, 2)
    fitted = bent(x, theta, trial=3, mark=2)
    network = fitted.network
    one = LikelihoodEstimator([-math.inf] * 2, [math.inf] * 2, (2,), width=8, bins=4)
    one.load_state_dict(network.state_dict(), strict=False)
    each = LikelihoodPosterior(one.requires_grad_(False), as_prior(prior))
    law = network.number(network.coordinates(theta[:9])).log_softmax(1)
    for number in range(4):
        row = next(row for row in x if row[:, 2].sum() == number)
        made = (each.log_likelihood(theta[:9], trial[:2]) for trial in row[:number])
        expected = sum(made, start=law[:, number])
        found = fitted.log_likelihood(theta[:9], row)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        u = torch.zeros(9, 9).float()
        flat = row.flatten().expand(9, -1).contiguous()
        again = network.dequantised_log_density(theta[:9], flat, u)
        torch.testing.assert_close(again, found, rtol=1e-4, atol=1e-4)


def test_varying_trials_are_simulated_as_their_likelihood_says(tmp_path):
    n = 3_000
    fitted = bent(varying(300), single(300, 2), trial=3, mark=2)
    theta = single(1, 2).expand(n, -1)
    x = fitted.simulate(theta, torch_rng(1)).float()
    made = x[..., 2] > 0
    assert ((x == 0).all(2) == ~made).all()
    shares = made.sum(1).bincount(minlength=4) / n
    law = fitted.network.number(fitted.network.coordinates(theta[:1])).softmax(1)[0]
    assert (shares - law).abs().max() < 5 / (4 * n) ** 0.5  # five standard errors of a half
    z, again = fitted.network.to_noise(theta, x.flatten(1), torch.zeros(n, 9).float())
    assert torch.equal(again, made)
    # five standard errors of means of a thousand numbers or more, and of their variances
    assert z[made].mean(0).abs().max() < 5 / 1_000**0.5
    assert (z[made].var(0) - 1).abs().max() < 5 * (2 / 1_000) ** 0.5
    fitted.save(tmp_path / "varying.lfi")
    loaded = lfi.load(tmp_path / "varying.lfi")
    assert torch.equal(loaded.log_ratio(theta[:5], x[:5]), fitted.log_ratio(theta[:5], x[:5]))


@pytest.mark.parametrize("mark", [-1, 2])
def test_a_mark_that_is_no_number_of_a_trial_is_refused(mark):
    with pytest.raises(ValueError, match=f"mark must be one of the 2 numbers .* got {mark}"):
        LikelihoodEstimator([0.0], [1.0], (4,), trial=2, mark=mark)


def test_a_trial_that_does_not_divide_x_is_refused():
    with pytest.raises(ValueError, match="trial must divide the 4 numbers of x, got 3"):
        LikelihoodEstimator([0.0], [1.0], (4,), trial=3)


def test_the_surrogate_simulates_what_it_finds_likely(fitted):
    theta = torch.tensor([[0.5, -1.0]]).expand(20_000, -1)
    x = fitted.simulate(theta, torch_rng(1))
    assert (x.mean(0) - theta[0]).abs().max() < 5 / 141 + 5 / 67
    assert (x.std(0) - 1).abs().max() < 5 / 200 + 5 / 67


def test_candidates_come_from_the_flow_that_is_near(fitted):
    assert fitted.target(X_OBS[None]).proposal is not None
    assert LikelihoodPosterior(fitted.network, fitted.prior).target(X_OBS[None]).proposal is None


def test_the_log_ratio_is_the_log_likelihood_row_by_row(fitted):
    theta, x = torch.randn(7, 2), torch.randn(7, 2)
    rows = fitted.log_ratio(theta, x)
    torch.testing.assert_close(
        rows, fitted.log_likelihood(theta, x).diagonal(), rtol=1e-5, atol=1e-5
    )
    weighted = fitted.weighted(x, 50, seed=1)
    expected = fitted.log_likelihood(weighted.theta, x).log_softmax(1)
    torch.testing.assert_close(weighted.log_weights, expected, rtol=1e-5, atol=1e-5)


def test_a_saved_posterior_is_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "likelihood.lfi")
    again = lfi.load(tmp_path / "likelihood.lfi")
    theta = fitted.prior.sample(20, seed=numpy_rng(0))
    assert torch.equal(again.log_prob(theta, X_OBS), fitted.log_prob(theta, X_OBS))
    assert torch.equal(again.sample(9, X_OBS, seed=1), fitted.sample(9, X_OBS, seed=1))
    assert again.history == fitted.history


def test_theta_of_another_width_is_refused(fitted):
    with pytest.raises(ValueError, match=r"theta has shape \(4, 1\)"):
        fitted.log_likelihood(torch.zeros(4, 1), X_OBS)
