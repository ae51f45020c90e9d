"""Trials and given parameters: posteriors derived from one, against closed forms."""

import math

import pytest
import torch
from support.conjugate import ExactCritic, prior
from torch.distributions import MultivariateNormal, Normal

from lfi.comparison import Recovers
from lfi.inference import RatioPosterior
from lfi.simulation import as_prior

X_OBS = torch.tensor([0.8, -0.5])


def exact(own=prior):
    return RatioPosterior(ExactCritic(), as_prior(own), Recovers.RATIO, (2,))


def assert_gaussian(draws, mean, variance):
    n = draws.ess
    assert ((draws.theta.mean(0) - mean).abs() / variance**0.5).max() < 5 / math.sqrt(n)
    assert (draws.theta.var(0) / variance - 1).abs().max() < 5 * math.sqrt(2 / n)


def test_trials_narrow_the_posterior_as_the_conjugate_model_says():
    x = torch.stack([X_OBS, -X_OBS, 2 * X_OBS, X_OBS + 1])
    draws = exact().trials().draw(3_000, x, seed=1)
    assert_gaussian(draws, x.double().sum(0) / 5, 1 / 5)  # N(0, 1) prior and 4 unit errors


def test_many_observations_of_trials_are_sampled_at_once():
    x = torch.stack([X_OBS, -X_OBS, 2 * X_OBS, X_OBS + 1]).reshape(2, 2, 2)
    drawn = exact().trials().draw(2_000, x, seed=1)
    for draws, own in zip(drawn, x.double(), strict=True):
        assert_gaussian(draws, own.sum(0) / 3, 1 / 3)


def test_one_trial_is_the_posterior_itself():
    theta = torch.randn(10, 2)
    torch.testing.assert_close(
        exact().trials().log_prob(theta, X_OBS[None]), exact().log_prob(theta, X_OBS)
    )


@pytest.mark.parametrize("shape", [(2,), (3,), (4, 3), (0, 2), (2, 2, 2, 2)])
def test_trials_of_the_wrong_shape_are_named(shape):
    with pytest.raises(ValueError, match="x_obs has shape"):
        exact().trials().sample(10, torch.zeros(shape))


def test_given_parameters_leave_the_conditional_of_the_others():
    given = exact().condition({"a": 0.3})
    assert given.names == ("b",)
    assert given.prior.dim == 1
    draws = given.draw(3_000, X_OBS, seed=1)
    assert_gaussian(draws, X_OBS[1].double() / 2, 1 / 2)
    # up to the constant p(a | x), the density is the joint one
    b = torch.randn(6, 1)
    both = torch.cat([torch.full((6, 1), 0.3), b], 1)
    gap = given.log_prob(b, X_OBS) - exact().log_prob(both, X_OBS)
    torch.testing.assert_close(gap, gap.mean().expand(6), atol=1e-5, rtol=0)


def test_trials_and_given_parameters_compose():
    x = torch.stack([X_OBS, -X_OBS])
    first = exact().trials().condition({"b": 0.1}).log_prob(torch.zeros(1, 1), x)
    again = exact().condition({"b": 0.1}).trials().log_prob(torch.zeros(1, 1), x)
    torch.testing.assert_close(first, again)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"c": 1.0}, "no parameter 'c' among a, b"),
        ({"a": 1.0, "b": 1.0}, "none is left"),
        ({"a": math.inf}, "a = inf is outside"),
    ],
)
def test_values_that_cannot_be_given_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        exact().condition(values)


def test_a_joint_prior_has_no_conditional_to_draw_from():
    joint = MultivariateNormal(torch.zeros(2), torch.eye(2) + 0.5)
    with pytest.raises(ValueError, match="independent parameters"):
        exact(joint).condition({"theta_0": 0.0})


def test_a_truncated_prior_stays_truncated():
    cut = as_prior({"a": Normal(0.0, 1.0), "b": Normal(0.0, 1.0)}).truncate([0, 0], [1, 2])
    draws = exact(cut).condition({"a": 0.5}).draw(500, X_OBS, seed=1)
    assert ((draws.theta > 0) & (draws.theta < 2)).all()
    with pytest.raises(ValueError, match=r"a = 1.5 is outside the prior's support, \(0, 1\)"):
        exact(cut).condition({"a": 1.5})
