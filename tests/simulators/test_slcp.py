"""SLCP, plain and among distractors: its covariance, its likelihood, and where its numbers hide."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from simulators import slcp, slcp_distractors

# two of sbibm's, and where the covariance is all but singular
THETA = torch.cat(
    [
        slcp.true_parameters[:2].double(),
        torch.tensor(
            [
                [0.5, -1.0, 0.0, 0.0, 3.0],
                [0.5, -1.0, 0.03, 3.0, 3.0],
                [0.5, -1.0, 3.0, 0.03, -3.0],
                [0.5, -1.0, 3.0, 3.0, 3.0],
            ],
            dtype=torch.float64,
        ),
    ]
)


def covariance(theta):
    """As sbibm writes it."""
    s_1, s_2, rho = theta[2] ** 2, theta[3] ** 2, math.tanh(theta[4])
    return np.array([[s_1**2 + 1e-6, rho * s_1 * s_2], [rho * s_1 * s_2, s_2**2 + 1e-6]])


def noise(x):
    """The 92 numbers of x that are not slcp's."""
    order = slcp_distractors.distractors()[2]
    return x[:, order.argsort()[8:]]


# The likelihood.


@pytest.mark.parametrize("theta", THETA.tolist(), ids=str)
def test_points_have_the_mean_and_covariance_of_the_task(theta):
    n = 20_000
    rows = torch.tensor(theta).expand(n, 5)
    points = slcp.simulate(rows, torch.Generator().manual_seed(1)).reshape(n, 4, 2)
    exact = torch.from_numpy(covariance(theta))
    spread = exact.diagonal().sqrt()
    z = (points - torch.tensor(theta[:2])) / spread
    assert (z.mean(dim=0).abs() < 5 / n**0.5).all()
    # products of two normal numbers of correlation rho have variance 1 + rho^2
    correlation = exact / spread[:, None] / spread
    products = torch.einsum("nki,nkj->kij", z, z) / n
    assert ((products - correlation).abs() < 5 * (1 + correlation**2).sqrt() / n**0.5).all()
    # and the four points are independent
    apart = torch.corrcoef(z[..., 0].T) - torch.eye(4)
    assert apart.abs().max() < 5 / n**0.5


@pytest.mark.parametrize("theta", THETA.tolist(), ids=str)
def test_log_likelihood_is_scipys(theta):
    rows = torch.tensor(theta).expand(5, 5)
    x = slcp.simulate(rows, torch.Generator().manual_seed(1))
    law = scipy.stats.multivariate_normal(theta[:2], covariance(theta))
    exact = torch.from_numpy(law.logpdf(x.reshape(5, 4, 2).numpy()).sum(axis=1))
    # SciPy inverts a matrix of condition number up to 1e8 from rounded entries
    torch.testing.assert_close(slcp.log_likelihood(rows, x), exact, rtol=1e-6, atol=1e-6)


def test_log_likelihood_in_float32_keeps_five_digits():
    x = slcp.simulate(THETA, torch.Generator().manual_seed(1)).float()
    exact = slcp.log_likelihood(THETA.float().double(), x.double())
    ours = slcp.log_likelihood(THETA.float(), x)
    torch.testing.assert_close(ours.double(), exact, rtol=1e-5, atol=1e-3)


def test_log_likelihood_has_the_gradient_of_its_differences():
    theta = slcp.true_parameters[:4].double().requires_grad_()
    x = slcp.observations[:4].double()
    assert torch.autograd.gradcheck(lambda t: slcp.log_likelihood(t, x), theta)


def test_signs_of_the_roots_leave_no_trace():
    theta, x = slcp.true_parameters.double(), slcp.observations.double()
    for signs in ([1, 1, -1, 1, 1], [1, 1, 1, -1, 1], [1, 1, -1, -1, 1]):
        flipped = theta * torch.tensor(signs)
        assert torch.equal(slcp.log_likelihood(flipped, x), slcp.log_likelihood(theta, x))


# The distractors.


def test_observations_hide_those_of_slcp():
    x = slcp_distractors.observations
    order = slcp_distractors.distractors()[2]
    assert torch.equal(x[:, order.argsort()[:8]], slcp.observations)
    assert sorted(order.tolist()) == list(range(100))


def test_log_likelihood_is_that_of_what_is_hidden():
    theta = slcp.true_parameters.double()
    hidden = slcp.log_likelihood(theta, slcp.observations.double())
    x = slcp_distractors.observations.double()
    assert torch.equal(slcp_distractors.log_likelihood(theta, x), hidden)


def test_float64_cannot_give_the_density_of_the_distractors():
    mu, roots, _ = slcp_distractors.distractors()
    assert torch.linalg.cond(roots).min() > 1e12
    z = torch.randn(20, 92, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    back = torch.linalg.solve_triangular(
        roots, mu[..., None] + roots @ z - mu[..., None], upper=False
    )
    assert (back - z).abs().max() > 1e3  # where z is of the order of one


def test_distractors_are_a_mixture_of_student_distributions():
    mu, roots, _ = slcp_distractors.distractors()
    n = 20_000
    theta = slcp.true_parameters[:1].double().expand(n, 5)
    w = noise(slcp_distractors.simulate(theta, torch.Generator().manual_seed(1)))
    # a projection of a Student t vector is a Student t number
    sides = torch.randn(5, 92, generator=torch.Generator().manual_seed(2))
    sides = torch.cat([sides, torch.eye(92)[:5]])
    for side in sides:
        centres = (mu @ side).numpy()
        widths = (roots.transpose(1, 2) @ side).norm(dim=1).numpy()
        cdf = lambda t, a=centres, b=widths: scipy.stats.t.cdf(t[:, None], 2, a, b).mean(axis=1)
        assert scipy.stats.kstest((w @ side).numpy(), cdf).pvalue > 1e-5


def test_distractors_do_not_depend_on_theta():
    rng = lambda: torch.Generator().manual_seed(1)
    theta = slcp.true_parameters.double()
    first = noise(slcp_distractors.simulate(theta, rng()))
    assert torch.equal(first, noise(slcp_distractors.simulate(theta.flip(0), rng())))
