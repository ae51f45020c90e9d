"""Flow posteriors: exact densities, draws that have them, and nothing outside the support."""

import math

import pytest
import torch
from scipy.stats import kstest
from torch.distributions import LogNormal, Normal, Uniform

import lfi
from lfi.inference import FlowPosterior
from lfi.inference.posteriors.flow import from_flow_coordinates, to_flow_coordinates
from lfi.networks import PosteriorEstimator
from lfi.runtime import isolated
from lfi.simulation import as_prior

one = torch.ones((), dtype=torch.float64)
BOUNDED = as_prior({"share": Uniform(-1 * one, 2 * one)})
MIXED = as_prior(
    {"share": Uniform(-1 * one, 2 * one), "rate": LogNormal(0 * one, one), "mean": Normal(one, one)}
)
X = torch.tensor([0.3, -1.2])


def some_posterior(prior, scale=0.3, seed=0):
    """A flow that was fitted to nothing, whose every part does something."""
    with isolated(seed):
        network = PosteriorEstimator(prior.dim, (2,), width=8, layers=1, couplings=2, bins=4)
        for parameter in network.parameters():
            parameter.data += scale * torch.randn(parameter.shape)
    network.flow.whitening.root.data.diagonal().clamp_(min=0.5)
    return FlowPosterior(network.eval().requires_grad_(False), prior, (2,))


# Coordinates.


def test_coordinates_and_parameters_are_each_others_inverse():
    theta = MIXED.sample(1_000, seed=lfi.runtime.numpy_rng(0))
    v, _ = to_flow_coordinates(MIXED, theta)
    torch.testing.assert_close(from_flow_coordinates(MIXED, v), theta, rtol=1e-9, atol=1e-9)


def test_a_uniform_prior_is_normal_in_the_coordinates():
    theta = BOUNDED.sample(2_000, seed=lfi.runtime.numpy_rng(0))
    assert kstest(to_flow_coordinates(BOUNDED, theta)[0][:, 0].numpy(), "norm").pvalue > 1e-4


def test_the_log_slope_is_the_derivative():
    v = torch.randn(20, 3, requires_grad=True)
    u = torch.special.log_ndtr(v[:, 0]) - torch.special.log_ndtr(-v[:, 0])
    theta = MIXED.from_unconstrained(torch.stack([u, v[:, 1], v[:, 2]], 1))[0]
    (slope,) = torch.autograd.grad(theta.sum(), v)
    torch.testing.assert_close(to_flow_coordinates(MIXED, theta.detach())[1], slope.log().sum(1))


# Densities and draws.


def test_the_density_integrates_to_one_inside_the_support():
    """By the trapezoid rule in v, where it has no edges."""
    posterior = some_posterior(BOUNDED, scale=0.1)
    v = torch.linspace(-8, 8, 100_001)[:, None]
    theta = from_flow_coordinates(BOUNDED, v)
    slope = to_flow_coordinates(BOUNDED, theta)[1].exp()
    density = posterior.log_prob(theta, X).exp() * slope
    # float32 networks: each of the values is right to about 1e-6
    assert torch.trapezoid(density, v[:, 0]).item() == pytest.approx(1, abs=1e-4)


def test_draws_have_the_density():
    posterior = some_posterior(BOUNDED, scale=0.1)
    v = torch.linspace(-8, 8, 100_001)[:, None]
    theta = from_flow_coordinates(BOUNDED, v)
    density = posterior.log_prob(theta, X).exp() * to_flow_coordinates(BOUNDED, theta)[1].exp()
    below = torch.cumulative_trapezoid(density, v[:, 0])
    draws = posterior.sample(4_000, X, seed=1)[:, 0]
    place = torch.searchsorted(theta[:, 0].contiguous(), draws.contiguous())
    share = below[(place - 1).clamp(0, len(below) - 1)]
    assert kstest(share.numpy(), "uniform").pvalue > 1e-4  # fails once in 10,000 seeds


def test_no_draw_leaves_the_support_however_wild_the_flow():
    posterior = some_posterior(MIXED, scale=2.0)
    theta = posterior.sample(5_000, X, seed=1)
    assert MIXED.contains(theta).all()
    assert posterior.log_prob(theta, X).isfinite().all()


def test_there_is_no_density_outside_the_support():
    posterior = some_posterior(MIXED)
    outside = torch.tensor([[2.5, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    value = posterior.log_prob(outside, X)
    assert value[:2].eq(-math.inf).all()
    assert value[2].isfinite()


def test_the_log_ratio_is_the_density_over_that_of_the_prior():
    posterior = some_posterior(MIXED)
    theta = MIXED.sample(50, seed=lfi.runtime.numpy_rng(0))
    expected = posterior.log_prob(theta, X) - MIXED.log_prob(theta)
    torch.testing.assert_close(posterior.log_ratio(theta, X), expected, rtol=1e-5, atol=1e-5)
    rows = posterior.log_ratio(theta, X.expand(50, -1))
    torch.testing.assert_close(rows, expected, rtol=1e-5, atol=1e-5)


def test_many_observations_are_drawn_for_in_one_call():
    posterior, x = some_posterior(MIXED), torch.randn(4, 2)
    theta = posterior.sample(2_000, x, seed=1)
    assert theta.shape == (4, 2_000, 3)
    alone = torch.stack([posterior.sample(2_000, row, seed=2) for row in x])
    error = (theta.log().var(1) + alone.log().var(1))[:, 1] / 2_000
    difference = (theta.log().mean(1) - alone.log().mean(1))[:, 1]
    assert (difference.abs() < 5 * error.sqrt()).all()


def test_candidates_are_weighed_by_the_ratio():
    posterior, x = some_posterior(MIXED), torch.randn(3, 2)
    weighted = posterior.weighted(x, 40, seed=1)
    for j in range(3):
        expected = posterior.log_ratio(weighted.theta, x[j]).log_softmax(0)
        torch.testing.assert_close(weighted.log_weights[j], expected, rtol=1e-5, atol=1e-5)


# Seeds, shapes and files.


def test_equal_seeds_draw_equally_and_the_account_is_kept():
    posterior = some_posterior(MIXED)
    draws = posterior.draw(20, X, seed=1)
    assert torch.equal(draws.theta, posterior.sample(20, X, seed=1))
    assert not torch.equal(draws.theta, posterior.sample(20, X, seed=2))
    assert (draws.sampler, draws.ess, draws.unique, draws.seed) == ("flow", 20, 20, 1)
    assert draws.theta.dtype == torch.float64


def test_what_does_not_fit_is_refused():
    posterior = some_posterior(MIXED)
    with pytest.raises(ValueError, match="n must be at least 1"):
        posterior.sample(0, X)
    with pytest.raises(ValueError, match=r"x_obs has shape \(3,\)"):
        posterior.sample(5, torch.zeros(3))
    with pytest.raises(ValueError, match=r"theta has shape \(5, 2\), expected \(n, 3\)"):
        posterior.log_prob(torch.zeros(5, 2), X)
    with pytest.raises(ValueError, match="or one for each parameter"):
        posterior.log_ratio(torch.zeros(5, 3), torch.zeros(4, 2))


def test_a_saved_posterior_is_the_same(tmp_path):
    posterior = some_posterior(MIXED)
    posterior.save(tmp_path / "flow.lfi")
    again = lfi.load(tmp_path / "flow.lfi")
    theta = MIXED.sample(50, seed=lfi.runtime.numpy_rng(0))
    assert torch.equal(again.log_prob(theta, X), posterior.log_prob(theta, X))
    assert torch.equal(again.sample(9, X, seed=1), posterior.sample(9, X, seed=1))


def test_arviz_gets_all_groups():
    data = some_posterior(MIXED).to_arviz(X, draws=50, seed=1)
    assert data.posterior["rate"].shape == (2, 25)
    assert data.posterior.attrs["sampler"] == "flow"
