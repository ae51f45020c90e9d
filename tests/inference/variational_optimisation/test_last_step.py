"""The last step of a search: it meets the observations, and moves nothing that they do not tell."""

import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.inference.variational_optimisation.last_step import (
    LocalPolynomial,
    last_step,
    meeting_point,
)
from lfi.inference.variational_optimisation.parameters import StandardParameters
from lfi.inference.variational_optimisation.replay import Replay
from lfi.networks import Features, MixtureProposal, VectorCritic
from lfi.runtime import silent, torch_rng

PRIOR = {name: Normal(*torch.tensor([0.0, 1.0]).double()) for name in ("told", "not told")}
SPREAD = 0.3  # of the proposal
SETTINGS = CompleteAdversarialSettings(steps=20, critic_steps=15)


def drawn(n: int, *, seed: int) -> torch.Tensor:
    return torch.randn(n, 2, generator=torch_rng(seed), dtype=torch.float64)


def black_box(theta, rng: torch.Generator):
    """Two numbers, of which the first is about the first parameter."""
    x = torch.randn(len(theta), 2, generator=rng, dtype=theta.dtype)
    return torch.stack([theta[:, 0] + x[:, 0] / 2, x[:, 1]], dim=1)


def searched(x_obs: torch.Tensor, *, half: int) -> tuple[Replay, MixtureProposal]:
    """Simulations of a proposal about 0."""
    simulator = lfi.Simulator(black_box, prior=PRIOR)
    parameters, proposal = StandardParameters(simulator.prior), MixtureProposal(2, scale=SPREAD)
    parameters.fit_from_prior()
    with torch.no_grad():
        proposal.location.zero_()
    encode = Features((2,))
    encode.fit_from_data(x_obs)
    replay = Replay(simulator, parameters, proposal, encode, (2,), half=half, turns=1, seed=1)
    replay.simulate(torch_rng(2))
    return replay, proposal


def shift(x_obs: torch.Tensor, *, half: int) -> torch.Tensor:
    replay, proposal = searched(x_obs, half=half)
    return last_step(
        replay,
        lambda: VectorCritic([(4,)], width=16),
        replay.encode(x_obs),
        proposal.sample(10_000, torch_rng(3)),
        SETTINGS,
        seed=4,
        advance=silent,
    )


def test_it_moves_what_observations_tell_to_where_they_tell_it():
    n, half, truth = 20_000, 2_000, 0.4
    noise = drawn(n, seed=5) * torch.tensor([0.5, 1.0])
    x_obs = noise + torch.tensor([truth, 0.0])
    found = shift(x_obs, half=half)
    # the mean of 4,000 simulations of deviation .5 has a standard error of .008, twice that at 1.3
    # deviations of the proposal by a quadratic function; four of them
    assert abs(found[0] - x_obs[:, 0].mean()) < 4 * 0.016
    assert abs(found[0]) > 0.2  # it has moved
    # the prior, which is the proposal, holds the other: it is within a deviation of it
    assert abs(found[1]) < SPREAD


def test_few_simulations_move_nothing():
    assert torch.equal(shift(drawn(500, seed=6), half=20), torch.zeros(2).double())


@pytest.mark.parametrize("degree", [1, 2])
def test_a_polynomial_of_its_degree_is_fitted_exactly(degree):
    z = drawn(200, seed=7)
    function = lambda z: torch.stack(
        [1 + z[:, 0] - (degree - 1) * z[:, 0] * z[:, 1], z[:, 1]], dim=1
    )
    fit, point = LocalPolynomial(z, function(z), degree), torch.tensor([0.3, -2.0]).double()
    assert torch.allclose(fit(point), function(point[None])[0])
    assert fit.covariance(point).abs().max() < 1e-20


def test_the_covariance_is_that_of_means_over_repeated_simulations():
    point, found = torch.tensor([0.5, 0.0]).double(), []
    z = drawn(400, seed=8)
    for seed in range(400):
        noise = drawn(400, seed=9 + seed)[:, :1] * (1 + z[:, :1].abs())  # it depends on z
        fit = LocalPolynomial(z, noise, 1)
        found.append((fit(point), fit.covariance(point)[0, 0]))
    means, variances = (torch.stack(part).flatten() for part in zip(*found, strict=True))
    # a variance of 400 normal numbers has a standard error of 7%
    assert abs(variances.mean() / means.var() - 1) < 0.25


def test_the_meeting_point_is_the_mean_of_the_posterior_of_a_linear_model():
    z, noise, n = drawn(400, seed=8), drawn(400, seed=9), 50
    slope = torch.tensor([[1.0, 0.5], [0.0, 0.2]]).double()
    fit = LocalPolynomial(z, z @ slope.T + 3 * noise, 1)
    observed = drawn(n, seed=10) + 1
    found = meeting_point([fit], [observed])
    fitted = fit.coefficients[1:].T
    error = fit.covariance(found) + observed.T.cov() / n
    precision = torch.eye(2).double() + fitted.T @ torch.linalg.solve(error, fitted)
    gap = observed.mean(0) - fit.coefficients[0]
    exact = torch.linalg.solve(precision, fitted.T @ torch.linalg.solve(error, gap))
    assert torch.allclose(found, exact, atol=1e-6)


def test_parameters_shift_as_a_whole():
    simulator = lfi.Simulator(black_box, prior=PRIOR)
    parameters = StandardParameters(simulator.prior)
    parameters.fit_from_prior()
    v, by = drawn(5, seed=11).float(), torch.tensor([0.5, -1.0]).double()
    before = parameters.inverse(v + by.float())
    parameters.shift(by)
    assert torch.allclose(parameters.inverse(v), before, atol=1e-6)
    assert torch.allclose(parameters(before)[0].float(), v, atol=1e-5)
