"""Draws and observations: what they hold, what they refuse."""

import pytest
import torch

from lfi.inference.types import Draws, observations


def draws():
    theta = torch.tensor([[1.0, 2.0, 3.0], [1.0, 5.0, 6.0]])
    r_hat = torch.tensor([1.0, 1.1, 1.2])
    return Draws(theta, ("a", "b", "c"), "ensemble", 2.0, 2, 0.1, r_hat, 0.3, 10, 0.1, 1)


def test_marginals_are_columns_in_the_order_asked_for():
    some = draws().marginal(["c", "a"])
    assert some.names == ("c", "a")
    assert torch.equal(some.theta, torch.tensor([[3.0, 1.0], [6.0, 1.0]]))
    assert torch.equal(some.r_hat, torch.tensor([1.2, 1.0]))
    assert draws().marginal(["a"]).unique == 1


def test_marginals_of_unknown_parameters_are_refused():
    with pytest.raises(ValueError, match="no parameter 'd' among a, b, c"):
        draws().marginal(["a", "d"])


@pytest.mark.parametrize(
    ("x", "shape", "batch", "single"),
    [
        (torch.zeros(3), (3,), (1, 3), True),
        (torch.zeros(2, 3), (3,), (2, 3), False),
        (1.5, (), (1,), True),
        ([1.5, 2.5], (), (2,), False),
        (torch.zeros(4, 4), (4, 4), (1, 4, 4), True),
    ],
)
def test_one_observation_or_many(x, shape, batch, single):
    rows, alone = observations(x, shape)
    assert rows.shape == batch
    assert rows.dtype == torch.float32
    assert alone is single
