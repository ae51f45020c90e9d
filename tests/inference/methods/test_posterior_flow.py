"""Neural posterior estimation against a posterior in closed form, and what it refuses."""

import pytest
import torch
from support.conjugate import model, posterior

import lfi

X_OBS = torch.tensor([0.8, -0.5])
QUICK = lfi.PosteriorFlow(gaussian_steps=10, settings=lfi.TrainSettings(steps=5), width=8)


@pytest.mark.slow
def test_a_trained_flow_is_the_conjugate_posterior():
    fitted = lfi.fit_posterior(
        lfi.simulate(model(), 10_000, seed=1),
        method=lfi.PosteriorFlow(gaussian_steps=500, settings=lfi.TrainSettings(steps=300)),
        seed=1,
    )
    x = torch.stack([torch.zeros(2), X_OBS, torch.tensor([-1.5, 1.0])])
    for theta, x_obs in zip(fitted.sample(10_000, x, seed=2), x, strict=True):
        truth = posterior(x_obs.double())
        # five errors of a regression on 9,000 rows (1/95) and of 10,000 draws (1/100)
        assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 0.1
        assert (theta.std(0) / truth.stddev - 1).abs().max() < 0.1


@pytest.mark.slow
def test_two_modes_are_both_found():
    """x = theta^2 + noise: the posterior has modes of equal weight at both signs."""
    prior = {"theta": torch.distributions.Uniform(-2.0, 2.0)}

    def simulate(theta, rng: torch.Generator):
        return theta.square() + 0.1 * torch.randn(theta.shape, generator=rng)

    simulations = lfi.simulate(lfi.Simulator(simulate, prior=prior), 5_000, seed=1)
    fitted = lfi.fit_posterior(
        simulations,
        method=lfi.PosteriorFlow(
            gaussian_steps=300, settings=lfi.TrainSettings(steps=600), width=64
        ),
        seed=1,
    )
    theta = fitted.sample(4_000, torch.tensor([1.0]), seed=2)[:, 0]
    # the delta method: theta has a spread of 0.1 / 2 around either root
    assert (theta > 0).double().mean().item() == pytest.approx(0.5, abs=0.06)
    assert (theta.abs() - 1).abs().mean() < 0.12
    assert ((theta.abs() - 1).abs() < 0.25).double().mean() > 0.9


def test_a_fit_repeats_itself_and_records_its_seed():
    simulations = lfi.simulate(model(), 300, seed=1)
    first, again, other = (QUICK.fit(simulations, seed=seed) for seed in (3, 3, 4))
    theta = torch.randn(10, 2)
    assert torch.equal(first.log_prob(theta, X_OBS), again.log_prob(theta, X_OBS))
    assert not torch.equal(first.log_prob(theta, X_OBS), other.log_prob(theta, X_OBS))
    (history,) = first.history
    assert history.seed == 3
    assert history.stopped.startswith("kept: linear")
    assert {"linear, held-out", "Gaussian, held-out", "splines, held-out"} <= set(history.columns)


def test_the_global_state_is_left_as_it_was():
    before = torch.get_rng_state()
    QUICK.fit(lfi.simulate(model(), 300, seed=1), seed=3)
    assert torch.equal(before, torch.get_rng_state())


def test_failed_simulations_are_left_out():
    def sometimes(theta):
        return torch.where(theta > 1, torch.nan, theta)

    simulations = lfi.simulate(lfi.Simulator(sometimes, prior=model().prior), 500, seed=1)
    fitted = QUICK.fit(simulations, seed=1)
    assert fitted.sample(10, X_OBS, seed=1).isfinite().all()


def test_too_few_simulations_are_refused():
    with pytest.raises(ValueError, match="99 valid ones are too few"):
        QUICK.fit(lfi.simulate(model(), 99, seed=1))
