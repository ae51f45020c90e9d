"""Lynxes and hares: equations, noise, likelihood and data, and the reference posterior."""

import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch

from simulators import lynx_hare

CARPENTER = [0.55, 0.028, 0.80, 0.024, 34.0, 5.9, 0.25, 0.25]  # about the posterior means


def prior_draws(n, seed=0):
    rng = np.random.default_rng(seed)
    columns = [law.rvs(n, random_state=rng) for law in lynx_hare.prior.values()]
    return torch.from_numpy(np.stack(columns, axis=1))


def precise(theta):
    """log u and log v in 21 years by an eighth-order method, (21, 2)."""
    alpha, beta, gamma, delta, hare0, lynx0 = theta[:6]

    def slope(_, state):
        return [alpha - beta * np.exp(state[1]), -gamma + delta * np.exp(state[0])]

    start = np.log([hare0, lynx0])
    options = dict(method="DOP853", rtol=1e-10, atol=1e-10, t_eval=range(21))
    return scipy.integrate.solve_ivp(slope, (0, 20), start, **options).y.T


# The equations.


def test_populations_solve_the_equations_over_the_prior():
    theta = prior_draws(50)
    exact = torch.from_numpy(np.stack([precise(row.tolist()) for row in theta]))
    error = (lynx_hare.log_populations(theta) - exact).abs().amax(dim=(1, 2))
    assert error.max() < 1e-3  # what the module promises for 99%


def test_populations_solve_the_equations_to_1e_6_where_the_posterior_is():
    theta = torch.tensor([CARPENTER])
    exact = torch.from_numpy(precise(CARPENTER))[None]
    assert (lynx_hare.log_populations(theta) - exact).abs().max() < 1e-6


def test_populations_keep_the_constant_of_motion():
    theta = torch.tensor([CARPENTER, [1.0, 0.05, 1.0, 0.05, 10.0, 10.0, 1.0, 1.0]])
    alpha, beta, gamma, delta = theta[:, :4, None].unbind(1)
    p, q = lynx_hare.log_populations(theta).unbind(2)
    energy = delta * p.exp() - gamma * p + beta * q.exp() - alpha * q
    # whose derivative in p and q is below 10: ten times the error of p and q above
    torch.testing.assert_close(energy, energy[:, :1].expand(-1, 21), rtol=0, atol=1e-5)


def test_the_equilibrium_stays():
    theta = torch.tensor([[0.5, 0.02, 0.8, 0.04, 0.8 / 0.04, 0.5 / 0.02, 0.1, 0.1]])
    still = theta[:, None, 4:6].log().expand(1, 21, 2)
    torch.testing.assert_close(lynx_hare.log_populations(theta), still)


# The noise and the likelihood.


def test_pelts_are_log_normal_around_the_solution():
    n = 20_000
    theta = torch.tensor([[*CARPENTER[:6], 0.25, 0.5]]).expand(n, 8)
    x = lynx_hare.simulate(theta, torch.Generator().manual_seed(1))
    z = (x.log() - lynx_hare.log_populations(theta[:1])) / theta[:1, None, 6:]
    assert x.shape == (n, 21, 2)
    assert (z.mean(dim=0).abs() < 5 / n**0.5).all()
    assert ((z.var(dim=0) - 1).abs() < 5 * (2 / n) ** 0.5).all()


@pytest.mark.parametrize("one_observation", [True, False], ids=["(21, 2)", "(n, 21, 2)"])
def test_log_likelihood_is_that_of_scipys_log_normal(one_observation):
    theta = torch.cat([torch.tensor([CARPENTER]), prior_draws(4)])
    x = lynx_hare.x_obs.double()
    x = x if one_observation else torch.stack([x, x.flip(0), x + 1, x.flip(1), 2 * x])
    scale = lynx_hare.log_populations(theta).exp().numpy()
    exact = scipy.stats.lognorm(s=theta[:, None, 6:].numpy(), scale=scale).logpdf(x.numpy())
    torch.testing.assert_close(
        lynx_hare.log_likelihood(theta, x), torch.from_numpy(exact.sum(axis=(1, 2)))
    )


def test_pelts_are_positive_also_where_rounding_makes_them_nothing():
    theta = torch.tensor([CARPENTER], dtype=torch.float32).expand(100, 8).clone()
    theta[:, 6] = 50.0
    x = lynx_hare.simulate(theta, torch.Generator().manual_seed(1))
    assert (x > 0).all()
    assert lynx_hare.log_likelihood(theta, -x).tolist() == [-torch.inf] * 100


def test_gradients_are_those_of_differences():
    theta = torch.tensor([CARPENTER, [1.0, 0.05, 1.0, 0.05, 10.0, 10.0, 1.0, 1.0]])
    x = lynx_hare.x_obs.double()
    draw = lambda t: lynx_hare.simulate(t, torch.Generator().manual_seed(1))
    theta.requires_grad_()
    assert torch.autograd.gradcheck(lambda t: lynx_hare.log_likelihood(t, x), theta, fast_mode=True)
    assert lynx_hare.differentiable
    assert torch.autograd.gradcheck(lambda t: draw(t).log(), theta, fast_mode=True)


# The posterior: 10,000 reference draws, in logarithms, as all parameters are positive.


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parents[1] / "reference" / "lynx_hare.npz") as file:
        assert file["names"].tolist() == list(lynx_hare.prior)
        return file["samples"].astype(np.float64)


def log_posterior(u):
    """The log density of u = log theta, up to a constant, differentiable, (n, 8) to (n,)."""
    theta = u.exp()
    alpha, beta, gamma, delta, *rest = theta.unbind(1)
    log_prior = u.sum(dim=1)
    for rate, mean, deviation in (
        (alpha, 1, 0.5),
        (beta, 0.05, 0.05),
        (gamma, 1, 0.5),
        (delta, 0.05, 0.05),
    ):
        log_prior = log_prior - 0.5 * ((rate - mean) / deviation) ** 2
    for scale, median in zip(rest, (10.0, 10.0, np.exp(-1), np.exp(-1)), strict=True):
        log_prior = log_prior - 0.5 * (scale / median).log() ** 2 - scale.log()
    return log_prior + lynx_hare.log_likelihood(theta, lynx_hare.x_obs.double())


def test_the_prior_is_the_one_of_this_posterior():
    theta = prior_draws(20)
    rows = lambda t: sum(
        torch.from_numpy(law.logpdf(column.numpy()))
        for law, column in zip(lynx_hare.prior.values(), t.unbind(1), strict=True)
    )
    x = lynx_hare.x_obs.double()
    own = log_posterior(theta.log()) - lynx_hare.log_likelihood(theta, x) - theta.log().sum(dim=1)
    torch.testing.assert_close(own - own[0], rows(theta) - rows(theta)[0])
    assert all(law.support()[0] == 0 for law in lynx_hare.prior.values())


def test_reference_draws_satisfy_steins_identity(reference):
    # E[grad log p] = 0 and E[u_i d_j log p] = -[i = j] under p alone
    u = torch.from_numpy(np.log(reference[::2])).requires_grad_()
    score = torch.autograd.grad(log_posterior(u).sum(), u)[0]
    z = (u - u.mean(dim=0)).detach()
    products = z[:, :, None] * score[:, None] + torch.eye(8)
    for terms in (score, products):
        error = terms.std(dim=0) / len(terms) ** 0.5
        assert (terms.mean(dim=0).abs() < 5 * error).all()


@pytest.mark.slow
def test_metropolis_leaves_reference_draws_where_they_are(reference):
    rng = torch.Generator().manual_seed(1)
    u = torch.from_numpy(np.log(reference))
    first = u = u[torch.randperm(len(u), generator=rng)[:1000]]
    stride = torch.linalg.cholesky(u.T.cov()) * 2.38 / 8**0.5
    density, accepted = log_posterior(u), 0.0
    for _ in range(40):
        proposal = u + torch.randn(u.shape, generator=rng) @ stride.T
        proposed = log_posterior(proposal)
        accept = torch.rand(len(u), generator=rng).log() < proposed - density
        u = torch.where(accept[:, None], proposal, u)
        density = torch.where(accept, proposed, density)
        accepted += accept.double().mean() / 40
    assert 0.15 < accepted < 0.5  # it moves
    centre, deviation = first.mean(dim=0), first.std(dim=0)
    before, after = (first - centre) / deviation, (u - centre) / deviation
    assert (before * after).mean(dim=0).max() < 0.6  # far enough to have found another place
    for moment in (lambda z: z, lambda z: z**2, lambda z: z * z.roll(1, dims=1)):
        change = moment(after) - moment(before)
        assert (change.mean(dim=0).abs() < 5 * change.std(dim=0) / len(u) ** 0.5).all()


# The data.


def test_observation_is_the_file_with_hares_first():
    path = Path(lynx_hare.__file__).parent / "data" / "lynx_hare.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    assert [int(row["year"]) for row in rows] == list(range(1900, 1921))
    pelts = torch.tensor([[float(row["hare"]), float(row["lynx"])] for row in rows])
    assert torch.equal(lynx_hare.x_obs, pelts.float())
    assert lynx_hare.x_obs[0].tolist() == [30.0, 4.0]
