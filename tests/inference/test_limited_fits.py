"""Fits in limited time: how long they take, what they say, and that they can be repeated."""

from dataclasses import replace

import pytest
import torch
from support.conjugate import model
from support.step_clock import StepClock

import lfi
from lfi.training import StageSteps

X_OBS = torch.tensor([0.8, -0.5])
SMALL = {"width": 8, "layers": 1}
FLOW = lfi.PosteriorFlow(
    gaussian_steps=20, settings=lfi.TrainSettings(steps=10), couplings=1, **SMALL
)
LIKELIHOOD = lfi.SurrogateLikelihood(
    proposal=None, gaussian_steps=20, settings=lfi.TrainSettings(steps=10), couplings=1, **SMALL
)
RATIO = lfi.NeuralRatio(
    settings=lfi.TrainSettings(steps=20), rank=None, head_layers=None, **SMALL
)  # a critic of 10 steps and one of 20
POOL, PAIR = lfi.Pool((FLOW, LIKELIHOOD, RATIO)), lfi.Pool((FLOW, RATIO))
NO_TIME = 1e-9
MARGIN = 1.1  # seconds: one step to the first validation, and the ticks


@pytest.fixture(scope="module", autouse=True)
def every_method_is_fitted():
    """However well the others do: these simulations need no ratio."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lfi.inference.methods.pool.agree", lambda *_: False)
        yield


@pytest.fixture
def clock(monkeypatch):
    return StepClock(monkeypatch, tick=1e-6)


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(model(), 300, seed=1)


def fitted(simulations, method=POOL, **limit):
    return lfi.fit_posterior(simulations, method=method, seed=1, **limit)


def same(one, other):
    theta = torch.linspace(-1, 1, 14).reshape(7, 2)
    return torch.equal(one.log_prob(theta, X_OBS), other.log_prob(theta, X_OBS))


@pytest.fixture(scope="module")
def bounded(simulations):
    """A pool fitted in half a minute, of which it could use 70 seconds, and how long it took."""
    with pytest.MonkeyPatch.context() as patch:
        clock = StepClock(patch, tick=1e-6)
        return fitted(simulations, minutes=0.5), clock.seconds


def test_a_fit_ends_in_time_and_says_what_was_left_out(bounded):
    posterior, seconds = bounded
    assert 20 < seconds <= 30 + MARGIN
    assert posterior.choice.names == ("PosteriorFlow", "SurrogateLikelihood", "NeuralRatio")
    # of 30 seconds a half, of which again a half, of which nine tenths are planned
    assert posterior.choice.left_out[0] == "PosteriorFlow, Gaussian: at most 6 of 20 steps"
    assert f"  short of time: {posterior.choice.left_out[0]}" in posterior.choice.describe()


def test_recorded_stages_repeat_a_fit_without_a_clock(bounded, simulations, tmp_path):
    posterior, _ = bounded
    again = fitted(simulations, stages=posterior.stages)
    assert same(again, posterior)
    assert again.weights == posterior.weights and again.stages == posterior.stages
    assert again.choice.left_out == posterior.choice.left_out
    posterior.save(tmp_path / "posterior.lfi")
    loaded = lfi.load(tmp_path / "posterior.lfi")
    assert loaded.stages == posterior.stages and loaded.choice == posterior.choice


def test_with_no_time_at_all_the_first_method_is_a_regression(clock, simulations):
    posterior = fitted(simulations, minutes=NO_TIME)
    assert clock.seconds < 1 and posterior.choice.names == ("PosteriorFlow",)
    *_, likelihood, ratio = posterior.choice.describe().splitlines()
    assert likelihood == "  short of time: SurrogateLikelihood: not trained"
    assert ratio == "  short of time: NeuralRatio: not trained"
    assert "kept: linear; Gaussian: not trained" in posterior.history[0].stopped
    assert posterior.sample(10, X_OBS, seed=1).isfinite().all()
    assert same(fitted(simulations, stages=posterior.stages), posterior)


def test_with_much_time_a_fit_is_that_without_a_limit(clock, simulations):
    posterior, free = fitted(simulations, PAIR, minutes=1e6), fitted(simulations, PAIR)
    assert same(posterior, free) and posterior.weights == free.weights
    assert not any(stage.short for stage in posterior.stages)
    assert posterior.choice.left_out == () and free.stages == ()
    assert [entry.columns for entry in posterior.history] == [e.columns for e in free.history]


STEEP = replace(RATIO, loss=lfi.losses.LSIF(), members=2)


@pytest.mark.parametrize(
    ("method", "steps"),
    [(STEEP, 1), (replace(LIKELIHOOD, proposal=FLOW), 0)],
    ids=["members and a steep loss", "a proposal"],
)
def test_each_method_takes_its_least_steps_and_repeats_them(method, steps, clock, simulations):
    posterior = fitted(simulations, method, minutes=NO_TIME)
    assert int(clock.seconds) == steps
    assert "not trained" in posterior.history[-1].stopped
    assert same(fitted(simulations, method, stages=posterior.stages), posterior)


def test_members_and_what_follows_a_start_share_the_time(clock, simulations):
    posterior = fitted(simulations, STEEP, minutes=0.5)  # of two members of 30 steps
    assert 20 < clock.seconds <= 30 + MARGIN
    assert len(posterior.stages) == 8
    assert same(fitted(simulations, STEEP, stages=posterior.stages), posterior)


def test_methods_of_one_kind_are_told_apart(clock, simulations):
    posterior = fitted(simulations, lfi.Pool((FLOW, FLOW)), minutes=NO_TIME)
    assert posterior.choice.left_out[-1] == "PosteriorFlow 2: not trained"
    assert posterior.choice.left_out[0] == "PosteriorFlow 1, Gaussian: not trained"


def test_a_method_whose_time_cannot_be_limited_is_refused(simulations):
    class Own:
        def fit(self, simulations, *, x_obs=None, seed=None, device="cpu", progress=True):
            raise AssertionError

    for method in (Own(), lfi.Pool((FLOW, Own()))):
        with pytest.raises(ValueError, match="method: the time of this (Own|Pool) cannot be"):
            fitted(simulations, method, minutes=1)


def test_a_record_of_another_method_is_refused(clock, simulations):
    stages = fitted(simulations, FLOW, minutes=1e6).stages
    with pytest.raises(ValueError, match="stages: they tell of no 10 planned steps of 'expo"):
        fitted(simulations, RATIO, stages=stages)


def rounds(**options):
    return lfi.fit_rounds(
        model(), X_OBS, budget=(300, 300), method=PAIR, preliminary=FLOW, stop_at=1.0, seed=1,
        draws=200, **options,
    )  # fmt: skip


# a posterior of some twenty steps may lie anywhere between the bounds
@pytest.mark.filterwarnings("ignore:the posterior concentrates at an edge")
def test_rounds_share_the_time_and_repeat_themselves(clock, tmp_path):
    posterior = rounds(minutes=0.5, store=tmp_path)
    assert clock.seconds <= 30 + MARGIN
    # a sixth for the first round, and half of it for each stage
    assert posterior.stages[0] == StageSteps("round 1, Gaussian", 20, 2, None)
    assert posterior.choice.left_out[0] == "PosteriorFlow, Gaussian: at most 5 of 20 steps"
    assert same(rounds(stages=posterior.stages), posterior)
    with pytest.raises(ValueError, match="another minutes"):
        rounds(minutes=2, store=tmp_path)
    spent = int(clock.seconds)
    assert rounds(minutes=0.5, store=tmp_path).stages == posterior.stages  # both are kept
    assert int(clock.seconds) == spent
