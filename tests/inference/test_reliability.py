"""Warnings of unreliable draws: at the limits, once for each call, whoever draws."""

import warnings
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from support.conjugate import ExactCritic, model, prior
from support.known_targets import two_modes

import lfi
from lfi.comparison import Recovers
from lfi.inference import Draws, RatioPosterior, TargetPosterior, UnreliableDraws
from lfi.inference.posteriors import base
from lfi.inference.reliability import warn_unreliable
from lfi.simulation import as_prior

X = torch.tensor([[0.8, -0.5], [-1.0, 0.3], [2.0, 1.0]])
EXACT = RatioPosterior(ExactCritic(), as_prior(prior), Recovers.RATIO, (2,))


def drawn(n=50, khat=None, r_hat=None):
    r_hat = None if r_hat is None else torch.tensor(r_hat)
    facts = {"ess": float(n), "proposals": n, "seconds": 0.0, "seed": 1}
    theta = torch.randn(n, 2, dtype=torch.float64)
    return Draws(theta, ("a", "b"), "stated", khat=khat, r_hat=r_hat, **facts)


@dataclass(frozen=True)
class Stated:
    """A sampler whose draws have stated diagnostics, the first observation's of several worse."""

    khat: float | None = None
    r_hat: tuple[float, float] | None = None

    def __call__(self, target, n, *, seed=None):
        fine = [drawn(n, khat=0.1) for _ in range(len(target) - 1)]
        return (drawn(n, self.khat, self.r_hat), *fine)


def told(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return caught


@pytest.mark.parametrize(
    ("khat", "r_hat", "words"),
    [
        (0.7, None, None),
        (0.71, None, "Pareto k-hat is 0.71, above 0.7.* take a sampler with chains"),
        (float("nan"), None, "Pareto k-hat"),
        (1.2, (1.0, 1.049), None),  # chains replaced the weights
        (1.2, (1.0, 1.06), r"R-hat is 1.06 \(b\), above 1.05.* have not converged.*max_steps"),
        (None, (2.7, 1.0), r"R-hat is 2.70 \(a\)"),
        (None, (1.0, float("nan")), r"R-hat is nan \(b\)"),
        (None, None, None),
    ],
)
def test_the_limits_are_where_they_are_cited(khat, r_hat, words):
    call = lambda: EXACT.sample(50, X[0], sampler=Stated(khat, r_hat), seed=1)
    if words is None:
        assert not told(call)
    else:
        with pytest.warns(UnreliableDraws, match=words):
            call()


@pytest.mark.parametrize(
    "call",
    [
        lambda how: EXACT.sample(50, X[0], sampler=how, seed=1),
        lambda how: EXACT.draw(50, X, sampler=how, seed=1),
        lambda how: EXACT.predictive(50, X, model(), sampler=how, seed=1),
        lambda how: EXACT.to_arviz(X, draws=50, sampler=how, seed=1),
        lambda how: EXACT.trials().sample(50, X, sampler=how, seed=1),
        lambda how: EXACT.condition({"a": 0.0}).sample(50, X, sampler=how, seed=1),
    ],
    ids=["sample", "draw", "predictive", "to_arviz", "trials", "condition"],
)
def test_whatever_draws_warns_once_and_at_the_line_of_the_user(call):
    (warning,) = told(lambda: call(Stated(khat=0.9)))
    assert warning.category is UnreliableDraws
    assert warning.filename == __file__


def test_observations_are_counted_and_the_worst_is_told():
    few = [drawn(khat=0.8), drawn(khat=1.5), drawn(khat=0.1), drawn(r_hat=(1.0, 1.3))]
    (warning,) = told(lambda: warn_unreliable(few))
    words = str(warning.message)
    assert words.startswith("draws of 3 of 4 observations are not reliable. Pareto k-hat is up to ")
    assert "up to 1.50" in words and "R-hat is up to 1.30 (b)" in words


@dataclass(frozen=True)
class Weighted:
    """Importance samples of which k-hat alone is stated."""

    khat: float

    def weighted_samples(self, target, n, *, seed, limit):
        return [SimpleNamespace(khat=self.khat, log_evidence=0.0) for _ in range(len(target))]


@pytest.mark.parametrize("khat", [0.7, 0.71, float("nan")])
def test_a_normalising_constant_that_is_not_reliable_is_told_of(khat, monkeypatch):
    monkeypatch.setattr(base, "NORMALISE", Weighted(khat))
    caught = told(lambda: EXACT.log_prob(torch.zeros(3, 2), X, normalise=True))
    assert not told(lambda: EXACT.log_prob(torch.zeros(3, 2), X))
    assert [each.category for each in caught] == [UnreliableDraws] * (khat != 0.7)
    for each in caught:
        assert str(each.message).startswith("the normalising constant of 3 of 3 observations is")
        assert each.filename == __file__


class TwoModes(TargetPosterior):
    """A posterior of two narrow modes, far apart."""

    normalised, x_shape = False, (2,)
    prior = two_modes().prior

    def target(self, x):
        return two_modes()


def test_chains_that_stay_in_the_modes_they_began_in_are_told_of():
    brief = lfi.samplers.HMC(chains=128, warmup=20, min_steps=5, max_steps=5)
    x = torch.full((2,), 0.5)
    with pytest.warns(UnreliableDraws, match="the chains have not converged"):
        TwoModes().sample(200, x, sampler=brief, seed=1)
    assert not told(lambda: TwoModes().sample(200, x, sampler=lfi.samplers.SMC(), seed=1))
