"""Checks of simulators: each mistake is told in words, and a good simulator passes."""

import random
import time

import numpy as np
import pytest
import torch
from torch.distributions import Normal, Uniform

import lfi
from simulators import influenza

PRIOR = {"a": Uniform(1.0, 2.0), "b": Normal(0.0, 1.0)}
RESERVED = random.SystemRandom()


def noisy(theta: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    return theta.square() + torch.randn(theta.shape, generator=rng)


def one(theta, rng):
    return theta.numpy() + rng.normal(size=2)


def check(function, **options):
    return lfi.Simulator(function, prior=PRIOR, **options).check(seed=1)


def test_good_simulators_pass():
    for found in (
        check(noisy, differentiable=True),
        check(one, batched=False),
        check(noisy, trials=3),
        lfi.simulation.as_simulator(influenza).check(seed=1),
    ):
        assert found.ok, str(found)
        assert found.seconds > 0 and found.failed == 0 and "10,000 take" in str(found)
    assert check(noisy, trials=3).x_shape == (3, 2)


def detached(theta, rng: torch.Generator):
    return theta.detach() + torch.randn(theta.shape, generator=rng)


def half_detached(theta, rng: torch.Generator):
    noise = torch.randn(len(theta), generator=rng)
    return (theta[:, 0] * theta[:, 1].detach() + theta[:, 1] + noise)[:, None]


def counted(theta, rng: torch.Generator):
    rate = theta[:, :1].exp()
    return torch.poisson(rate, generator=rng) + 0 * rate


def jumping(theta, rng: torch.Generator):
    steps = torch.floor(1e7 * theta).sin()  # other noise at every other theta
    return theta + steps + torch.randn(theta.shape, generator=rng)


def raising(theta, rng):
    if theta[0] > 1.5:
        raise ValueError("a is too large")
    return rng.normal(theta)


@pytest.mark.parametrize(
    "function, options, says",
    [
        (lambda theta: theta, {}, "other seeds give the same data"),
        (lambda theta: theta + RESERVED.random(), {}, "equal seeds give different data"),
        (lambda theta, rng: theta + rng.normal(), {}, "all rows of a batch get the same random"),
        (
            raising,
            {"batched": False},
            "simulations raise, the first one ValueError('a is too large')",
        ),
        (lambda theta, rng: np.log(rng.normal(size=2)), {"batched": False}, "are not finite"),
        (lambda theta, rng: [rng.normal(), 3.0], {"batched": False}, "1 of 2 entries of x never"),
        (noisy, {"x_obs": torch.zeros(3)}, "x_obs has shape (3,), and a simulated x (2,)"),
        (detached, {"differentiable": True}, "x does not depend on theta through torch"),
        (half_detached, {"differentiable": True}, "its gradient in b is"),
        (counted, {"differentiable": True}, "all of them are zero"),
        (jumping, {"differentiable": True}, "x is not smooth in a"),
    ],
    ids=lambda value: getattr(value, "__name__", None) if callable(value) else "",
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in log")
@pytest.mark.filterwarnings("ignore:__array_wrap__")
def test_mistakes_are_told(function, options, says):
    found = check(function, **options)
    assert says in str(found) and not found.ok


def test_slow_simulators_are_called_less_often():
    calls = []

    def slow(theta, rng):
        calls.append(1)
        time.sleep(0.05)
        return rng.normal(size=2)

    found = lfi.Simulator(slow, prior=PRIOR, batched=False).check(seed=1, max_seconds=2.0)
    assert found.ok and len(calls) < 40
    assert found.seconds == pytest.approx(0.05, rel=0.5) and " min " in str(found)


def test_simulators_of_one_number_are_checked():
    def single(theta: torch.Tensor, rng: torch.Generator):
        return theta.sum(1) + torch.randn(len(theta), generator=rng)

    assert check(single).ok
