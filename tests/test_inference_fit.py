"""The entrance: the method named, the loss in short, or the default."""

import pytest
from conjugate import ExactCritic, model

import lfi
from lfi.comparison import Recovers
from lfi.inference import FlowPosterior, LikelihoodPosterior, RatioPosterior, fit


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(model(), 300, seed=1)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (lfi.NeuralRatio(steps=2, width=8), RatioPosterior),
        (lfi.PosteriorFlow(steps=(1, 1), width=8), FlowPosterior),
        (lfi.SurrogateLikelihood(near=None, steps=(1, 1), width=8), LikelihoodPosterior),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_method_is_taken_by_name(method, kind, simulations):
    assert isinstance(lfi.fit_posterior(simulations, method=method, seed=1), kind)


def noting(asked):
    """A `fit` that only notes whose it is."""

    def note(self, simulations, *, seed, device, progress):
        asked.append(self)
        return RatioPosterior(ExactCritic(), simulations.prior, Recovers.RATIO, (2,))

    return note


def test_a_loss_is_short_for_a_ratio_with_that_loss(simulations, monkeypatch):
    asked = []
    monkeypatch.setattr(lfi.NeuralRatio, "fit", noting(asked))
    lfi.fit_posterior(simulations, loss=lfi.Bernoulli(), seed=1)
    assert asked == [lfi.NeuralRatio(loss=lfi.Bernoulli())]


def test_the_default_pools_all_three(simulations, monkeypatch):
    asked = []
    monkeypatch.setattr(fit.Pool, "fit", noting(asked))
    lfi.fit_posterior(simulations, seed=1)
    kinds = {type(method) for method in asked[0].methods}
    assert kinds == {lfi.NeuralRatio, lfi.PosteriorFlow, lfi.SurrogateLikelihood}


def test_a_method_and_a_loss_together_are_refused(simulations):
    with pytest.raises(ValueError, match="method or a loss"):
        lfi.fit_posterior(simulations, method=lfi.NeuralRatio(), loss=lfi.Bernoulli())
