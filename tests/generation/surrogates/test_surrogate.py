"""Surrogates: differentiable, saved, exported, and wherever a simulator stands."""

import io

import pytest
import torch
from support.conjugate import model, prior
from torch import nn

import lfi
from lfi.generation import OutsideTraining
from lfi.simulation import as_prior, as_simulator


def steps(n):
    return lfi.AdversarialSettings(steps=n)


@pytest.fixture(scope="module")
def surrogate():
    return lfi.fit_surrogate(
        lfi.simulate(model(0.5), 2_000, seed=1), settings=steps(5), width=16, seed=1
    )


def test_a_surrogate_is_differentiable_in_theta(surrogate):
    theta = torch.zeros(4, 2, requires_grad=True)
    surrogate(theta, seed=1).sum().backward()
    assert theta.grad.isfinite().all()
    assert theta.grad.abs().sum() > 0


def test_its_gradient_is_its_derivative_at_fixed_noise(surrogate):
    theta = torch.tensor([[0.3, -0.2]], requires_grad=True)
    (slope,) = torch.autograd.grad(surrogate(theta, seed=1)[0, 0], theta)
    step = 1e-2 * torch.eye(2)  # x is computed in float32: an error of 1e-7 over 2e-2
    above, below = (
        torch.stack([surrogate((theta + s).detach(), seed=1)[0, 0] for s in sign * step[:, None]])
        for sign in (1, -1)
    )
    torch.testing.assert_close((above - below) / 2e-2, slope[0], rtol=1e-2, atol=1e-3)


def test_equal_seeds_draw_equal_noise_in_the_dtype_of_the_simulations(surrogate):
    theta = torch.zeros(4, 2)
    assert torch.equal(surrogate(theta, seed=1), surrogate(theta, seed=1))
    assert not torch.equal(surrogate(theta, seed=1), surrogate(theta, seed=2))
    for given in (theta, theta.float(), theta.int().tolist()):
        assert surrogate(given, seed=1).dtype == surrogate.dtype == torch.float64


def test_theta_of_another_width_is_refused(surrogate):
    with pytest.raises(ValueError, match=r"theta must have shape \(n, 2\), .* a, b; got \(4, 1\)"):
        surrogate(torch.zeros(4, 1))


# Wherever a simulator goes.


def test_a_surrogate_is_simulated_from_as_any_simulator(surrogate):
    simulations = lfi.simulate(surrogate, 300, seed=1)
    simulator = as_simulator(surrogate)
    assert simulator.names == ("a", "b")
    assert simulator.differentiable
    assert simulations.x.shape == (300, 2)
    assert simulations.valid.all()
    again = lfi.simulate(surrogate, 300, seed=1, workers=2)
    assert torch.equal(simulations.x, again.x)


def test_a_surrogate_takes_trials_and_summaries(surrogate):
    many = lfi.Simulator(surrogate.simulate, prior=surrogate.prior, trials=7)
    assert many(torch.zeros(3, 2), seed=1).shape == (3, 7, 2)
    summarised = many.with_summary(lambda x: x.mean(1))
    assert lfi.simulate(summarised, 20, seed=1).x.shape == (20, 2)


def test_a_posterior_is_fitted_to_it_and_checked_against_it(surrogate):
    posterior = lfi.fit_posterior(
        lfi.simulate(surrogate, 500, seed=1),
        method=lfi.NeuralRatio(settings=lfi.TrainSettings(steps=20)),
        seed=1,
    )
    theta = posterior.sample(100, torch.zeros(2), seed=2)
    check = lfi.predictive_check(theta, surrogate, torch.zeros(2), n=50, seed=2)
    assert check.x.shape == (50, 2)


def test_x_keeps_its_shape():
    def images(theta, rng: torch.Generator):
        return theta[:, :1, None] + torch.randn(len(theta), 2, 3, generator=rng)

    simulations = lfi.simulate(lfi.Simulator(images, prior=prior), 200, seed=1)
    surrogate = lfi.fit_surrogate(simulations, settings=steps(2), width=8, seed=1)
    assert surrogate(torch.zeros(5, 2), seed=1).shape == (5, 2, 3)
    numbers = lfi.Simulator(lambda theta: theta.sum(1), prior=prior)
    surrogate = lfi.fit_surrogate(
        lfi.simulate(numbers, 200, seed=1), settings=steps(2), width=8, seed=1
    )
    assert surrogate(torch.zeros(5, 2), seed=1).shape == (5,)


# Where it may be used.


def test_it_warns_outside_what_it_has_seen(surrogate):
    far = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
    assert surrogate.trusts(far).tolist() == [True, False]
    with pytest.warns(OutsideTraining, match="1 of 2 parameter vectors are outside"):
        surrogate(far, seed=1)


def test_it_warns_outside_the_priors_support():
    half = {"a": torch.distributions.Exponential(1.0)}
    simulator = lfi.Simulator(lambda theta: theta, prior=half)
    surrogate = lfi.fit_surrogate(
        lfi.simulate(simulator, 200, seed=1), settings=steps(2), width=8, seed=1
    )
    with pytest.warns(OutsideTraining, match="1 of 1"):
        assert surrogate(torch.tensor([[-1.0]]), seed=1).isfinite().all()


# Files.


def test_a_saved_surrogate_is_the_same(surrogate, tmp_path):
    surrogate.save(tmp_path / "s.lfi")
    again = lfi.load(tmp_path / "s.lfi")
    theta = torch.zeros(4, 2)
    assert torch.equal(again(theta, seed=1), surrogate(theta, seed=1))
    assert again.history == surrogate.history
    assert again.prior._spec() == surrogate.prior._spec()
    far = torch.tensor([[9.0, 0.0]])
    assert not again.trusts(far)


def test_a_prior_that_cannot_be_named_is_asked_for(tmp_path):
    class Mine(torch.distributions.Normal):
        """A distribution of the user's own."""

    own = as_prior({"a": Mine(0.0, 1.0), "b": Mine(0.0, 1.0)})
    simulations = lfi.simulate(model(), 200, prior=own, seed=1)
    lfi.fit_surrogate(simulations, settings=steps(2), width=8, seed=1).save(tmp_path / "s.lfi")
    with pytest.raises(ValueError, match="prior="):
        lfi.load(tmp_path / "s.lfi")
    assert lfi.load(tmp_path / "s.lfi", prior=own).names == ("a", "b")


class Mine(nn.Module):
    """A generator of the user's own."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(4, 2, dtype=torch.float32)

    def noise(self, n, rng):
        return torch.randn(n, 2, generator=rng, dtype=torch.float32)

    def forward(self, z, given):
        return self.net(torch.cat([z, given], dim=1))


def test_a_generator_of_the_users_own_is_asked_for(tmp_path):
    simulations = lfi.simulate(model(), 200, seed=1)
    surrogate = lfi.fit_surrogate(simulations, generator=Mine(), settings=steps(2), width=8, seed=1)
    surrogate.save(tmp_path / "s.lfi")
    with pytest.raises(ValueError, match="modules="):
        lfi.load(tmp_path / "s.lfi")
    again = lfi.load(tmp_path / "s.lfi", modules={"generator": Mine()})
    theta = torch.zeros(4, 2)
    assert torch.equal(again(theta, seed=1), surrogate(theta, seed=1))


def test_an_exported_surrogate_is_the_same_without_lfi(surrogate):
    file = io.BytesIO()
    torch.export.save(surrogate.export(), file)
    file.seek(0)
    program = torch.export.load(file).module()
    theta = torch.zeros(6, 2, dtype=torch.float32)
    z = surrogate.generator.noise(6, torch.Generator().manual_seed(3))
    torch.testing.assert_close(program(theta, z), surrogate.transform(theta, z))
