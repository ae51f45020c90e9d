"""Implicit posteriors in files, which keep no model."""

import pytest
import torch
from support.implicit_models import PRIOR, X, log_likelihood, rate, shares, two_modes

import lfi
from lfi.networks import MixtureGenerator, VectorCritic

pytestmark = pytest.mark.filterwarnings("ignore::lfi.inference.UnreliableDraws")
BRIEF = lfi.AdversarialSettings(steps=3, batch_size=16)


def saved(fit, path, **given):
    fit.save(path / "implicit.lfi")
    return lfi.load(path / "implicit.lfi", **given)


def same(one, other, *x):
    theta = one.sample(20, *x, seed=2)
    torch.testing.assert_close(other.sample(20, *x, seed=2), theta, rtol=1e-4, atol=1e-5)
    expected = one.log_prob(theta, *x)
    torch.testing.assert_close(other.log_prob(theta, *x), expected, rtol=1e-4, atol=1e-4)
    assert other.names == one.names and other.verdict == one.verdict
    assert other.describe() == one.describe()


def test_a_loaded_posterior_draws_as_before_and_has_no_weights(tmp_path):
    fit = lfi.fit_implicit(log_likelihood, prior=PRIOR, settings=BRIEF, seed=1)
    again = saved(fit, tmp_path)
    same(fit, again)
    assert again.prior.names == ("a", "b")
    with pytest.raises(ValueError, match="model: files do not keep it"):
        again.draw(5, corrected=True, seed=1)


def test_one_of_any_observation_is_loaded(tmp_path):
    x = torch.randn(30, 2)
    fit = lfi.fit_implicit(log_likelihood, prior=PRIOR, x=x, settings=BRIEF, seed=1)
    again = saved(fit, tmp_path)
    assert torch.equal(again.sample(20, X, seed=2), fit.sample(20, X, seed=2))
    assert again.draw(5, X, seed=2).khat is None


def test_sites_of_pyro_are_reached_by_their_prior_or_refused(tmp_path):
    fit = lfi.fit_implicit(rate, settings=BRIEF, seed=1)
    again = saved(fit, tmp_path)
    same(fit, again)
    assert set(again.by_site(again.sample(3, seed=1))) == {"rate"}
    counts = torch.tensor([10.0, 20.0, 30.0])
    fit = lfi.fit_implicit(shares, arguments=(counts,), settings=BRIEF, seed=1)
    with pytest.raises(TypeError, match="a file cannot name how the parameters are reached"):
        fit.save(tmp_path / "shares.lfi")


def test_networks_are_named_or_asked_for(tmp_path):
    critic = torch.nn.Sequential(torch.nn.Linear(2, 1).float(), torch.nn.Flatten(0))
    networks = {"generator": MixtureGenerator(2, codes=2), "critic": critic}
    fit = lfi.fit_implicit(two_modes, names=["a", "b"], settings=BRIEF, seed=1, **networks)
    other = torch.nn.Sequential(torch.nn.Linear(2, 1).float(), torch.nn.Flatten(0))
    same(fit, saved(fit, tmp_path, modules={"critic": other}))
    with pytest.raises(ValueError, match='"critic": network'):
        saved(fit, tmp_path)
    narrow = VectorCritic([(2,)], width=8)
    fit = lfi.fit_implicit(two_modes, names=["a", "b"], settings=BRIEF, seed=1, critic=narrow)
    same(fit, saved(fit, tmp_path))
