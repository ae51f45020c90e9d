"""Critics of pairs against formulas: the exponential family is exact for linear Gaussians."""

import pytest
import torch
from torch import nn

from lfi.networks import PairCritic, build_critic
from lfi.networks.critics.pair import ExponentialFamily, inner

INF = float("inf")


def single(*shape):
    return torch.randn(*shape, dtype=torch.float32)


def kinds():
    yield PairCritic([0.0, -INF], [1.0, INF], (5,), width=16)
    yield PairCritic([0.0, -INF], [1.0, INF], (5,), width=16, rank=6)
    yield PairCritic([0.0, -INF], [1.0, INF], (5,), width=16, head_layers=1)
    yield PairCritic([0.0, -INF], [1.0, INF], (5,), width=16, rank=6, head_layers=1, layers=1)


each_kind = pytest.mark.parametrize(
    "critic", list(kinds()), ids=["exponential family", "bilinear", "MLP", "bilinear and MLP"]
)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((7, 3), (3,)),
        ((7, 3), (1, 3)),
        ((7, 3), (4, 1, 3)),
        ((1, 7, 3), (4, 1, 3)),
        ((4, 7, 3), (4, 1, 3)),
        ((7, 3), (7, 3)),
        ((5, 7, 3), (7, 3)),
        ((3,), (7, 3)),
        ((1, 3), (7, 1, 3)),
        ((2, 1, 7, 3), (4, 1, 3)),
    ],
    ids=str,
)
def test_inner_products_broadcast_as_a_product_and_a_sum_do(a, b):
    a, b = torch.randn(*a), torch.randn(*b)
    torch.testing.assert_close(inner(a, b), (a * b).sum(-1))


@each_kind
def test_pairing_embeddings_equals_evaluating_pairs(critic):
    critic = critic.eval()
    theta, x = torch.rand(3, 2, dtype=torch.float32), single(4, 5)
    tables = [
        critic.pair(critic.embed_theta(theta), critic.embed_x(x)[:, None]),
        critic.pair(critic.embed_theta(theta)[None], critic.embed_x(x)[:, None]),
    ]
    for table in tables:
        for i in range(4):
            for j in range(3):
                torch.testing.assert_close(table[i, j], critic(theta[j : j + 1], x[i : i + 1])[0])


@each_kind
def test_a_critic_is_rebuilt_from_its_spec(critic):
    again = build_critic(critic.spec)
    again.load_state_dict(critic.state_dict())
    theta, x = torch.rand(3, 2, dtype=torch.float32), single(3, 5)
    assert torch.equal(again.eval()(theta, x), critic.eval()(theta, x))


def test_a_new_exponential_family_is_zero_and_a_new_bilinear_critic_small():
    theta, x = torch.rand(200, 2, dtype=torch.float32), single(200, 5)
    family, products, *_ = kinds()
    assert (family(theta, x) == 0).all()
    assert products.eval()(theta, x).std() < 0.3  # a hundredth of a nat of information


def test_the_family_holds_the_exact_ratio_of_a_linear_gaussian():
    # theta ~ N(0, I), x = M theta + N(0, I): log p(x | theta) = x . M theta - |M theta|^2 / 2 + ...
    family, m = ExponentialFamily(2, 3), single(3, 2)
    theta, x = single(50, 2), single(50, 3)
    with torch.no_grad():
        family.slope.weight.copy_(m.T)
        square = m.T @ m
        family.curvature.copy_(torch.stack([-square[0, 0] / 2, -square[0, 1], -square[1, 1] / 2]))
    exact = (x * (theta @ m.T)).sum(1) - (theta @ m.T).square().sum(1) / 2
    torch.testing.assert_close((family.phi(theta) * family.psi(x)).sum(-1), exact)


def test_a_critic_takes_over_where_another_ended():
    first, second, *_ = kinds()
    first.fit_from_data(torch.rand(50, 2, dtype=torch.float32), 3 + single(50, 5))
    with torch.no_grad():
        first.family.slope.weight.normal_()
    second.start_from(first)
    theta, x = torch.rand(20, 2, dtype=torch.float32), single(20, 5)
    with torch.no_grad():  # silence what the second adds
        for last in (second.theta_net.rest[-1], second.theta_net.straight):
            last.weight.zero_()
            if last.bias is not None:
                last.bias.zero_()
        second.x_net.rest[-1].weight.zero_()
        second.x_net.rest[-1].bias.zero_()
        second.x_net.straight.weight.zero_()
    torch.testing.assert_close(first.eval()(theta, x), second.eval()(theta, x))


def test_an_embedding_of_ones_own_stands_for_x():
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(dim=(-2, -1))[..., None]

    critic = PairCritic([0.0], [1.0], (4, 4), rank=3, width=8, embedding=Mean())
    assert critic.spec["embedding"] == "own"
    assert critic(torch.rand(6, 1, dtype=torch.float32), single(6, 4, 4)).shape == (6,)


def test_an_embedding_that_gives_no_vectors_is_refused():
    with pytest.raises(ValueError, match=r"embedding: x of shape \(2, 4, 4\) became \(2, 4, 4\)"):
        PairCritic([0.0], [1.0], (4, 4), embedding=nn.Identity())
