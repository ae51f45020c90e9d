"""Stacking: the weights of the least held-out log-loss."""

import pytest
import torch
import torch.nn.functional as F

from lfi.training import minimise_in_bounds, stack, stacking_weights


def samples(n=4_000):
    return 1 + torch.randn(n), torch.randn(n)


def log_loss(w, h_p, h_q):
    return F.softplus(-(w @ h_p)).mean() + F.softplus(w @ h_q).mean()


@pytest.mark.parametrize("sizes", [(500, 500), (300, 2_000)])
def test_no_other_weights_do_better(sizes):
    x_p, x_q = 1 + torch.randn(sizes[0]), torch.randn(sizes[1])
    values = [torch.stack([0.7 * x, 2 * x - 1, torch.sin(3 * x) - 0.2]) for x in (x_p, x_q)]
    weights = stack(*values)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    grid = torch.cartesian_prod(*[torch.linspace(0, 1, 41)] * 2)
    grid = grid[grid.sum(1) <= 1]
    simplex = torch.cat([grid, 1 - grid.sum(1, keepdim=True)], dim=1)
    best = min(log_loss(w, *values) for w in simplex)
    assert log_loss(weights, *values) <= best + 1e-7


def test_the_exact_ratio_outweighs_noise_and_what_is_too_sure():
    x_p, x_q = samples()
    for other in (lambda x: 4 * (x - 0.5), lambda x: torch.sin(9 * x)):
        weights = stack(*(torch.stack([x - 0.5, other(x)]) for x in (x_p, x_q)))
        assert weights[0] > 0.8


def test_one_critic_has_all_the_weight():
    x_p, x_q = samples(50)
    assert stack(x_p[None], x_q[None]).tolist() == [1.0]


@pytest.mark.parametrize("seed", range(10))
def test_a_critic_that_has_exploded_gets_no_weight(seed):
    torch.manual_seed(seed)
    x_p, x_q = samples(200)
    weights = stack(*(torch.stack([x - 0.5, 1e4 * (x - 0.5)]) for x in (x_p, x_q)))
    assert weights[0] > 0.99


def test_equal_critics_may_share():
    x_p, x_q = samples(100)
    weights = stack(torch.stack([x_p, x_p]), torch.stack([x_q, x_q]))
    assert weights.sum() == pytest.approx(1)


def test_weights_of_any_risk_are_non_negative_and_may_be_limited():
    x = torch.linspace(-1, 1, 50)
    models = torch.stack([x, x.square(), -x])

    def risk(w):
        return (w @ models - (3 * x - x.square())).square().mean()

    free, limited = stacking_weights(risk, 3), stacking_weights(risk, 3, max_weight=2.0)
    assert free.tolist() == pytest.approx([3.0, 0.0, 0.0], abs=1e-4)
    assert limited.tolist() == pytest.approx([2.0, 0.0, 0.0], abs=1e-4)


def test_numbers_without_bounds_may_have_any_sign():
    found = minimise_in_bounds(
        lambda w: (w - torch.tensor([-3.0, -2.0])).square().sum(),
        [0.0, 0.0],
        [(None, None), (-1.0, 1.0)],
    )
    assert found.tolist() == pytest.approx([-3.0, -1.0], abs=1e-5)
