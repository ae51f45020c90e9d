"""Resampling: as often as the weights say, and in random order."""

import math

import torch

from lfi.numerics.resampling import systematic_resampling, take_rows


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_systematic_rows_come_as_often_as_their_weights_say():
    weights = torch.rand(3, 50, generator=seeded())
    weights = weights / weights.sum(1, keepdim=True)
    rows = systematic_resampling(weights.log(), 1_000, seeded())
    for j in range(3):
        counts = rows[j].bincount(minlength=50)
        assert ((counts - 1_000 * weights[j]).abs() < 1).all()
    again = systematic_resampling(weights.log() + 3.0, 1_000, seeded())  # they need not sum to 1
    assert torch.equal(again, rows)


def test_systematic_rows_are_unbiased_and_in_random_order():
    rows = systematic_resampling(torch.tensor([[0.9, 0.1]]).log().repeat(20_000, 1), 1, seeded())
    assert abs(rows.double().mean() - 0.1) < 5 * math.sqrt(0.09 / 20_000)
    rows = systematic_resampling(torch.full((1, 1_000), -math.log(1_000)), 1_000, seeded())[
        0
    ].double()
    serial = torch.corrcoef(torch.stack([rows[1:], rows[:-1]]))[0, 1]
    assert abs(serial) < 5 / math.sqrt(1_000)


def test_taking_rows_takes_each_observations_own():
    u = torch.randn(2, 5, 3)
    rows = torch.tensor([[4, 0], [1, 1]])
    assert torch.equal(take_rows(u, rows), torch.stack([u[0, [4, 0]], u[1, [1, 1]]]))
