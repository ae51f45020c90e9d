"""Surrogates: encode and decode, train, differentiate, save, and stand where a simulator stands."""

import pytest
import torch
from conjugate import model, prior

import lfi
from lfi.comparison import KL, R1, Adversarial, Bernoulli, NonSaturating
from lfi.generation import fidelity
from lfi.generation.surrogate import Outputs
from lfi.simulation import as_prior, as_simulator


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


@pytest.fixture(scope="module")
def simulations():
    return lfi.simulate(model(0.5), 2_000, seed=1)


@pytest.fixture(scope="module")
def surrogate(simulations):
    return lfi.fit_surrogate(simulations, steps=5, width=16, seed=1)


# The map between data and what networks see.


def test_decoding_undoes_encoding_of_real_numbers():
    x = 100 * single(500, 3)
    outputs = Outputs(3)
    y = outputs.learn(x, torch.Generator().manual_seed(0))
    assert not outputs.whole
    assert not outputs.non_negative
    # asinh and sinh in float32: a relative error of 1e-7 times their slope times their argument
    torch.testing.assert_close(outputs.decode(y), x, rtol=1e-4, atol=1e-4)


def test_counts_are_spread_for_training_and_come_back_exactly():
    x = torch.poisson(torch.full((1_000, 2), 20.0, dtype=torch.float32))
    outputs = Outputs(2)
    y = outputs.learn(x, torch.Generator().manual_seed(0))
    assert len(y.unique()) > 1_900
    decoded = outputs.decode(y)
    # rounding of sinh may cross a whole number where the noise was within 1e-5 of one
    assert (decoded != x).double().mean() < 0.005


def test_no_stray_value_leaves_the_range_that_was_seen_by_far():
    x = single(1_000, 1)
    outputs = Outputs(1)
    outputs.learn(x, torch.Generator().manual_seed(0))
    wild = outputs.decode(torch.tensor([[-1e6], [1e6]], dtype=torch.float32))
    assert wild.isfinite().all()
    assert wild.abs().max() < 100 * x.abs().max()


def test_gradients_pass_through_the_rounding_of_counts():
    outputs = Outputs(1)
    outputs.learn(
        torch.arange(100.0, dtype=torch.float32)[:, None], torch.Generator().manual_seed(0)
    )
    y = torch.zeros(4, 1, dtype=torch.float32, requires_grad=True)
    outputs.decode(y).sum().backward()
    assert (y.grad > 0).all()


# Training.


def test_a_surrogate_learns_mean_and_spread_of_a_known_simulator():
    """Against x = theta + N(0, 1/4): what a short training leaves is well below no training."""
    simulations = lfi.simulate(model(0.5), 20_000, seed=1)
    surrogate = lfi.fit_surrogate(simulations, steps=200, width=32, seed=1)
    theta = torch.tensor([[0.5, -1.0]]).repeat(4_000, 1)
    x = surrogate(theta, seed=2).detach()
    assert (x.mean(0) - theta[0]).abs().max() < 0.25  # half the simulator's own spread
    assert ((x.std(0) / 0.5).log().abs() < 0.4).all()


@pytest.mark.slow
def test_any_critic_loss_trains_with_any_generator_loss():
    simulations = lfi.simulate(model(0.5), 20_000, seed=1)
    for critic_loss, generator_loss in ((KL(), Bernoulli()), (Bernoulli(), KL())):
        comparison = Adversarial(critic_loss, generator_loss, R1(0.1))
        surrogate = lfi.fit_surrogate(simulations, comparison=comparison, steps=300, seed=1)
        assert fidelity(surrogate, model(0.5), thetas=4, n=1_000, seed=2).mean < 0.65


@pytest.mark.slow
def test_the_default_is_hard_to_tell_from_the_simulator():
    simulations = lfi.simulate(model(0.5), 20_000, seed=1)
    surrogate = lfi.fit_surrogate(simulations, seed=1)
    # one half, the binomial error of 2,000 predictions (0.011), and what training leaves
    assert fidelity(surrogate, model(0.5), thetas=4, n=1_000, seed=2).mean < 0.56


def test_training_repeats_itself(simulations):
    comparison = Adversarial(Bernoulli(), NonSaturating(), R1(0.1))
    a, b = (
        lfi.fit_surrogate(simulations, comparison=comparison, steps=3, width=8, seed=5)
        for _ in range(2)
    )
    theta = torch.zeros(3, 2)
    assert torch.equal(a(theta, seed=1), b(theta, seed=1))


def test_failed_simulations_are_left_out():
    def sometimes(theta):
        return torch.where(theta > 1, torch.nan, theta)

    simulations = lfi.simulate(lfi.Simulator(sometimes, prior=prior), 500, seed=1)
    surrogate = lfi.fit_surrogate(simulations, steps=2, width=8, seed=1)
    assert surrogate(torch.zeros(5, 2), seed=1).isfinite().all()


def test_too_few_simulations_are_refused():
    with pytest.raises(ValueError, match="50 valid ones are too few"):
        lfi.fit_surrogate(lfi.simulate(model(), 50, seed=1))


# Use.


def test_a_surrogate_is_differentiable_in_theta(surrogate):
    theta = torch.zeros(4, 2, requires_grad=True)
    surrogate(theta, seed=1).sum().backward()
    assert theta.grad.isfinite().all()
    assert theta.grad.abs().sum() > 0


def test_equal_seeds_draw_equal_noise_and_the_dtype_is_that_of_theta(surrogate):
    theta = torch.zeros(4, 2)
    assert torch.equal(surrogate(theta, seed=1), surrogate(theta, seed=1))
    assert not torch.equal(surrogate(theta, seed=1), surrogate(theta, seed=2))
    assert surrogate(theta, seed=1).dtype == theta.dtype


def test_theta_of_another_width_is_refused(surrogate):
    with pytest.raises(ValueError, match=r"theta has shape \(4, 1\), expected \(n, 2\): a, b"):
        surrogate(torch.zeros(4, 1))


def test_the_recorded_seed_repeats_the_fit(simulations, surrogate):
    again = lfi.fit_surrogate(simulations, steps=5, width=16, seed=surrogate.history.seed)
    theta = torch.zeros(3, 2)
    assert torch.equal(again(theta, seed=1), surrogate(theta, seed=1))


def test_a_surrogate_goes_wherever_a_simulator_goes(surrogate):
    simulations = lfi.simulate(surrogate, 300, seed=1)
    assert as_simulator(surrogate).names == ("a", "b")
    assert simulations.x.shape == (300, 2)
    assert simulations.valid.all()


def test_x_keeps_its_shape():
    def images(theta, rng: torch.Generator):
        return theta[:, :1, None] + torch.randn(len(theta), 2, 3, generator=rng)

    simulations = lfi.simulate(lfi.Simulator(images, prior=prior), 200, seed=1)
    surrogate = lfi.fit_surrogate(simulations, steps=2, width=8, seed=1)
    assert surrogate(torch.zeros(5, 2), seed=1).shape == (5, 2, 3)


def test_a_saved_surrogate_is_the_same(surrogate, tmp_path):
    surrogate.save(tmp_path / "s.lfi")
    again = lfi.load(tmp_path / "s.lfi")
    theta = torch.zeros(4, 2)
    assert torch.equal(again(theta, seed=1), surrogate(theta, seed=1))
    assert again.history == surrogate.history
    assert again.prior.describe() == surrogate.prior.describe()


def test_a_prior_that_cannot_be_named_is_asked_for(tmp_path):
    class Mine(torch.distributions.Normal):
        """A distribution of the user's own."""

    own = as_prior({"a": Mine(0.0, 1.0), "b": Mine(0.0, 1.0)})
    simulations = lfi.simulate(model(), 200, prior=own, seed=1)
    lfi.fit_surrogate(simulations, steps=2, width=8, seed=1).save(tmp_path / "s.lfi")
    with pytest.raises(ValueError, match="prior="):
        lfi.load(tmp_path / "s.lfi")
    assert lfi.load(tmp_path / "s.lfi", prior=own).names == ("a", "b")
