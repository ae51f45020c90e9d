"""Levels: their nearest, their noise; bits per dimension against known ones, in any unit."""

import math

import pytest
import torch

from lfi.generation.flows.dequantisation import DequantisedBatches, Levels, bits_of
from lfi.training import Shuffled


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_uniform_on_256_levels_costs_8_bits_in_any_unit():
    for unit in (1.0, 1 / 255):
        x = torch.randint(256, (20, 3)) * unit
        density = -3 * math.log(256 * unit)
        found = bits_of(lambda x, c=density: torch.full((len(x),), c), x, Levels(unit), 3, rng())
        torch.testing.assert_close(found, torch.full((20,), 8.0))


def test_bits_do_not_depend_on_the_unit_of_levels():
    x, normal = torch.randint(5, (20, 2)).double(), torch.distributions.Normal(2.0, 1.5)
    plain = bits_of(lambda x: normal.log_prob(x).sum(1), x, Levels(1.0), 4, rng())
    scaled = bits_of(
        lambda y: normal.log_prob(y / 7).sum(1) - 2 * math.log(7), 7 * x, Levels(7.0), 4, rng()
    )
    torch.testing.assert_close(plain, scaled)


def test_more_draws_tighten_the_bound_towards_the_cells_probability():
    normal = torch.distributions.Normal(0.0, 0.3)
    x = torch.zeros(4_000, 1)
    exact = -math.log2(normal.cdf(torch.tensor(0.5)) - normal.cdf(torch.tensor(-0.5)))
    few, many = (
        bits_of(lambda x: normal.log_prob(x).sum(1), x, Levels(1.0), k, rng()) for k in (1, 64)
    )
    error = 5 * many.std() / len(x) ** 0.5
    assert exact - error < many.mean() < exact + 0.02
    assert few.mean() > exact + 0.1


def test_data_between_levels_are_refused():
    with pytest.raises(ValueError, match=r"data must be levels 0.5 apart, 0 among them, got 0.3"):
        Levels.of("data", torch.tensor([[0.0], [0.3], [1.0]]), 0.5)
    assert Levels.of("data", torch.tensor([[0.25], [1.25]]), 0.5).origin == 0.25


def test_batches_get_new_noise_of_their_cells_and_keep_their_place():
    rows = torch.arange(6.0)[:, None].expand(6, 2)
    batches = DequantisedBatches(Shuffled((rows,), size=6), torch.tensor([1.0, 0.1]))
    first, second = (batches.draw(rng(1))[0] for _ in range(2))
    off = first - first.round()
    assert (off[:, 1].abs() <= 0.05 + 1e-12).all()
    assert (off[:, 0].abs() > 0.05).any()
    again = DequantisedBatches(Shuffled((rows,), size=6), torch.tensor([1.0, 0.1]))
    again.go_to(batches.position_of())
    assert torch.equal(again.draw(rng(3))[0], batches.draw(rng(3))[0])
    assert torch.equal(first, second)  # the same generator's numbers
