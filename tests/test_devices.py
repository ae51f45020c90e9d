"""On an accelerator: what fits trains there, and what is loaded agrees with what was saved."""

import pytest
import torch
from support.conjugate import model

import lfi
from simulators import experts

X_OBS = torch.tensor([0.8, -0.5])
QUICK = lfi.TrainSettings(steps=20)


@pytest.mark.gpu
def test_posteriors_and_surrogates_train_on_the_device(device, tmp_path):
    if device == "cpu":
        pytest.skip("needs --device cuda")
    simulations = lfi.simulate(model(), 2_000, seed=1)
    quick = lfi.NeuralRatio(settings=lfi.TrainSettings(steps=50), width=16)
    posterior = lfi.fit_posterior(simulations, method=quick, seed=1, device=device)
    assert next(posterior.critic.parameters()).device.type == device
    theta = posterior.sample(100, X_OBS, seed=2)
    assert theta.device.type == "cpu"
    posterior.save(tmp_path / "p.lfi")
    again = lfi.load(tmp_path / "p.lfi")
    # both devices round in float32: 1e-4 is a thousand roundings of a log ratio of order one
    torch.testing.assert_close(
        again.log_ratio(theta, X_OBS), posterior.log_ratio(theta, X_OBS), atol=1e-4, rtol=1e-4
    )
    surrogate = lfi.fit_surrogate(
        simulations, settings=lfi.AdversarialSettings(steps=5), width=16, seed=1, device=device
    )
    assert surrogate(theta, seed=1).device.type == "cpu"


@pytest.mark.gpu
@pytest.mark.parametrize(
    "method",
    [
        lfi.PosteriorFlow(gaussian_steps=20, settings=QUICK, width=16),
        lfi.NeuralRatio(settings=QUICK, width=16),
        lfi.AdversarialPosterior(
            settings=lfi.AdversarialSettings(steps=5), start_steps=20, correction=False
        ),
    ],
    ids=["flow", "ratio", "adversarial"],
)
def test_embeddings_and_missing_entries_train_on_the_device(method, device):
    if device == "cpu":
        pytest.skip("needs --device cuda")
    simulations = lfi.with_missing(lfi.simulate(model(), 400, seed=1), seed=2)
    embedding = lfi.embeddings.SeriesEmbedding((2,), size=3, width=4, missing=True)
    for given in (None, embedding):
        posterior = lfi.fit_posterior(
            simulations, method=method, embedding=given, seed=1, device=device
        )
        assert posterior.device.type == device
        theta = posterior.sample(10, torch.tensor([0.8, torch.nan]), seed=2)
        assert theta.device.type == "cpu" and theta.isfinite().all()


@pytest.mark.gpu
def test_policies_train_on_the_device(device, tmp_path):
    if device == "cpu":
        pytest.skip("needs --device cuda")
    expert = lfi.imitation.Trajectories(**experts.trajectories("Pendulum-v1"))
    few = lfi.imitation.ImitationSettings(horizon=50, epochs=1, critic_steps=5)
    task = {"environment": "Pendulum-v1", "expert": expert, "seed": 1, "device": device}
    for seen in (False, True):
        policy = lfi.fit_imitation(**task, budget=1_200, settings=few, state_only=seen)
        assert next(policy.parameters()).device.type == device
    cloned = lfi.imitation.fit_cloning(**task, settings=QUICK)
    cloned.save(tmp_path / "c.lfi")
    states = expert.observations[:50]
    # float32 on both devices
    assert abs(lfi.load(tmp_path / "c.lfi").act(states) - cloned.act(states)).max() < 1e-4


@pytest.mark.gpu
def test_ratios_and_densities_train_on_the_device(device, tmp_path):
    if device == "cpu":
        pytest.skip("needs --device cuda")
    p, q = 1 + torch.randn(300, 2), torch.randn(300, 2)
    ratio = lfi.fit_ratio(p, q, members=2, settings=QUICK, seed=1, device=device)
    assert ratio.critics.weights.device.type == device
    assert ratio.log_ratio(p.to(device)).device.type == "cpu"
    ratio.save(tmp_path / "r.lfi")
    again = lfi.load(tmp_path / "r.lfi")
    torch.testing.assert_close(again.log_ratio(p), ratio.log_ratio(p), atol=1e-4, rtol=1e-4)
    density = lfi.fit_density(p.to(device), members=2, settings=QUICK, seed=1, device=device)
    assert density.log_prob(p).device.type == density.sample(5, seed=1).device.type == "cpu"
