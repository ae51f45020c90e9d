"""How long a job takes, and how many simulations follow from it."""

import time

import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.cli.timing import (
    BUDGET,
    MIN_BUDGET,
    MINUTES,
    SURROGATE_SECONDS,
    default_budget,
    estimate,
    seconds_per_simulation,
)


@pytest.mark.parametrize("workers", [1, 2, 16])
@pytest.mark.parametrize("power", range(-6, 4))
def test_the_default_budget_is_what_ten_minutes_allow(power, workers):
    seconds = 10.0**power
    budget, allowed = default_budget(seconds, workers), 60 * MINUTES * workers / seconds
    assert MIN_BUDGET <= budget <= BUDGET
    if MIN_BUDGET < budget < BUDGET:
        assert allowed / 2.5 <= budget <= allowed  # round numbers: 1, 2 or 5 and zeros
        assert str(budget).rstrip("0") in ("1", "2", "5")
    else:
        assert budget == (BUDGET if allowed >= BUDGET else MIN_BUDGET)


@pytest.mark.parametrize(("minutes", "after"), [(None, 0.0), (1.0, SURROGATE_SECONDS)])
def test_a_surrogate_takes_time_where_it_is_not_trained_beside_a_fit(minutes, after):
    settings = {"budget": 10, "rounds": 1, "minutes": minutes}
    without, with_one = (
        estimate(settings | {"surrogate": surrogate}, 0.1, 1)[1] for surrogate in (False, True)
    )
    assert with_one - without == pytest.approx(after)


def test_a_simulator_is_timed_by_few_calls():
    calls = []

    def slow(theta):
        calls.append(len(theta))
        time.sleep(0.05 * len(theta))
        return theta

    simulator = lfi.Simulator(slow, prior={"mean": Normal(0.0, 1.0)})
    assert seconds_per_simulation(simulator, 1) >= 0.05  # sleep is never shorter
    assert calls == [1, 8]  # 0.05 s tell too little, 0.4 s enough


def test_a_fast_simulator_is_timed_by_a_whole_block():
    simulator = lfi.Simulator(lambda theta: theta + torch.rand(1), prior={"mean": Normal(0.0, 1.0)})
    assert 0 < seconds_per_simulation(simulator, 1) < 0.3
