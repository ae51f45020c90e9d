"""What a posterior warns of: what no simulation is like, seldom else, and after loading too."""

import warnings

import pytest
import torch
from support.conjugate import model

import lfi
from lfi.inference.training_reference import Misspecified, TrainingReference

QUICK = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=20), width=8, rank=4, head_layers=None)
FAR = torch.tensor([40.0, 0.0])


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(model(), 2_000, seed=1)


@pytest.fixture(scope="module")
def fitted(simulations):
    return lfi.fit_posterior(simulations, method=QUICK, seed=1)


def test_draws_of_an_observation_unlike_all_simulations_come_with_a_warning(fitted):
    with pytest.warns(Misspecified, match="the observation lies farther .* 1000 others"):
        fitted.sample(10, FAR, seed=1)
    with pytest.warns(Misspecified):
        fitted.to_arviz(FAR, draws=10, seed=1)


def test_it_is_told_among_many_observations_and_trials_and_in_a_view(fitted, simulations):
    x = torch.cat([simulations.x[:4], FAR[None].to(simulations.x), FAR[None].to(simulations.x)])
    with pytest.warns(Misspecified, match="2 of 6 observations lie"):
        fitted.sample(10, x, seed=1)
    with pytest.warns(Misspecified, match="2 of 6"):
        fitted.trials().sample(10, x, seed=1)
    with pytest.warns(Misspecified):
        fitted.condition({fitted.names[0]: 0.0}).sample(10, FAR, seed=1)


def test_what_the_simulator_makes_is_seldom_warned_of(simulations):
    """One in 1,001 at most: of 1,000, one is expected, and 5 or more come once in 270."""
    seen, others = TrainingReference.of(simulations, seed=0), lfi.simulate(model(), 1_000, seed=2).x
    told = 0
    for x in others:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            seen.warn(x[None])
        told += len(caught)
    assert told < 5


def test_many_observations_together_are_judged_at_one_rate(simulations):
    """That 5,000 hold a few of the farthest is no wonder, and no warning."""
    TrainingReference.of(simulations, seed=0).warn(lfi.simulate(model(), 5_000, seed=2).x)


def test_a_loaded_posterior_has_seen_the_same(fitted, tmp_path):
    fitted.save(tmp_path / "posterior.lfi")
    again = lfi.load(tmp_path / "posterior.lfi")
    assert torch.equal(again.training_reference.held_out, fitted.training_reference.held_out)
    with pytest.warns(Misspecified):
        again.sample(10, FAR, seed=1)


def test_few_simulations_or_huge_ones_give_no_warnings(simulations):
    assert TrainingReference.of(lfi.simulate(model(), 90, seed=1), seed=0) is None
    image = lfi.Simulator(lambda theta: theta[:, :1].repeat(1, 5_000), prior=simulations.prior)
    assert TrainingReference.of(lfi.simulate(image, 200, seed=1), seed=0) is None
