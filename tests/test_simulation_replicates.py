"""Replicates: data at given parameters, with failures as NaN."""

import pytest
import torch
from torch.distributions import Normal

from lfi.simulation.replicates import replicate
from lfi.simulation.simulator import Simulator

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
    with pytest.raises(ValueError, match=r"theta must hold values of mean, \(n, 1\)"):
        replicate(Simulator(raising, prior=PRIOR), torch.zeros(shape), seed=1)
