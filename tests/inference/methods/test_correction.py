"""The ratio of simulator to surrogate: found where there is one, left out where there is none."""

import pytest
import torch
from support.conjugate import model, prior
from torch.distributions import Normal

import lfi
from lfi.inference import LikelihoodPosterior
from lfi.inference.methods.correction import CHANCE, fit_correction
from lfi.inference.posteriors.likelihood import XGivenTheta
from lfi.runtime import isolated, torch_rng
from lfi.simulation import as_prior

PRIOR = as_prior(prior)


def rows(n, sd, seed):
    """theta from the prior and x = theta + sd N(0, 1), in float32."""
    rng = torch_rng(seed)
    theta = torch.randn(n, 2, generator=rng, dtype=torch.float32)
    return theta, simulate(sd)(theta, rng)


def simulate(sd):
    def draw(theta, rng):
        return theta + sd * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    return draw


def test_a_critic_that_tells_nothing_is_left_out():
    critic, history = fit_correction(
        simulate(1.0), PRIOR, rows(500, 1.0, 1), rows(2_000, 1.0, 2), steps=3, seed=1
    )
    assert min(value for _, value in history.columns["held-out"]) >= CHANCE
    assert critic is None
    assert history.stopped.endswith("left out: not better")


@pytest.mark.slow
def test_a_surrogate_that_is_too_wide_is_corrected():
    critic, _ = fit_correction(
        simulate(1.5), PRIOR, rows(20_000, 1.0, 1), rows(2_000, 1.0, 2), steps=1_000, seed=1
    )
    theta, x = rows(2_000, 1.0, 3)
    exact = (Normal(theta, 1.0).log_prob(x) - Normal(theta, 1.5).log_prob(x)).sum(1)
    error = critic(theta, x) - exact
    assert error.square().mean().sqrt() < 0.15  # nats, as the plain ratio is held to


def corrected():
    """A likelihood whose correction is anything."""
    theta, x = rows(500, 1.0, 1)
    with isolated(0):
        network = XGivenTheta(PRIOR.lower.tolist(), PRIOR.upper.tolist(), (2,), width=8)
        critic = lfi.networks.PairCritic(
            PRIOR.lower.tolist(), PRIOR.upper.tolist(), (2,), width=8, depth=1
        )
    network.learn(theta, x, torch_rng(0))
    critic.learn(theta, x)
    parts = (part.eval().requires_grad_(False) for part in (network, critic))
    network, critic = parts
    return LikelihoodPosterior(network, PRIOR, correction=critic)


def test_the_correction_is_added_to_the_log_likelihood():
    posterior = corrected()
    plain = LikelihoodPosterior(posterior.network, PRIOR)
    theta, x = torch.randn(7, 2), torch.randn(7, 2)
    difference = posterior.log_ratio(theta, x) - plain.log_ratio(theta, x)
    expected = posterior.correction(theta.float(), x.float()).double()
    torch.testing.assert_close(difference, expected, rtol=1e-4, atol=1e-4)
    assert posterior.weighted(x, 20, seed=1).log_weights.shape == (7, 20)


def test_a_corrected_posterior_is_saved_with_its_correction(tmp_path):
    posterior = corrected()
    posterior.save(tmp_path / "corrected.lfi")
    again = lfi.load(tmp_path / "corrected.lfi")
    theta, x = torch.randn(7, 2), torch.randn(2)
    assert torch.equal(again.log_ratio(theta, x), posterior.log_ratio(theta, x))


def test_a_method_can_ask_for_a_correction():
    method = lfi.SurrogateLikelihood(near=None, steps=(1, 1), width=8, correction=3)
    posterior = method.fit(lfi.simulate(model(), 300, seed=1), seed=1)
    (history,) = posterior.history
    assert "correction, held-out" in history.columns
