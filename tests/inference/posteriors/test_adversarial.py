"""Posteriors known by draws of a generator: files, corrected draws, and what they have not."""

import math

import pytest
import torch
from support.conjugate import model

import lfi
from lfi.inference import GeneratorPosterior, UnreliableDraws
from lfi.networks import VectorGenerator

X_OBS = torch.tensor([0.8, -0.5])
FEW = lfi.AdversarialSettings(steps=3)


def fitted(**fields):
    method = lfi.AdversarialPosterior(
        settings=FEW,
        start_steps=3,
        members=1,
        correction_settings=lfi.TrainSettings(steps=5),
        **fields,
    )
    return lfi.fit_posterior(lfi.simulate(model(), 200, seed=1), method=method, seed=1)


@pytest.fixture(scope="module")
def posterior():
    return fitted()


def test_draws_repeat_themselves_and_those_of_many_observations_come_at_once(posterior):
    x = torch.stack([X_OBS, -X_OBS, torch.zeros(2)])
    first, again = (posterior.draw(7, x, seed=2) for _ in range(2))
    assert all(torch.equal(a.theta, b.theta) for a, b in zip(first, again, strict=True))
    assert [each.sampler for each in first] == ["generator"] * 3
    assert posterior.sample(7, x, seed=2).shape == (3, 7, 2)
    assert not torch.equal(posterior.sample(7, X_OBS, seed=3), posterior.sample(7, X_OBS, seed=4))


def test_corrected_draws_tell_how_many_were_weighted(posterior):
    draws = posterior.corrected().draw(50, X_OBS, seed=2)
    assert draws.sampler == "generator, corrected"
    assert draws.proposals >= 4_096 and 1 < draws.ess <= 50
    assert math.isfinite(draws.khat)
    assert "corrected by the ratio" in posterior.corrected().describe()
    assert "as they come" in posterior.describe()


def test_weights_that_are_not_reliable_are_warned_of(posterior, monkeypatch):
    monkeypatch.setattr("lfi.inference.posteriors.adversarial.MAX_KHAT", -10.0)
    with pytest.warns(UnreliableDraws, match="of 2 of 2 observations"):
        posterior.corrected().draw(5, torch.stack([X_OBS, X_OBS]), seed=2)


@pytest.mark.parametrize("corrects", [False, True])
def test_a_file_draws_the_same(posterior, corrects, tmp_path):
    one = posterior.corrected() if corrects else posterior
    one.save(tmp_path / "posterior.lfi")
    again = lfi.load(tmp_path / "posterior.lfi")
    assert isinstance(again, GeneratorPosterior)
    assert torch.equal(again.sample(9, X_OBS, seed=2), one.sample(9, X_OBS, seed=2))
    assert again.describe() == one.describe()
    assert again.training_reference is not None


def test_the_file_of_a_users_generator_asks_for_it(tmp_path):
    mine = VectorGenerator(2, 4, width=8)

    class Mine(VectorGenerator):
        """A kind that no file can name."""

    one = fitted(generator=Mine(2, 4, width=8), correction=False)
    one.save(tmp_path / "posterior.lfi")
    with pytest.raises(ValueError, match='modules={"generator"'):
        lfi.load(tmp_path / "posterior.lfi")
    again = lfi.load(tmp_path / "posterior.lfi", modules={"generator": mine})
    assert torch.equal(again.sample(9, X_OBS, seed=2), one.sample(9, X_OBS, seed=2))


def test_a_correction_that_was_not_fitted_is_refused():
    with pytest.raises(ValueError, match="correction=True"):
        fitted(correction=False).corrected()


def test_there_is_no_density_and_no_sampler_that_needs_one(posterior):
    assert posterior.normalised is None
    with pytest.raises(NotImplementedError, match="no density"):
        posterior.log_prob(torch.zeros(3, 2), X_OBS)
    with pytest.raises(ValueError, match="sampler: .* needs a density"):
        posterior.sample(3, X_OBS, sampler=lfi.samplers.Importance())
    with pytest.raises(ValueError, match="x_obs has shape"):
        posterior.sample(3, torch.zeros(3))


def test_checks_take_its_draws(posterior):
    held_out = lfi.simulate(model(), 40, seed=2)
    assert lfi.check(posterior, held_out, draws=32, seed=1).ranks.shape == (40, 2)
