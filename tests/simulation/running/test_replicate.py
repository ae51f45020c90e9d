"""Replicates: data at given parameters, with failures as NaN."""

import pytest
import torch
from support.records import batched, of_one
from torch.distributions import Normal

from lfi.simulation.records.results import ERROR, OK
from lfi.simulation.running.replicate import replicate, simulate_at
from lfi.simulation.simulators.simulator import Simulator

PRIOR = {"mean": Normal(0.0, 1.0)}


def test_rows_belong_to_their_parameters_also_beyond_one_block():
    theta = torch.arange(2500.0)[:, None]
    double = Simulator(lambda theta: 2 * theta, prior=PRIOR)
    torch.testing.assert_close(replicate(double, theta, seed=1), 2 * theta, check_dtype=False)


def test_blocks_have_random_numbers_of_their_own_and_seeds_repeat_them():
    noise = Simulator(lambda theta: torch.randn(len(theta), 1), prior=PRIOR)
    x = replicate(noise, torch.zeros(2048, 1), seed=1)
    assert not torch.equal(x[:1024], x[1024:])
    assert torch.equal(x, replicate(noise, torch.zeros(2048, 1), seed=1))


def raising(theta: torch.Tensor) -> torch.Tensor:
    if (theta < 0).any():
        raise ArithmeticError("negative")
    return theta.repeat(1, 2)


def test_rows_that_raise_are_nan_also_where_a_whole_block_does():
    theta = torch.ones(1030, 1)
    theta[:1024] = -1
    x = replicate(Simulator(raising, prior=PRIOR), theta, seed=1)
    assert x[:1024].isnan().all() and (x[1024:] == 1).all()


def test_a_simulator_that_always_raises_says_why():
    with pytest.raises(RuntimeError, match="raising raised at all of 3") as error:
        replicate(Simulator(raising, prior=PRIOR), -torch.ones(3, 1), seed=1)
    assert isinstance(error.value.__cause__, ArithmeticError)


@pytest.mark.parametrize("shape", [(3, 2), (0, 1)])
def test_parameters_of_another_shape_are_an_error(shape):
    with pytest.raises(ValueError, match=r"theta must (have shape \(n, 1\)|hold at least one)"):
        replicate(Simulator(raising, prior=PRIOR), torch.zeros(shape), seed=1)


def test_outcomes_at_given_parameters_are_those_of_replicates_with_status():
    theta = torch.cat([torch.full((3, 1), 0.05), torch.linspace(0.2, 0.9, 9)[:, None]])
    theta = torch.cat([theta, torch.zeros(12, 1)], dim=1)
    block = simulate_at(of_one(), theta, seed=1)
    assert block.codes.tolist() == [ERROR] * 3 + [OK] * 9
    assert "a is too small" in block.errors[0]
    expected = replicate(of_one(), theta, seed=1)
    torch.testing.assert_close(block.x, expected, rtol=0, atol=0, equal_nan=True)
    many = torch.rand(2_500, 2)  # several blocks
    expected = replicate(batched(), many, seed=2)
    assert torch.equal(simulate_at(batched(), many, seed=2).x, expected)


@pytest.mark.slow  # two fresh Pythons
def test_outcomes_at_given_parameters_are_the_same_for_any_number_of_workers():
    theta = torch.rand(50, 2)
    alone, two = (simulate_at(of_one(), theta, seed=1, workers=n) for n in (1, 2))
    torch.testing.assert_close(alone.x, two.x, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(alone.codes, two.codes)
