"""Draws: what they hold, what they refuse."""

import pytest
import torch

from lfi.inference.draws import Draws


def draws():
    theta = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 6.0]])
    r_hat = torch.tensor([1.0, 1.1, 1.2])
    return Draws(theta, ("a", "b", "c"), "smc", 2.0, 10, 0.1, 1, r_hat=r_hat)


def test_marginals_are_columns_in_the_order_asked_for():
    some = draws().marginal(["c", "a"])
    assert some.names == ("c", "a")
    assert torch.equal(some.theta, torch.tensor([[3.0, 1.0], [6.0, 1.0]]))
    assert torch.equal(some.r_hat, torch.tensor([1.2, 1.0]))
    assert draws().marginal(["a"]).unique == 1


def test_marginals_of_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="no parameter 'd' among a, b, c"):
        draws().marginal(["a", "d"])
