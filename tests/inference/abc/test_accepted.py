"""ABCPosterior parameters: draws by weight, in the prior's support, and exported."""

import math
from dataclasses import replace

import pytest
import torch
from support.abc_models import EXPONENTIAL, NORMAL
from torch.distributions import Normal

import lfi
from lfi.inference.abc.accepted import ABCPosterior, PopulationSummary
from lfi.simulation import as_prior


def three(weights=(0.5, 0.5, 0.0)):
    return ABCPosterior(
        theta=torch.tensor([[1.0], [3.0], [9.0]]),
        weights=torch.tensor(weights),
        distances=torch.tensor([0.0, 0.5, 1.0]),
        tolerance=1.0,
        x=torch.tensor([[1.0], [3.0], [9.0]]),
        x_obs=torch.zeros(1),
        prior=as_prior({"a": Normal(0.0, 9.0)}),
        simulations=30,
        failed=2,
    )


def test_moments_and_worth_are_those_of_the_weights():
    accepted = three()
    assert accepted.mean.item() == 2
    assert accepted.sd.item() == 1
    assert accepted.ess == pytest.approx(2)
    assert accepted.acceptance == 0.1
    assert accepted.names == ("a",)


def test_draws_follow_the_weights_and_the_seed():
    accepted = three((0.2, 0.3, 0.5))
    draws = accepted.sample(10_000, seed=1)
    for value, share in ((1.0, 0.2), (3.0, 0.3), (9.0, 0.5)):
        error = math.sqrt(share * (1 - share) / 10_000)
        assert abs((draws == value).double().mean().item() - share) < 5 * error
    assert torch.equal(draws, accepted.sample(10_000, seed=1))
    assert not torch.equal(draws, accepted.sample(10_000, seed=2))
    with pytest.raises(ValueError, match="n must be at least 1"):
        accepted.sample(0)


def test_the_acceptance_is_that_of_the_last_population():
    history = (
        PopulationSummary(2.0, 1.0, 3.0, 3, 0, 0.1),
        PopulationSummary(1.0, 0.25, 3.0, 12, 0, 0.1),
    )
    assert replace(three(), history=history).acceptance == 0.25
    longer = (*history, PopulationSummary(0.5, 0.125, 3.0, 24, 0, 0.1))
    assert replace(three(), history=longer).acceptance == 0.125


def test_epanechnikov_weights_are_those_of_the_distances():
    class Nothing:
        def __call__(self, u, x, x_obs, weights):
            self.weights = weights
            return u

    seen = Nothing()
    adjusted = three((0.2, 0.3, 0.5)).adjust(seen)
    expected = torch.tensor([0.2, 0.3 * 0.75])  # the farthest, at the tolerance, counts nothing
    torch.testing.assert_close(adjusted.weights, expected / expected.sum())
    torch.testing.assert_close(seen.weights, adjusted.weights)
    torch.testing.assert_close(adjusted.theta, three().theta[:2])
    assert adjusted.adjusted
    with pytest.raises(ValueError, match="adjusted already"):
        adjusted.adjust(seen)


@pytest.mark.parametrize(
    ("distances", "tolerance", "kernel"),
    [
        ((0.0, 1.0, 2.0), 4.0, (1.0, 15 / 16, 3 / 4)),
        ((1.0, 2.0, 3.0), 4.0, (15 / 16, 3 / 4, 7 / 16)),
        ((-1.0, 0.0, 1.0), 1.0, (1.0, 3 / 4, 0.0)),  # from the lowest estimate
        ((-3.0, -2.0, -1.0), 1.0, (1.0, 15 / 16, 3 / 4)),
        ((0.0, 0.0, 0.0), 0.0, (1.0, 1.0, 1.0)),
        ((2.0, 2.0, 2.0), 2.0, (1.0, 1.0, 1.0)),  # all at the tolerance
    ],
)
def test_distances_count_from_zero_or_the_lowest(distances, tolerance, kernel):
    accepted = replace(
        three((0.2, 0.3, 0.5)), distances=torch.tensor(distances), tolerance=tolerance
    )
    adjusted = accepted.adjust(lambda u, x, x_obs, weights: u)
    expected = torch.tensor([0.2, 0.3, 0.5]) * torch.tensor(kernel)
    expected = expected[expected > 0] / expected.sum()
    torch.testing.assert_close(adjusted.weights, expected)


def test_adjusted_draws_stay_in_the_support_of_the_prior():
    record = lfi.simulate(EXPONENTIAL.simulator, 2_000, seed=1)
    mean = lambda x: x.mean(dim=1)
    slow = 4 * EXPONENTIAL.x_obs
    accepted = lfi.abc_rejection(
        record, slow, discrepancy=lfi.discrepancies.Moments(), quantile=0.9
    )
    adjusted = accepted.adjust(lfi.abc.LocalLinear(mean))
    assert (adjusted.theta > 0).all()
    # in the plain coordinate, the same regression would leave it
    s, theta = mean(accepted.x)[:, 0], accepted.theta[:, 0]
    slope = ((s - s.mean()) * theta).sum() / (s - s.mean()).square().sum()
    assert (theta - slope * (s - slow.mean()) < 0).any()


def test_adjustment_takes_out_what_a_wide_tolerance_lets_in():
    record = lfi.simulate(NORMAL.simulator, 4_000, seed=1)
    mean = lambda x: x.mean(dim=1)
    # The posterior of 20 trials whose mean is 1, the observed one; theta given the mean is linear
    # and homoscedastic in this model, so that the adjusted law is exact at any tolerance.
    exact = NORMAL.posterior(torch.full((1, 20, 1), 1.0))
    wide = lfi.abc_rejection(
        record, NORMAL.x_obs, discrepancy=lfi.discrepancies.Moments(), quantile=0.5
    )
    error = exact.std() / math.sqrt(wide.ess)
    assert abs(wide.mean.item() - exact.mean()) > 20 * error
    for adjustment in (lfi.abc.LocalLinear(mean), lfi.abc.Heteroscedastic(mean)):
        adjusted = wide.adjust(adjustment)
        error = exact.std() / math.sqrt(adjusted.ess)
        assert abs(adjusted.mean.item() - exact.mean()) < 5 * error
        assert abs(adjusted.sd.item() - exact.std()) < 5 * error / math.sqrt(2)


def test_it_is_the_posterior_of_its_own_observation_alone():
    accepted = three()
    assert isinstance(accepted, lfi.inference.Posterior)
    draws = accepted.draw(100, [0.0], seed=1)
    assert (draws.sampler, draws.acceptance, draws.proposals) == ("abc", 0.1, 30)
    assert torch.equal(draws.theta, accepted.sample(100, seed=1))
    with pytest.raises(ValueError, match="accepted for one observation"):
        accepted.sample(5, torch.ones(1))
    with pytest.raises(NotImplementedError, match="no density"):
        accepted.log_prob(accepted.theta)


def test_it_says_how_many_were_accepted_and_where_they_lie():
    words = three().describe()
    assert words == repr(three())
    assert "3 parameters accepted, 30 simulations (2 failed)" in words
    assert "a  2 +- 1" in words
    assert "<th>parameter</th>" in three()._repr_html_()


def test_export_has_posterior_prior_and_data():
    record = lfi.simulate(NORMAL.simulator, 500, seed=1)
    accepted = lfi.abc_rejection(
        record, NORMAL.x_obs, discrepancy=lfi.discrepancies.Energy(), number=50
    )
    data = accepted.to_arviz(draws=40, simulator=NORMAL.simulator, seed=2)
    assert data.posterior["mean"].shape == (4, 10)
    assert data.prior["mean"].shape == (4, 10)
    assert data.posterior_predictive["x"].shape == (4, 10, 20, 1)
    assert data.observed_data["x"].shape == (30, 1)
    assert data.posterior.attrs["sampler"] == "abc"
    again = accepted.to_arviz(draws=40, seed=2)
    assert (again.posterior["mean"].values == data.posterior["mean"].values).all()
    assert not hasattr(again, "posterior_predictive")
