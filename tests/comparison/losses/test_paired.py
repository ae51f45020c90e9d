"""Paired relativistic losses: those of all pairs, on the pairs in which rows stand."""

import pytest
import torch

from lfi.comparison import Brier, CriticLoss, GeneratorLoss, Paired, Recovers, Relativistic


def test_the_mean_over_all_ways_to_pair_is_the_relativistic_loss():
    h_p, h_q = torch.randn(7), torch.randn(7)
    for one, every in ((Paired(), Relativistic()), (Paired(Brier()), Relativistic(Brier()))):
        for side in ("__call__", "generator", "value"):
            rolled = [getattr(one, side)(h_p, h_q.roll(k)) for k in range(7)]
            expected = getattr(every, side)(h_p, h_q)
            torch.testing.assert_close(torch.stack(rolled).mean(), expected)


def test_a_constant_changes_nothing():
    h_p, h_q = torch.randn(7), torch.randn(7)
    torch.testing.assert_close(Paired()(h_p + 9, h_q + 9), Paired()(h_p, h_q))
    assert Paired.recovers is Recovers.UP_TO_CONSTANT
    assert isinstance(Paired(), CriticLoss)
    assert isinstance(Paired(), GeneratorLoss)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_players_want_the_opposite(side):
    h_q = torch.randn(7, requires_grad=True)
    loss = Paired()
    value = loss(torch.randn(7), h_q) if side > 0 else loss.generator(torch.randn(7), h_q)
    (gradient,) = torch.autograd.grad(value, h_q)
    assert (side * gradient > 0).all()
