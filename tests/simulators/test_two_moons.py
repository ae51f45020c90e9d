"""Two moons: its density by quadrature, its crescents, and sbibm's draws of them."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import two_moons

REFERENCE = Path(__file__).parents[1] / "reference" / "sbibm_posteriors.npz"
CORNERS = [(-0.9, -0.95), (0.99, 0.99), (0.98, -0.97), (0.0, 0.0), (0.02, -0.99)]


def midpoints(low, high, n):
    return low + (high - low) * (torch.arange(n) + 0.5) / n


def test_moons_are_half_circles_with_a_normal_radius():
    theta = torch.tensor([[0.4, -0.7]]).expand(10_000, 2)
    x = two_moons.simulate(theta, torch.Generator().manual_seed(1))
    p_1 = x[:, 0] - 0.25 + abs(0.4 - 0.7) / math.sqrt(2)
    p_2 = x[:, 1] - (-0.7 - 0.4) / math.sqrt(2)
    angle, radius = torch.atan2(p_2, p_1), torch.hypot(p_1, p_2)
    half = scipy.stats.uniform(-math.pi / 2, math.pi)
    assert scipy.stats.kstest(angle.numpy(), half.cdf).pvalue > 1e-5
    assert scipy.stats.kstest(radius.numpy(), scipy.stats.norm(0.1, 0.01).cdf).pvalue > 1e-5
    assert abs(np.corrcoef(angle, radius)[0, 1]) < 5 / 100  # a standard error of 10,000^(-1/2)


@pytest.mark.parametrize("theta", CORNERS[:3], ids=str)
def test_the_density_of_x_integrates_to_one(theta):
    theta = torch.tensor([theta])
    z_1, z_2 = theta.sum() / math.sqrt(2), (theta[0, 1] - theta[0, 0]) / math.sqrt(2)
    centre = torch.tensor([[0.25 - z_1.abs(), z_2]])
    # cells of 0.0004, a 25th of the moon's thickness: the midpoint rule is exact for a normal
    # profile; where the moon is cut, at p_1 = 0, cells end; along the cut it is smooth
    p = torch.cartesian_prod(midpoints(0, 0.18, 450), midpoints(-0.18, 0.18, 900))
    density = two_moons.log_likelihood(theta.expand(len(p), 2), centre + p).exp()
    assert density.sum() * 0.0004**2 == pytest.approx(1, abs=1e-4)
    behind = centre + torch.tensor([[-1e-6, 0.1]])
    assert two_moons.log_likelihood(theta, behind) == -math.inf


def test_log_likelihood_has_the_gradient_of_its_differences():
    theta = two_moons.true_parameters.double().requires_grad_()
    x = two_moons.observations.double()
    assert torch.autograd.gradcheck(lambda t: two_moons.log_likelihood(t, x), theta)


@pytest.mark.parametrize("theta", CORNERS, ids=str)
def test_the_posteriors_density_integrates_to_one(theta):
    # also where crescents are cut by the corner of the square, or grow together at z_1 = 0
    x_obs = two_moons.simulate(torch.tensor([theta]), torch.Generator().manual_seed(1))[0]
    posterior = two_moons.posterior(x_obs)
    near = (0.25 - x_obs[0]).clamp(min=0).item()
    z_1 = midpoints(near, near + 0.18 + max(0, x_obs[0].item() - 0.25), 1_000)
    z_2 = midpoints(x_obs[1].item() - 0.18, x_obs[1].item() + 0.18, 900)
    z = torch.cartesian_prod(z_1, z_2)
    cell = (z_1[1] - z_1[0]) * (z_2[1] - z_2[0])
    total = 0.0
    for sign in (-1, 1):
        w = z * torch.tensor([sign, 1])
        theta = torch.stack([w[:, 0] - w[:, 1], w[:, 0] + w[:, 1]], dim=1) / math.sqrt(2)
        total += posterior.log_prob(theta).exp().sum() * cell
    # cells are cut by the edge of the square or of the moon: an error of half a cell along the cut
    assert total == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("theta", CORNERS, ids=str)
def test_draws_of_the_posterior_have_its_density(theta):
    # importance weights of draws from a wider density, against the draws
    x_obs = two_moons.simulate(torch.tensor([theta]), torch.Generator().manual_seed(1))[0]
    posterior = two_moons.posterior(x_obs)
    draws = posterior.sample((20_000,))
    assert posterior.log_prob(draws).isfinite().all()
    low, high = draws.min(dim=0).values - 0.02, draws.max(dim=0).values + 0.02
    low, high = low.clamp(min=-1), high.clamp(max=1)
    grid = low + (high - low) * torch.rand(400_000, 2)
    weight = posterior.log_prob(grid).exp() * (high - low).prod()
    for f in (lambda t: t, lambda t: t**2, lambda t: t.prod(dim=1, keepdim=True)):
        ours, theirs = f(draws), f(grid) * weight[:, None]
        error = (ours.var(dim=0) / 20_000 + theirs.var(dim=0) / 400_000).sqrt()
        assert ((ours.mean(dim=0) - theirs.mean(dim=0)).abs() < 5 * error).all()


def test_samples_take_any_shape():
    posterior = two_moons.posterior(two_moons.x_obs)
    assert posterior.sample().shape == (2,)
    assert posterior.sample((3, 4)).shape == (3, 4, 2)
    assert posterior.log_prob(posterior.sample((3, 4))).shape == (3, 4)
    assert posterior.log_prob(torch.tensor([1.1, 0.0])) == -math.inf


def test_observations_from_nowhere_are_refused():
    with pytest.raises(ValueError, match=r"x_obs \[5.0, 0.0\] cannot come"):
        two_moons.posterior(torch.tensor([5.0, 0.0]))


def test_sbibms_reference_draws_have_the_posteriors_moments():
    draws = torch.from_numpy(np.load(REFERENCE)["two_moons"]).double()
    ours = two_moons.posterior(two_moons.x_obs.double()).sample((40_000,))
    for f in (lambda t: t, lambda t: t**2, lambda t: t.prod(dim=1, keepdim=True)):
        error = f(ours).std(dim=0) * (1 / 400 + 1 / 40_000) ** 0.5
        assert ((f(draws).mean(dim=0) - f(ours).mean(dim=0)).abs() < 5 * error).all()
