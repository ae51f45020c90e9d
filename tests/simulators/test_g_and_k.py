"""The g-and-k distribution: its quantiles, and the density found from them."""

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import g_and_k

THETA = torch.tensor([g_and_k.theta_true, (0.5, 2.0, 8.0, 0.1), (9.0, 0.3, 0.2, 2.0)]).double()


def draw(theta, seed=1):
    return g_and_k.simulate(theta, torch.Generator().manual_seed(seed))


def test_quantiles_are_the_published_formula():
    z = torch.linspace(-4, 4, 33).expand(3, 33)
    a, b, g, k = THETA.T[:, :, None].numpy()
    bend = (1 - np.exp(-g * z.numpy())) / (1 + np.exp(-g * z.numpy()))
    exact = a + b * (1 + 0.8 * bend) * (1 + z.numpy() ** 2) ** k * z.numpy()
    torch.testing.assert_close(g_and_k.quantile(z, THETA), torch.from_numpy(exact))


def test_scores_invert_quantiles():
    z = torch.linspace(-5, 5, 41).expand(3, 41)
    x = g_and_k.quantile(z, THETA)
    torch.testing.assert_close(g_and_k.normal_score(x, THETA), z, rtol=0, atol=1e-10)


@pytest.mark.parametrize("row", range(3))
def test_density_is_the_derivative_of_the_distribution_function(row):
    theta, h = THETA[row : row + 1], 1e-5
    x = g_and_k.quantile(torch.linspace(-3, 3, 13)[None], theta)
    ends = [g_and_k.normal_score(x + side, theta).numpy() for side in (-h, h)]
    slope = np.diff([scipy.stats.norm.cdf(z)[0] for z in ends], axis=0)[0] / (2 * h)
    own = g_and_k.log_likelihood(theta.expand(13, 4), x.T).exp()
    # central differences: the rounding of a probability over h, and the square of h
    np.testing.assert_allclose(own.numpy(), slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("row", range(3))
def test_density_integrates_to_one(row):
    theta = THETA[row : row + 1]
    edges = g_and_k.quantile(torch.arange(-7, 7.1, 0.1)[None], theta)[0]
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(40))
    middle, half = (edges[1:] + edges[:-1])[:, None] / 2, edges.diff()[:, None] / 2
    x = (middle + half * nodes).reshape(-1, 1)
    density = g_and_k.log_likelihood(theta.expand(len(x), 4), x).exp()
    mass = ((half * weights).flatten() * density).sum()
    assert mass == pytest.approx(1, abs=1e-9)


def test_without_skewness_and_tails_it_is_normal():
    theta = torch.tensor([[2.0, 3.0, 0.0, 0.0]])
    x = torch.tensor([-5.0, 0.0, 2.0, 7.5])
    exact = torch.distributions.Normal(2.0, 3.0).log_prob(x).sum()
    torch.testing.assert_close(g_and_k.log_likelihood(theta, x), exact[None])


def test_the_octiles_of_samples_are_quantiles():
    n = 4000
    levels = torch.arange(1, 8) / 8
    exact = g_and_k.quantile(torch.distributions.Normal(0.0, 1.0).icdf(levels).expand(3, 7), THETA)
    for theta, expected in zip(THETA, exact, strict=True):
        x = draw(theta.expand(n, 4))
        shares = (x[:, :, None] < expected).double().mean(dim=(0, 1))
        error = (levels * (1 - levels) / x.numel()).sqrt()
        assert ((shares - levels).abs() < 5 * error).all()
    np.testing.assert_allclose(
        g_and_k.summaries(x), np.quantile(x.numpy(), levels.numpy(), axis=1).T
    )


def test_the_score_has_mean_zero():
    n = 1000
    theta = torch.tensor([g_and_k.theta_true]).expand(n, 4).clone().requires_grad_()
    with torch.no_grad():
        x = draw(theta)[:, :50]
    score = torch.autograd.grad(g_and_k.log_likelihood(theta, x).sum(), theta)[0]
    assert (score.mean(dim=0).abs() < 5 * score.std(dim=0) / n**0.5).all()


def test_gradients_are_those_of_differences():
    theta = THETA.clone().requires_grad_()
    x = draw(THETA)[:, :10]
    assert g_and_k.differentiable
    assert torch.autograd.gradcheck(lambda t: g_and_k.log_likelihood(t, x), theta)
    assert torch.autograd.gradcheck(lambda t: draw(t)[:, :10], theta)


def test_likelihood_is_finite_over_the_prior():
    rng = np.random.default_rng(0)
    rows = [law.rvs(500, random_state=rng) for law in g_and_k.prior.values()]
    theta = torch.from_numpy(np.stack(rows, axis=1))
    x = draw(theta)
    assert g_and_k.log_likelihood(theta, x).isfinite().all()
    assert g_and_k.log_likelihood(theta, x.roll(1, dims=0)).isfinite().all()
