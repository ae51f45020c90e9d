"""Contrastive losses, on a discrete joint in exact expectation over rows of K pairs."""

import math

import pytest
import torch
from comparisons import CONTRASTIVE, JOINT, log_ratio, minimise
from torch.distributions import Binomial

from lfi.comparison import NREB, NREC, Bernoulli, InfoNCE, Recovers, WithPrior

each = pytest.mark.parametrize("loss", CONTRASTIVE, ids=repr)
each_k = pytest.mark.parametrize("k", [2, 4, 20])


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
@pytest.mark.parametrize("gamma", [0.01, 1.0, 100.0])
def test_nrec_recovers_the_log_ratio(k, gamma):
    h = minimise(risk(NREC(gamma), k), JOINT.shape)
    torch.testing.assert_close(h, log_ratio(), atol=1e-5, rtol=0)


@each_k
def test_nreb_recovers_the_log_ratio_up_to_a_function_of_x(k):
    h = minimise(risk(NREB(), k), JOINT.shape)
    torch.testing.assert_close(h[1] - h[0], log_ratio()[1] - log_ratio()[0], atol=1e-5, rtol=0)


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


@pytest.mark.parametrize("gamma", [0.1, 1.0, 10.0])
def test_nrec_of_one_column_is_the_binary_loss(gamma):
    h_p, h_q = torch.randn(8, 1), torch.randn(8, 1)
    binary = WithPrior(Bernoulli(), gamma / (1 + gamma))
    torch.testing.assert_close(NREC(gamma)(h_p, h_q), binary(h_p, h_q))


@each
def test_leading_dimensions_are_more_rows(loss):
    h_p, h_q = torch.randn(3, 8, 5), torch.randn(3, 8, 5)
    torch.testing.assert_close(loss(h_p, h_q), loss(h_p.flatten(0, 1), h_q.flatten(0, 1)))


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
