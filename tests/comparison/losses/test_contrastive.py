"""Contrastive losses, on a discrete joint in exact expectation over rows of K pairs."""

import math

import pytest
import torch
from support.comparisons import CONTRASTIVE, JOINT, log_ratio, minimise, quantiles
from torch.distributions import Binomial, Normal

from lfi.comparison import NREB, NREC, Bernoulli, InfoNCE, Recovers, WithPrior

each = pytest.mark.parametrize("loss", CONTRASTIVE, ids=repr)
each_k = pytest.mark.parametrize("k", [1, 2, 4, 20])
each_gamma = pytest.mark.parametrize("gamma", [0.01, 1.0, 100.0])


def rows(k):
    """Every row of k pairs up to the order of shuffled ones, as indices, with its probability.

    theta is 0 or 1; how many of the shuffled thetas are 1 is binomial.
    """
    joint, of_theta, of_x = JOINT / 20, JOINT.sum(1) / 20, JOINT.sum(0) / 20

    def shuffled(n):
        ones = torch.arange(n + 1.0)
        return (torch.arange(n) < ones[:, None]).long(), Binomial(n, of_theta[1]).log_prob(ones)

    others, weights = shuffled(k - 1)
    p = [
        (torch.cat([torch.tensor([theta]), row]), x, joint[theta, x] * weight.exp())
        for theta in range(2)
        for x in range(3)
        for row, weight in zip(others, weights, strict=True)
    ]
    q = [
        (row, x, of_x[x] * weight.exp())
        for x in range(3)
        for row, weight in zip(*shuffled(k), strict=True)
    ]
    for listed in (p, q):
        theta, x, weight = zip(*listed, strict=True)
        yield torch.stack(theta), torch.tensor(x)[:, None], torch.stack(weight)


def risk(loss, k):
    """The exact risk of a table of values: losses are a sum of a mean over p and one over q."""
    (theta_p, x_p, weight_p), (theta_q, x_q, weight_q) = rows(k)
    nought = torch.zeros(1, k)
    of_p = torch.vmap(lambda row: loss(row[None], nought))
    of_q = torch.vmap(lambda row: loss(nought, row[None]))

    def expected(h):
        on_p, on_q = of_p(h[theta_p, x_p]), of_q(h[theta_q, x_q])
        return weight_p @ on_p + weight_q @ on_q - loss(nought, nought)

    return expected


@each_k
def test_rows_have_probability_one(k):
    for *_, weight in rows(k):
        torch.testing.assert_close(weight.sum(), torch.tensor(1.0))


@each_k
@each_gamma
def test_nrec_recovers_the_log_ratio(k, gamma):
    h = minimise(risk(NREC(gamma), k), JOINT.shape)
    torch.testing.assert_close(h, log_ratio(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("k", [2, 4, 20])
def test_nreb_recovers_the_log_ratio_up_to_a_function_of_x(k):
    h = minimise(risk(NREB(), k), JOINT.shape)
    torch.testing.assert_close(h[1] - h[0], log_ratio()[1] - log_ratio()[0], atol=1e-5, rtol=0)


# Values: bounds of the mutual information.


def information():
    return (JOINT / 20 * log_ratio()).sum()


def value(loss, k, h):
    """The exact expectation of a loss's value, an affine function of its risk."""
    nought = torch.zeros(1, k)
    one, pi = torch.ones(1, k), loss.gamma / (1 + loss.gamma) if loss != NREB() else 1.0
    torch.testing.assert_close(
        loss.value(nought, nought) - loss.value(nought, one),
        (loss(nought, one) - loss(nought, nought)) / pi,
    )
    return loss.value(nought, nought) + (loss(nought, nought) - risk(loss, k)(h)) / pi


@each
@each_k
def test_no_critic_claims_more_than_the_mutual_information(loss, k):
    exact = value(loss, k, log_ratio())
    assert exact <= information() + 1e-12
    assert exact > 0 or (loss, k) == (NREB(), 1)  # which compares a pair with nothing
    for _ in range(5):
        assert value(loss, k, log_ratio() + torch.randn(JOINT.shape)) <= exact + 1e-12


def test_bounds_grow_towards_the_information_with_k_and_with_small_gamma():
    of_nreb = [value(NREB(), k, log_ratio()) for k in (2, 4, 20, 50)]
    assert of_nreb == sorted(of_nreb)
    assert of_nreb[-1] > 0.97 * information()
    of_nrec = [value(NREC(gamma), 1, log_ratio()) for gamma in (100.0, 1.0, 0.01, 1e-4)]
    assert of_nrec == sorted(of_nrec)
    torch.testing.assert_close(of_nrec[-1], information(), rtol=1e-3, atol=0)


@each_gamma
def test_nrecs_bound_is_what_a_row_tells_of_the_joint_pairs_place(gamma):
    """By Bayes' rule over places in rows of two pairs, at the exact ratio."""
    pi, k = gamma / (1 + gamma), 2
    joint, apart, of_x = JOINT / 20, JOINT.sum(1) / 20, JOINT.sum(0) / 20
    entropy = 0.0
    for x in range(3):
        for row in torch.cartesian_prod(torch.arange(2), torch.arange(2)):
            weights = [(1 - pi) * of_x[x] * apart[row].prod()]
            for place in range(k):
                rest = apart[row[1 - place]]
                weights.append(pi / k * joint[row[place], x] * rest)
            weights = torch.stack(weights)
            entropy = entropy - (weights * (weights / weights.sum()).log()).sum()
    places = torch.tensor([1 - pi, pi / k, pi / k])
    told = -(places * places.log()).sum() - entropy
    torch.testing.assert_close(value(NREC(gamma), k, log_ratio()), told / pi)


def test_of_two_pairs_the_generators_gradient_is_the_bounds():
    """The critic is exact and frozen, and q = N(mean, 1) moves against p = N(0, 1)."""
    mean = torch.tensor(1.0, requires_grad=True)
    log_r = lambda x, mean: (-(x**2) + (x - mean) ** 2) / 2

    def rows(of_p, of_q):
        return torch.stack(torch.broadcast_tensors(of_p[:, None], of_q), dim=-1).flatten(0, 1)

    sample = [quantiles(0.0, 1_500), quantiles(mean, 1_500)]
    h = rows(*(log_r(x, mean.detach()) for x in sample))
    (pathwise,) = torch.autograd.grad(NREB().generator(h, h), mean)
    grid = torch.linspace(-8, 9, 501)
    p, q = (Normal(m, 1.0).log_prob(grid).exp() * (grid[1] - grid[0]) for m in (0.0, mean))
    pairs = rows(*[log_r(grid, mean)] * 2)
    bound = ((p[:, None] * q).flatten() * (pairs[:, 0] - pairs.logsumexp(1))).sum()
    (derivative,) = torch.autograd.grad(bound, mean)
    assert derivative > 0
    torch.testing.assert_close(pathwise, derivative, rtol=0.01, atol=0)


def test_nreb_does_not_see_a_function_of_x():
    h_p, h_q, of_x = torch.randn(8, 5), torch.randn(8, 5), torch.randn(8, 1)
    torch.testing.assert_close(NREB()(h_p + of_x, h_q + of_x), NREB()(h_p, h_q))
    assert NREB().recovers is Recovers.UP_TO_X


@pytest.mark.parametrize("gamma", [0.01, 1.0, 3.0, 100.0])
def test_nrec_is_the_cross_entropy_of_its_k_and_one_classes(gamma):
    """Miller et al. 2022: class 0, no joint pair, has weight 1/(1+gamma)."""
    h_p, h_q, k = torch.randn(8, 5), torch.randn(8, 5), 5
    none = torch.log(k / (k + gamma * h_q.exp().sum(1)))
    first = torch.log(gamma * h_p[:, 0].exp() / (k + gamma * h_p.exp().sum(1)))
    expected = -none.mean() / (1 + gamma) - gamma / (1 + gamma) * first.mean()
    torch.testing.assert_close(NREC(gamma)(h_p, h_q), expected)


@each_gamma
def test_nrecs_value_is_what_is_left_of_the_entropy_over_pi(gamma):
    h_p, h_q, k, pi = torch.randn(8, 5), torch.randn(8, 5), 5, gamma / (1 + gamma)
    entropy = -pi * math.log(pi) - (1 - pi) * math.log(1 - pi)
    expected = (entropy + pi * math.log(k) - NREC(gamma)(h_p, h_q)) / pi
    torch.testing.assert_close(NREC(gamma).value(h_p, h_q), expected)


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_nrec_of_one_column_is_the_binary_loss(gamma):
    h_p, h_q = torch.randn(8, 1), torch.randn(8, 1)
    binary = WithPrior(Bernoulli(), gamma / (1 + gamma))
    torch.testing.assert_close(NREC(gamma)(h_p, h_q), binary(h_p, h_q))


@each
def test_leading_dimensions_are_more_rows(loss):
    h_p, h_q = torch.randn(3, 8, 5), torch.randn(3, 8, 5)
    flat = h_p.flatten(0, 1), h_q.flatten(0, 1)
    torch.testing.assert_close(loss(h_p, h_q), loss(*flat))
    torch.testing.assert_close(loss.value(h_p, h_q), loss.value(*flat))


@each
def test_gradients_are_finite_and_alive_where_the_critic_is_badly_wrong(loss):
    h_p = torch.tensor([[-1e4, 1e4, 0.0]], dtype=torch.float32, requires_grad=True)
    h_q = torch.tensor([[1e4, 1e4, 1e4]], dtype=torch.float32, requires_grad=True)
    of_p, of_q = torch.autograd.grad(loss(h_p, h_q), (h_p, h_q), allow_unused=True)
    assert of_p.isfinite().all()
    assert of_p[0, 0] < 0
    if loss != NREB():
        # float32 holds the logarithm of a sum near 10^4 to 5e-4, of one row's three values
        torch.testing.assert_close(of_q.sum().item(), 1 / (1 + loss.gamma), rtol=1e-3, atol=0)


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.inf, math.nan])
def test_nrec_needs_positive_odds(gamma):
    with pytest.raises(ValueError, match="gamma must be positive and finite"):
        NREC(gamma)


def test_infonce_is_an_alias():
    assert InfoNCE is NREB
