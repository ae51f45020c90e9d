"""The face of posteriors: one observation or many, densities, predictions, exports, samplers."""

import math

import arviz
import pytest
import torch
from support.conjugate import ExactCritic, model, posterior, prior

import lfi
from lfi.comparison import Recovers
from lfi.inference import Draws, RatioPosterior
from lfi.simulation import as_prior

X = torch.tensor([[0.8, -0.5], [-1.0, 0.3], [2.0, 1.0]])


def exact(sd=1.0):
    return RatioPosterior(ExactCritic(sd), as_prior(prior), Recovers.RATIO, (2,))


def assert_exact(draws, x, sd=1.0):
    truth, n = posterior(x.double(), sd), draws.ess
    assert ((draws.theta.mean(0) - truth.mean).abs() / truth.stddev).max() < 5 / math.sqrt(n)
    assert (draws.theta.var(0) / truth.stddev**2 - 1).abs().max() < 5 * math.sqrt(2 / n)


@pytest.mark.parametrize(
    "sampler",
    [lfi.samplers.Automatic(), lfi.samplers.DifferentialEvolution(min_steps=20)],
    ids=["Automatic", "DifferentialEvolution"],
)
def test_many_observations_have_each_its_own_posterior_as_one_by_one(sampler):
    drawn = exact(0.2).draw(1_000, X, seed=1, sampler=sampler)
    assert len(drawn) == 3
    for draws, x in zip(drawn, X, strict=True):
        assert_exact(draws, x, 0.2)
        assert_exact(exact(0.2).draw(1_000, x, seed=2, sampler=sampler), x, 0.2)


def test_draws_of_different_observations_are_independent():
    theta = exact().sample(2_000, X[:1].expand(2, 2), seed=1)
    assert theta.shape == (2, 2_000, 2)
    together = torch.corrcoef(torch.stack([theta[0, :, 0], theta[1, :, 0]]))[0, 1]
    assert abs(together) < 5 / math.sqrt(2_000)
    assert not (theta[0, :, None, 0] == theta[1, None, :, 0]).any()  # no candidate is shared


def test_one_observation_gives_draws_and_a_batch_of_one_a_batch_of_one():
    assert isinstance(exact().draw(10, X[0], seed=1), Draws)
    assert exact().sample(10, X[0], seed=1).shape == (10, 2)
    assert exact().sample(10, X[:1], seed=1).shape == (1, 10, 2)


def test_densities_of_many_observations_are_those_of_each():
    theta = torch.randn(6, 2)
    values = exact().log_prob(theta, X, normalise=True)
    assert values.shape == (3, 6)
    for value, x in zip(values, X, strict=True):
        # an exact ratio is normalised: its integral is estimated within 5 / sqrt(40,000)
        truth = posterior(x.double()).log_prob(theta)
        torch.testing.assert_close(value, truth, atol=5 / math.sqrt(40_000), rtol=0)


def test_modes_are_the_posteriors_means():
    many = exact().mode(X, starts=2, seed=1)
    assert many.shape == (3, 2)
    # a hundredth of a posterior standard deviation
    assert (many - X / 2).abs().max() < 0.01
    assert exact().mode(X[1], starts=1, seed=1).shape == (2,)


def test_predictions_have_the_predictive_moments():
    x = exact().predictive(500, X, model(), seed=1)
    assert x.shape == (3, 500, 2)
    # x given x_obs is N(x_obs / 2, 1.5 I)
    assert (x.mean(1) - X / 2).abs().max() < 5 * math.sqrt(1.5 / 500)
    assert (x.var(1) / 1.5 - 1).abs().max() < 5 * math.sqrt(2 / 500)
    assert exact().predictive(10, X[0], model(), seed=1).shape == (10, 2)


def test_many_observations_are_a_dimension_of_the_export(tmp_path):
    data = exact().to_arviz(X, draws=100, simulator=model(), seed=1)
    assert data.posterior["a"].dims == ("chain", "draw", "observation")
    assert data.posterior["a"].shape == (4, 25, 3)
    assert data.posterior_predictive["x"].shape == (4, 25, 3, 2)
    assert data.observed_data["x"].dims[0] == "observation"
    assert data.observed_data["x"].shape == (3, 2)
    assert len(data.posterior.attrs["ess"]) == 3
    theta = exact().sample(100, X, seed=lfi.runtime.seeds.child(1, 0))
    b = torch.tensor(data.posterior["b"].values).flatten(0, 1)
    torch.testing.assert_close(b, theta[..., 1].T)
    data.to_netcdf(str(tmp_path / "many.nc"), engine="h5netcdf")


def test_draws_at_hand_are_exported_with_prior_and_data():
    """Line 13 of a first day: `to_arviz` of draws could not infer their dtype."""
    draws = exact().draw(100, X, seed=5)
    data = exact().to_arviz(X, draws=draws, simulator=model(), seed=1)
    assert data.posterior["a"].values.reshape(100, 3).T.tolist() == [d["a"].tolist() for d in draws]
    assert data.posterior_predictive["x"].shape == (4, 25, 3, 2)
    assert data.posterior.attrs["seed"] == [5, 5, 5]
    with pytest.raises(ValueError, match="draws are of 2 observations, and x_obs is 3"):
        exact().to_arviz(X, draws=draws[:2])
    with pytest.raises(ValueError, match=r"draws: 100 of b, expected as many of a, b"):
        exact().to_arviz(X[0], draws=draws[0].marginal(["b"]))


def test_exports_after_truncation_have_the_own_prior_and_the_truncated_one_by_name(tmp_path):
    narrow = as_prior(prior).truncate([0.0, -1.0], [1.0, 0.5])
    cut = RatioPosterior(ExactCritic(), narrow, Recovers.RATIO, (2,))
    data = cut.to_arviz(X[0], draws=4_000, seed=1)
    own, inside = data.prior["a"].values, data.truncated_prior["a"].values
    # a normal law of sd 1 against one cut to (0, 1): 4,000 draws know an sd to 1.1%
    assert abs(own.std() - 1) < 5 * 0.011
    assert inside.min() > 0 and inside.max() < 1 and own.min() < 0
    data.to_netcdf(str(tmp_path / "cut.nc"), engine="h5netcdf")
    again = arviz.from_netcdf(str(tmp_path / "cut.nc"), engine="h5netcdf")
    assert (again.truncated_prior["b"].values == data.truncated_prior["b"].values).all()
    assert not hasattr(exact().to_arviz(X[0], draws=10, seed=1), "truncated_prior")


def test_the_sampler_is_whatever_is_asked_for():
    draws = exact().draw(50, X[0], seed=1, sampler=lfi.samplers.SMC())
    assert draws.sampler == "smc"
    # of an exact ratio the integral is 1: five errors of some 10 stages of 1,024 particles
    assert abs(draws.log_evidence) < 5 * math.sqrt(10 / 1_024)


def test_weighted_candidates_are_those_of_the_ratio():
    weighted = exact().weighted(X, 300, seed=1)
    ratio = exact().log_ratio(weighted.theta, X[2]).log_softmax(0)
    torch.testing.assert_close(weighted.log_weights[2], ratio, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 3), (0, 2), (2, 3, 2), ()])
def test_observations_of_the_wrong_shape_are_named(shape):
    with pytest.raises(ValueError, match="x_obs has shape"):
        exact().sample(10, torch.zeros(shape))


def test_lists_and_arrays_are_taken_for_observations_and_parameters():
    posterior, x = exact(), X[0]
    draws = posterior.sample(20, x, seed=1)
    assert torch.equal(draws, posterior.sample(20, x.tolist(), seed=1))
    assert torch.equal(draws, posterior.sample(20, x.numpy(), seed=1))
    expected = posterior.log_prob(draws, x)
    torch.testing.assert_close(posterior.log_prob(draws.tolist(), x.tolist()), expected)
    ratio = posterior.log_ratio(draws, x)
    torch.testing.assert_close(posterior.log_ratio(draws.numpy(), x.numpy()), ratio)
    assert posterior.describe().startswith("RatioPosterior of a, b, given x of 2")


@pytest.mark.parametrize("recovers", [Recovers.UP_TO_CONSTANT, Recovers.UP_TO_X])
def test_evidence_of_a_ratio_that_is_not_known_is_left_out(recovers):
    known = exact()
    partly = RatioPosterior(ExactCritic(1.0), as_prior(prior), recovers, (2,))
    for left, of in ((False, known), (True, partly)):
        draws = of.draw(200, X[0], seed=1)
        assert (draws.log_evidence is None) == left
        assert ("log_evidence" in of.to_arviz(X[0], draws=50, seed=1).posterior.attrs) != left
        assert (of.trials().draw(50, X, seed=1).log_evidence is None) == left
        assert (of.condition({"a": 0.0}).draw(50, X[0], seed=1).log_evidence is None) == left
