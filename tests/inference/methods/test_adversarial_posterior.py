"""Adversarial posteriors against posteriors in closed form, and what their method refuses."""

from dataclasses import replace

import pytest
import torch
from support.conjugate import model, posterior
from torch import nn

import lfi
from lfi.inference.methods.adversarial_posterior import energy_score
from lfi.networks import VectorGenerator

X_OBS = torch.tensor([0.8, -0.5])
QUICK = lfi.AdversarialPosterior(
    settings=lfi.AdversarialSettings(steps=4), start_steps=4, correction=False
)


class Narrow(nn.Module):
    """Draws shifted by 0.4, and 0.8 times as wide as they should be; nothing to be trained."""

    def __init__(self):
        super().__init__()
        self.still = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def noise(self, n, rng):
        return torch.randn(n, 2, generator=rng, dtype=torch.float32)

    def forward(self, z, condition):
        return 0.8 * z + 0.4 + 0 * self.still


def two_roots():
    """x = theta^2 + noise: modes of equal weight at both signs."""
    prior = {"theta": torch.distributions.Uniform(-2.0, 2.0)}

    def simulate(theta, rng: torch.Generator):
        return theta.square() + 0.1 * torch.randn(theta.shape, generator=rng, dtype=theta.dtype)

    return lfi.Simulator(simulate, prior=prior)


def assert_conjugate(theta, x_obs, errors):
    """Mean and covariance, in five of these standard errors of a mean."""
    truth = posterior(x_obs.double())
    assert ((theta.mean(0) - truth.mean) / truth.stddev).abs().max() < 5 * errors
    # a variance has twice the square of a mean's relative error, a covariance half of that
    apart = theta.T.cov() / truth.variance[0] - torch.eye(2)
    assert apart.abs().max() < 5 * 2**0.5 * errors


def test_a_gaussian_posterior_is_that_of_the_linear_start():
    simulations = lfi.simulate(model(), 2_000, seed=1)
    fitted = lfi.fit_posterior(simulations, method=replace(QUICK, start_steps=0), seed=1)
    assert not fitted.network.active
    assert {"linear, held-out", "game, held-out"} <= set(fitted.history[0].columns)
    # a regression on 1,800 rows errs by 1/42 in each of three coefficients, 4,000 draws by 1/63
    assert_conjugate(fitted.sample(4_000, X_OBS, seed=2), X_OBS, (3 / 1_800 + 1 / 4_000) ** 0.5)


def test_the_game_finds_both_modes_where_the_gaussian_finds_none():
    simulations = lfi.simulate(two_roots(), 1_000, seed=1)
    few = lfi.AdversarialSettings(steps=150, batch_size=128, learning_rate=1e-3)
    method = replace(QUICK, settings=few, start_steps=40)
    fitted = lfi.fit_posterior(simulations, method=method, seed=1)
    theta = fitted.sample(4_000, torch.tensor([1.0]), seed=2)[:, 0]
    assert fitted.network.active
    near = ((theta.abs() - 1).abs() < 0.25).double().mean()
    # theta has a spread of 0.1 / 2 around either root, so that .99999 of it is near; that of a
    # Gaussian of its moments, N(0, 1), is .378, and the game is short
    assert near > 0.6
    # .15 is three errors of a share of the 126 simulations with x within .25 of the observation
    assert (theta > 0).double().mean().item() == pytest.approx(0.5, abs=0.15)


def test_a_ratio_corrects_draws_that_are_shifted_and_narrow():
    simulations = lfi.simulate(model(), 1_500, seed=1)
    few = {"correction_settings": lfi.TrainSettings(steps=60), "members": 2, "width": 16}
    method = replace(QUICK, generator=Narrow(), start_steps=0, **few)
    fitted = method.fit(simulations, seed=1)
    assert not fitted.network.active  # the Gaussian has the better score
    fitted.network.active.fill_(True)
    rows = fitted.network.residuals(simulations.theta, simulations.x)
    train, held_out = zip(*(part.split(1_350) for part in rows), strict=True)
    ratio = method._correction(fitted.network, train, held_out, 1, "cpu", False)
    plain = fitted.sample(4_000, X_OBS, seed=2)
    assert ((plain.mean(0) - X_OBS / 2) / 0.5**0.5).min() > 0.3
    drawn = replace(fitted, correction=ratio).corrected().draw(4_000, X_OBS, seed=2)
    # 4,000 draws, and a logistic regression on 1,500 rows: a scatter of 2/39 in each coefficient
    assert_conjugate(drawn.theta, X_OBS, (1 / 4_000 + 4 / 1_500) ** 0.5)
    assert drawn.khat < 0.7 and drawn.proposals > 4_000


def test_any_comparison_by_a_critic_trains_it():
    simulations = lfi.simulate(model(), 200, seed=1)
    for comparison in (lfi.gans.WGANGP(), lfi.gans.fGAN(lfi.losses.KL())):
        fitted = replace(QUICK, comparison=comparison).fit(simulations, seed=1)
        assert fitted.sample(5, X_OBS, seed=1).shape == (5, 2)


def test_many_parameters_have_a_generator_that_starts_at_the_gaussian():
    prior = {f"t{i}": torch.distributions.Normal(0.0, 1.0) for i in range(12)}
    simulator = lfi.Simulator(lambda theta: theta + torch.randn_like(theta), prior=prior)
    fitted = QUICK.fit(lfi.simulate(simulator, 300, seed=1), seed=1)
    assert isinstance(fitted.network.generator, VectorGenerator)
    assert fitted.sample(3, torch.zeros(12), seed=1).shape == (3, 12)


def test_bounds_are_respected():
    prior = {
        "share": torch.distributions.Uniform(0.0, 1.0),
        "rate": torch.distributions.LogNormal(0.0, 1.0),
    }
    simulator = lfi.Simulator(lambda theta: theta + torch.randn_like(theta), prior=prior)
    fitted = QUICK.fit(lfi.simulate(simulator, 200, seed=1), seed=1)
    theta = fitted.sample(2_000, torch.tensor([5.0, -3.0]), seed=1)
    assert fitted.prior.contains(theta).all()


def test_a_fit_repeats_itself_and_leaves_the_global_state_and_the_users_networks():
    simulations, generator = lfi.simulate(model(), 200, seed=1), VectorGenerator(2, 4, width=8)
    method, before = replace(QUICK, generator=generator), torch.get_rng_state()
    weights = [weight.clone() for weight in generator.parameters()]
    first, again, other = (method.fit(simulations, seed=seed) for seed in (3, 3, 4))
    draws = [each.sample(10, X_OBS, seed=1) for each in (first, again, other)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])
    assert torch.equal(before, torch.get_rng_state())
    assert all(map(torch.equal, weights, generator.parameters()))
    (history,) = first.history
    assert history.seed == 3
    assert {"linear, held-out", "Gaussian, held-out", "game, held-out"} <= set(history.columns)


def test_the_energy_score_is_least_for_the_right_draws():
    rows = torch.randn(4_000, 2).float(), torch.zeros(4_000, 1).float()
    score = energy_score(8, 1)
    right, wide, off = (
        score(lambda c, rng, s=s, m=m: m + s * torch.randn(len(c), 2, generator=rng).float(), rows)
        for s, m in ((1.0, 0.0), (1.5, 0.0), (1.0, 0.5))
    )
    # a Gaussian's, (pi/2)^(1/2) ((1 + s^2)^(1/2) - s / 2^(1/2)), is .044 more for s of 1.5, and .11
    # more off the mean; half of the former is for chance, which all three share
    assert right < min(wide, off) - 0.02


def test_failed_simulations_are_left_out():
    simulator = lfi.Simulator(
        lambda theta: torch.where(theta > 1, torch.nan, theta), prior=model().prior
    )
    fitted = QUICK.fit(lfi.simulate(simulator, 300, seed=1), seed=1)
    assert fitted.sample(10, X_OBS, seed=1).isfinite().all()


def test_rounds_around_one_observation_end_with_it():
    fitted = lfi.fit_rounds(
        model(), X_OBS, budget=(200, 300), method=QUICK, preliminary=QUICK, stop_at=1.0, seed=1
    )
    assert fitted.prior.truncated and len(fitted.history) == 2
    assert fitted.prior.contains(fitted.sample(50, X_OBS, seed=1)).all()


def test_what_does_not_fit_is_refused():
    simulations = lfi.simulate(model(), 200, seed=1)
    with pytest.raises(ValueError, match="99 valid ones are too few"):
        QUICK.fit(simulations[:99], seed=1)
    with pytest.raises(TypeError, match="no `noise"):
        replace(QUICK, generator=nn.Linear(2, 2)).fit(simulations, seed=1)
    with pytest.raises(TypeError, match="cannot be pooled"):
        lfi.fit_posterior(simulations, method=lfi.Pool((QUICK,)), seed=1)
    with pytest.raises(ValueError, match="cannot be limited"):
        lfi.fit_posterior(simulations, method=QUICK, minutes=1.0, seed=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:corrected draws of:lfi.inference.UnreliableDraws")
def test_draws_are_calibrated_as_they_come_and_corrected():
    simulations = lfi.simulate(two_roots(), 5_000, seed=1)
    method = lfi.AdversarialPosterior(settings=lfi.AdversarialSettings(steps=1_000))
    fitted = lfi.fit_posterior(simulations, method=method, seed=1)
    held_out = lfi.simulate(two_roots(), 200, seed=2)
    for one in (fitted, fitted.corrected()):
        checks = lfi.check(one, held_out, seed=1)
        # five standard errors of a share of 200, at most 0.035 each
        assert (checks.coverage - checks.levels).abs().max() < 5 * 0.5 / 200**0.5
