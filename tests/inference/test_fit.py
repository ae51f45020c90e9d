"""The entrance: the method named, the loss in short, or the default."""

import pytest
import torch
from support.conjugate import ExactCritic, model, prior

import lfi
from lfi.comparison import Recovers
from lfi.inference import FlowPosterior, LikelihoodPosterior, RatioPosterior, fit


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(model(), 300, seed=1)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (lfi.NeuralRatio(settings=lfi.TrainSettings(steps=2), width=8), RatioPosterior),
        (
            lfi.PosteriorFlow(gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8),
            FlowPosterior,
        ),
        (
            lfi.SurrogateLikelihood(
                proposal=None, gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8
            ),
            LikelihoodPosterior,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_method_is_taken_by_name(method, kind, simulations):
    assert isinstance(lfi.fit_posterior(simulations, method=method, seed=1), kind)


def noting(asked):
    """A `fit` that only notes whose it is."""

    def note(self, simulations, *, seed, device, progress, workers=None, kept=None):
        asked.append(self)
        return RatioPosterior(ExactCritic(), simulations.prior, Recovers.RATIO, (2,))

    return note


def test_a_loss_is_short_for_a_ratio_with_that_loss(simulations, monkeypatch):
    asked = []
    monkeypatch.setattr(lfi.NeuralRatio, "fit", noting(asked))
    lfi.fit_posterior(simulations, loss=lfi.losses.Bernoulli(), seed=1)
    assert asked == [lfi.NeuralRatio(loss=lfi.losses.Bernoulli())]


def test_the_default_pools_all_three(simulations, monkeypatch):
    asked = []
    monkeypatch.setattr(fit.Pool, "fit", noting(asked))
    lfi.fit_posterior(simulations, seed=1)
    kinds = {type(method) for method in asked[0].methods}
    assert kinds == {lfi.NeuralRatio, lfi.PosteriorFlow, lfi.SurrogateLikelihood}


def test_a_method_and_a_loss_together_are_refused(simulations):
    with pytest.raises(ValueError, match="method or a loss"):
        lfi.fit_posterior(simulations, method=lfi.NeuralRatio(), loss=lfi.losses.Bernoulli())


def correlated():
    """x = a + 2 b + N(0, 1), so that a given x is N(x / 6, 5 / 6), b integrated out."""

    def simulate(theta, rng: torch.Generator):
        x = theta[:, :1] + 2 * theta[:, 1:]
        return x + torch.randn(x.shape, generator=rng, dtype=x.dtype)

    return lfi.Simulator(simulate, prior=prior)


@pytest.mark.parametrize(
    "method",
    [
        lfi.NeuralRatio(settings=lfi.TrainSettings(steps=300), width=16, rank=8, head_layers=None),
        lfi.PosteriorFlow(gaussian_steps=50, settings=lfi.TrainSettings(steps=1), width=16),
        lfi.SurrogateLikelihood(
            proposal=None, gaussian_steps=50, settings=lfi.TrainSettings(steps=1), width=16
        ),
        pytest.param(
            lfi.Pool(
                (
                    lfi.PosteriorFlow(
                        gaussian_steps=1, settings=lfi.TrainSettings(steps=1), width=8
                    ),
                    lfi.NeuralRatio(settings=lfi.TrainSettings(steps=40), width=8),
                )
            ),
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda method: type(method).__name__,
)
def test_each_method_fits_the_marginal_posterior_of_some_parameters(method):
    simulations = lfi.simulate(correlated(), 4_000, seed=1).marginal(["a"])
    fitted = lfi.fit_posterior(simulations, method=method, seed=1)
    assert fitted.names == ("a",)
    x, grid = lfi.simulate(correlated(), 200, seed=2).x, torch.linspace(-5, 5, 400)[:, None]
    exact = (-(grid[:, 0] - x / 6).square() / (2 * 5 / 6)).log_softmax(1)
    kl = (exact.exp() * (exact - fitted.log_prob(grid, x).log_softmax(1))).sum(1).mean()
    # as far off as 160 weights fitted freely to 4,000 rows are: 160 / (2 * 4,000)
    assert kl < 0.02
