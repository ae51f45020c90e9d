"""Ratio posteriors: an exact critic gives the exact posterior, by every sampler."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from support.conjugate import ExactCritic, model, posterior, prior
from torch import nn
from torch.distributions import Normal

import lfi
from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.networks import PairCritic
from lfi.simulation import as_prior

X_OBS = torch.tensor([0.8, -0.5], dtype=torch.float64)


def exact(sd=1.0):
    return RatioPosterior(ExactCritic(sd), as_prior(prior), Recovers.RATIO, (2,))


@pytest.mark.parametrize("sd", [1.0, 0.01])
def test_draws_have_the_posteriors_moments(sd):
    n = 4_000
    draws = exact(sd).draw(n, X_OBS, seed=1)
    truth = posterior(X_OBS, sd)
    scale = truth.stddev
    # 5 standard errors of n draws worth draws.ess
    assert ((draws.theta.mean(0) - truth.mean).abs() / scale).max() < 5 / math.sqrt(draws.ess)
    assert (draws.theta.var(0) / scale**2 - 1).abs().max() < 5 * math.sqrt(2 / draws.ess)
    assert draws.ess > 0.9 * n
    assert draws.unique > 0.95 * n


def test_draws_repeat_themselves_and_come_in_the_priors_dtype():
    first, again = (exact().draw(100, X_OBS, seed=3) for _ in range(2))
    assert torch.equal(first.theta, again.theta)
    assert first.theta.dtype == torch.float64
    assert not torch.equal(first.theta, exact().sample(100, X_OBS, seed=4))


def test_draws_without_a_seed_record_one_that_repeats_them():
    draws = exact().draw(50, X_OBS)
    assert torch.equal(draws.theta, exact().sample(50, X_OBS, seed=draws.seed))


def test_draws_come_shuffled():
    theta = exact().sample(4_000, X_OBS, seed=1)[:, 0]
    centred = theta - theta.mean()
    serial = (centred[1:] * centred[:-1]).mean() / centred.var()
    assert abs(serial) < 5 / math.sqrt(4_000)


def test_draws_never_leave_a_truncated_prior():
    truncated = as_prior(prior).truncate([0.0, -0.5], [0.2, 0.0])
    draws = RatioPosterior(ExactCritic(), truncated, Recovers.RATIO, (2,)).draw(
        2_000, X_OBS, seed=1
    )
    assert truncated.contains(draws.theta).all()


def test_log_prob_is_prior_plus_ratio_and_normalises():
    theta = torch.randn(20, 2)
    exactly = posterior(X_OBS).log_prob(theta)
    # the exact ratio is normalised already, so the estimate of its integral is 1 within
    # 5 standard errors, 1 / sqrt(ess) at the most
    torch.testing.assert_close(exact().log_prob(theta, X_OBS), exactly, atol=1e-5, rtol=0)
    normalised = exact().log_prob(theta, X_OBS, normalise=True)
    torch.testing.assert_close(normalised, exactly, atol=5 / math.sqrt(40_000), rtol=0)


def test_log_prob_is_minus_infinity_outside_the_support():
    truncated = as_prior(prior).truncate([0.0, 0.0], [1.0, 1.0])
    value = RatioPosterior(ExactCritic(), truncated, Recovers.RATIO, (2,)).log_prob(
        torch.tensor([[0.5, 2.0], [0.5, 0.5]]), X_OBS
    )
    assert value[0] == -torch.inf
    assert value[1].isfinite()


def test_one_observation_or_one_for_each_parameter():
    theta, x = torch.randn(6, 2), torch.randn(6, 2)
    ratio = exact().log_ratio(theta, x)
    assert ratio.shape == (6,)
    torch.testing.assert_close(ratio[2:3], exact().log_ratio(theta[2:3], x[2]))


def test_weighted_candidates_are_normalised_and_agree_with_the_ratio():
    x = torch.randn(5, 2)
    weighted = exact().weighted(x, 300, seed=1)
    torch.testing.assert_close(weighted.log_weights.exp().sum(1), torch.ones(5))
    ratio = exact().log_ratio(weighted.theta, x[3]).log_softmax(0)
    torch.testing.assert_close(weighted.log_weights[3], ratio, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("recovers", [Recovers.NOTHING, Recovers.SIGN])
def test_critics_that_tell_no_ratio_give_no_posterior(recovers):
    with pytest.raises(ValueError, match=recovers.name):
        RatioPosterior(ExactCritic(), as_prior(prior), recovers, (2,))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p.sample(10, torch.zeros(3)), r"\(3,\).*\(2,\)"),
        (lambda p: p.sample(10, torch.tensor([0.0, torch.nan])), "1 values that are not finite"),
        (lambda p: p.sample(0, X_OBS), "n must be at least 1"),
        (lambda p: p.log_ratio(torch.zeros(5, 3), X_OBS), r"theta .*\(5, 3\)"),
        (lambda p: p.log_ratio(torch.zeros(5, 2), torch.zeros(4, 2)), r"\(4, 2\)"),
    ],
)
def test_wrong_shapes_and_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(exact())


def test_a_saved_posterior_is_the_same_and_needs_what_it_cannot_name(tmp_path):
    fast = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=30), width=16, head_layers=1)
    fitted = lfi.fit_posterior(lfi.simulate(model(), 500, seed=1), method=fast, seed=1)
    fitted.save(tmp_path / "p.lfi")
    again = lfi.load(tmp_path / "p.lfi")
    assert torch.equal(again.sample(50, X_OBS, seed=1), fitted.sample(50, X_OBS, seed=1))
    assert again.recovers == fitted.recovers
    assert again.history == fitted.history

    exact().save(tmp_path / "own.lfi")
    with pytest.raises(ValueError, match="modules="):
        lfi.load(tmp_path / "own.lfi")
    mine = lfi.load(tmp_path / "own.lfi", modules={"critic": ExactCritic(7.0)})
    torch.testing.assert_close(mine.critic.sd, exact().critic.sd)


def test_a_prior_that_cannot_be_named_is_asked_for(tmp_path):
    class Mine(torch.distributions.Normal):
        """A distribution of the user's own."""

    own = as_prior({"a": Mine(0.0, 1.0), "b": Mine(0.0, 1.0)})
    RatioPosterior(ExactCritic(), own, Recovers.RATIO, (2,)).save(tmp_path / "p.lfi")
    with pytest.raises(ValueError, match="prior="):
        lfi.load(tmp_path / "p.lfi", modules={"critic": ExactCritic()})
    loaded = lfi.load(tmp_path / "p.lfi", prior=own, modules={"critic": ExactCritic()})
    assert loaded.names == ("a", "b")
    other = {"a": Mine(0.0, 1.0), "b": Mine(0.0, 2.0)}
    with pytest.raises(ValueError, match="another prior than Prior"):
        lfi.load(tmp_path / "p.lfi", prior=other, modules={"critic": ExactCritic()})


OTHERS = {
    "law": {"a": Normal(0.0, 1.0), "b": Normal(0.5, 1.0)},
    "names": {"a": Normal(0.0, 1.0), "c": Normal(0.0, 1.0)},
    "dimension": {"a": Normal(0.0, 1.0)},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_prior_than_the_files_is_refused(other, tmp_path):
    own = {"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}
    critic = PairCritic([-math.inf] * 2, [math.inf] * 2, (2,), width=4)
    RatioPosterior(critic, as_prior(own), Recovers.RATIO, (2,)).save(tmp_path / "p.lfi")
    assert lfi.load(tmp_path / "p.lfi", prior=own).names == ("a", "b")
    with pytest.raises(ValueError, match=r"p\.lfi: prior: it was made with another prior than"):
        lfi.load(tmp_path / "p.lfi", prior=other)


def test_embeddings_come_back_by_name_and_ones_own_are_asked_for(tmp_path):
    quick = {"settings": lfi.TrainSettings(steps=2), "width": 4}
    simulations = lfi.simulate(model(), 300, seed=1)
    own = nn.Sequential(nn.Linear(2, 3, dtype=torch.float32), nn.Tanh())
    for embedding, modules in (
        (lfi.embeddings.SeriesEmbedding((2,), size=3, width=4), None),
        (own, {"embedding": copy.deepcopy(own)}),
    ):
        fitted = lfi.NeuralRatio(embedding=embedding, **quick).fit(simulations, seed=1)
        fitted.save(tmp_path / "p.lfi")
        again = lfi.load(tmp_path / "p.lfi", modules=modules)
        assert torch.equal(
            again.log_ratio(simulations.theta, X_OBS), fitted.log_ratio(simulations.theta, X_OBS)
        )
    with pytest.raises(ValueError, match=r'modules=\{"embedding": network\}'):
        lfi.load(tmp_path / "p.lfi")
    with pytest.raises(ValueError, match="tensors do not fit"):
        lfi.load(tmp_path / "p.lfi", modules={"embedding": nn.Linear(2, 2, dtype=torch.float32)})


def test_loading_leaves_the_global_random_state_alone(tmp_path):
    critic = PairCritic([-math.inf] * 2, [math.inf] * 2, (2,), width=4, rank=2)
    RatioPosterior(critic, as_prior(prior), Recovers.RATIO, (2,)).save(tmp_path / "p.lfi")
    states = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    lfi.load(tmp_path / "p.lfi")
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])
    assert np.random.get_state()[1].tolist() == states[2]


def test_export_to_arviz_holds_draws_prior_data_and_predictions(tmp_path):
    data = exact().to_arviz(X_OBS, draws=200, simulator=model(), seed=1)
    assert set(data.groups()) == {"posterior", "prior", "posterior_predictive", "observed_data"}
    assert data.posterior["a"].shape == (4, 50)
    assert data.posterior_predictive["x"].shape == (4, 50, 2)
    assert data.posterior.attrs["sampler"] == "importance"
    data.to_netcdf(str(tmp_path / "p.nc"), engine="h5netcdf")
    predictive = torch.tensor(data.posterior_predictive["x"].values).flatten(0, 1)
    # x given x_obs is N(x_obs / 2, 1.5 I): 5 standard errors of a mean of 200
    assert (predictive.mean(0) - X_OBS / 2).abs().max() < 5 * math.sqrt(1.5 / 200)
