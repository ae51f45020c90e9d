"""Simulators made of a function of parameters and noise."""

import math

import pytest
import torch
from torch.distributions import Exponential, Normal, Uniform

import lfi
from lfi.numerics.noise_law import as_noise_law
from lfi.simulation import Pushforward

PRIOR = {"mean": Uniform(0.0, 9.0)}


def scaled(theta, u):
    return theta * u.sum(-1, keepdim=True)


def test_noise_is_that_of_its_law_and_what_x_was_made_of():
    noise = [Normal(1.0, 2.0), Uniform(torch.tensor([-1.0, 3.0]), torch.tensor([1.0, 4.0]))]
    made, n = Pushforward(scaled, noise), 20_000
    x, u = made.with_noise(torch.full((n, 1), 2.0), torch.Generator().manual_seed(1))
    assert u.shape == (n, 3)
    torch.testing.assert_close(x, 2 * u.sum(1, keepdim=True))
    low, high = u[:, 1:].amin(0), u[:, 1:].amax(0)
    assert (low >= torch.tensor([-1.0, 3.0])).all() and (high <= torch.tensor([1.0, 4.0])).all()
    # 4 errors of a mean; of a deviation, at most 1 / sqrt(2 n) of it
    means, sds = torch.tensor([1.0, 0.0, 3.5]), torch.tensor([2.0, 3**-0.5, 12**-0.5])
    assert ((u.mean(0) - means).abs() < 4 * sds / math.sqrt(n)).all()
    assert ((u.std(0) / sds - 1).abs() < 4 / math.sqrt(2 * n)).all()
    standard = as_noise_law(noise).standardised(u)
    assert (standard.mean(0).abs() < 4 / math.sqrt(n)).all()
    assert ((standard.std(0) - 1).abs() < 4 / math.sqrt(2 * n)).all()


def test_it_is_a_simulator_like_others():
    made = Pushforward(scaled, Normal(0.0, 1.0))
    simulator = lfi.Simulator(made, prior=PRIOR, differentiable=True)
    theta = torch.ones(5, 1, requires_grad=True)
    x = simulator(theta, seed=3)
    assert simulator.name == "scaled" and torch.equal(x, simulator(theta, seed=3))
    x.sum().backward()
    torch.testing.assert_close(theta.grad, x.detach())  # of theta u, at theta = 1
    assert len(lfi.simulate(simulator, 10, seed=1).x) == 10
    rows = lfi.Simulator(made, prior=PRIOR, batched=False)
    assert rows(torch.ones(5, 1), seed=3).unique().numel() == 5


def test_a_store_tells_one_noise_from_another():
    of = lambda noise: lfi.Simulator(Pushforward(scaled, noise), prior=PRIOR).identity
    assert of(Normal(0.0, 1.0)) == of(Normal(0.0, 1.0))
    assert len({of(Normal(0.0, 1.0)), of(Normal(0.0, 2.0)), of(Uniform(0.0, 1.0))}) == 3


def test_what_is_no_function_or_no_law_is_refused():
    with pytest.raises(TypeError, match="function must be a function, got 3"):
        Pushforward(3, Normal(0.0, 1.0))
    with pytest.raises(TypeError, match="noise must be Normal or Uniform"):
        Pushforward(scaled, Exponential(1.0))
