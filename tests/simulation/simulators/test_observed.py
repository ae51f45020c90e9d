"""Simulators of observed entries: the same numbers, of fewer entries, under another identity."""

import numpy as np
import pytest
import torch
from support.partly_observed import partly_observed
from torch.distributions import Normal

import lfi
from lfi.simulation import observed_entries, replicate
from lfi.simulation.simulators.labels import data_labels

NAN = float("nan")
PRIOR = {"mean": Normal(0.0, 1.0)}
GRID = torch.tensor([[0.1, NAN], [0.3, 0.4], [NAN, 0.6]], dtype=torch.float64)


def grid(**settings):
    """A simulator of x (n, 3, 2), theta plus noise."""
    simulate = lambda theta: theta[:, :, None] + torch.randn(len(theta), 3, 2)
    return lfi.Simulator(simulate, prior=PRIOR, **settings)


def test_x_and_x_obs_are_the_observed_entries_of_the_same_simulations():
    simulator, theta = grid(), torch.linspace(-1, 1, 5)[:, None]
    reduced = observed_entries(simulator, GRID)
    seen = [0, 2, 3, 5]
    assert reduced.x_obs.tolist() == [0.1, 0.3, 0.4, 0.6]
    assert torch.equal(reduced(theta, seed=3), simulator(theta, seed=3).flatten(1)[:, seen])
    whole, part = (lfi.simulate(s, 1_500, seed=1, progress=False) for s in (simulator, reduced))
    assert torch.equal(part.theta, whole.theta)
    assert torch.equal(part.x, whole.x.flatten(1)[:, seen])
    one = lambda theta, rng: rng.normal(theta, size=(3, 2))
    rows = lfi.Simulator(one, prior=PRIOR, batched=False)
    reduced = observed_entries(rows, GRID)
    assert torch.equal(reduced(theta, seed=3), rows(theta, seed=3).flatten(1)[:, seen])


def test_the_simulators_own_x_obs_is_the_default_and_a_complete_one_changes_no_shape():
    simulator = grid(x_obs=GRID)
    assert observed_entries(simulator).x_obs.shape == (4,)
    complete = observed_entries(simulator, torch.ones(3, 2))
    assert complete.identity == simulator.identity and complete.x_obs.tolist() == [[1.0, 1.0]] * 3
    assert simulator.x_obs is not None and simulator.x_obs.isnan().any()  # it is left as it was
    other = observed_entries(grid(x_obs=torch.ones(7)), GRID)  # of another experiment
    assert other.x_obs.shape == (4,)


def test_trials_become_one_vector_of_what_was_observed():
    simulate = lambda theta: theta + torch.randn(len(theta), 2)
    simulator = lfi.Simulator(simulate, prior=PRIOR, trials=3)
    reduced = observed_entries(simulator, GRID)
    assert replicate(reduced, torch.zeros(5, 1), seed=1).shape == (5, 4)
    assert simulator.independent_draws == 3 and reduced.independent_draws is None


def test_what_else_a_simulator_tells_is_kept():
    simulator = grid(units={"mean": "m"}, differentiable=True, name="grid")
    simulator = simulator.with_labels(x_names=("a", "b"), description="A grid.")
    reduced = observed_entries(simulator, GRID)
    assert (reduced.name, reduced.units, reduced.description) == ("grid", {"mean": "m"}, "A grid.")
    assert reduced.prior.fingerprint == simulator.prior.fingerprint
    theta = torch.zeros(2, 1, requires_grad=True)
    reduced(theta, seed=1).sum().backward()
    assert theta.grad is not None and theta.grad.flatten().tolist() == [4.0, 4.0]


def test_another_pattern_is_another_simulator_after_summaries_too():
    swapped = GRID.flip(1)
    for simulator in (grid(), grid().with_summary(lambda x: 2 * x)):
        few = [observed_entries(simulator, x).identity for x in (GRID, GRID + 1, swapped)]
        assert few[0] == few[1] != few[2]
        assert simulator.identity not in few


def test_an_entry_that_was_not_observed_may_be_anything_in_a_simulation():
    simulate = lambda theta: torch.cat([theta, torch.full_like(theta, NAN)], 1)
    simulations = lfi.simulate(
        observed_entries(lfi.Simulator(simulate, prior=PRIOR), [0.5, NAN]), 20, seed=1
    )
    assert simulations.valid.all() and torch.equal(simulations.x, simulations.theta)


def test_labels_are_those_of_the_entries_that_are_left():
    labels = data_labels(("a", "b"), ("day", [10, 20, 30]), ("m", "s"))
    left = labels.of_observed(~GRID.isnan().numpy())
    first, second = left.series((4,))
    assert (first.name, first.unit, second.name, second.unit) == ("a", "m", "b", "s")
    assert (first.entries.tolist(), first.positions.tolist()) == ([0, 1], [10, 20])
    assert (second.entries.tolist(), second.positions.tolist()) == ([2, 3], [20, 30])
    again = left.of_observed(np.array([False, True, False, True]))
    first, second = again.series((2,))
    assert (first.entries.tolist(), first.positions.tolist()) == ([0], [20])
    assert (second.entries.tolist(), second.positions.tolist()) == ([1], [30])
    (second,) = left.of_observed(np.array([False, False, True, True])).series((2,))
    assert second.name == "b" and second.entries.tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"they are of 4 entries, but x has shape \(3, 2\)"):
        left.series((3, 2))
    unnamed = data_labels().of_observed(np.array([True, False, True]))
    assert unnamed.series((2,))[0].positions.tolist() == [0, 2]


@pytest.mark.parametrize(
    ("x_obs", "words"),
    [
        (None, "x_obs: line has none of its own, give one"),
        ([NAN, NAN], r"x_obs: all 2 entries are missing \(NaN\)"),
        ([NAN, float("inf")], "x_obs holds 1 values that are not finite"),
    ],
)
def test_observations_without_an_entry_are_refused(x_obs, words):
    line = lfi.Simulator(lambda theta: theta.expand(-1, 2), prior=PRIOR, name="line")
    with pytest.raises(ValueError, match=words):
        observed_entries(line, x_obs)


def test_an_observation_of_another_shape_is_refused_when_it_is_simulated():
    reduced = observed_entries(partly_observed(), [0.5, NAN])
    with pytest.raises(ValueError, match=r"x_obs has shape \(2,\), but one simulation's x has \(5"):
        lfi.simulate(reduced, 10, seed=1)


def test_rounds_say_what_to_call_for_an_observation_with_gaps():
    with pytest.raises(ValueError, match=r"lfi\.simulation\.observed_entries\(simulator, x_obs\)"):
        lfi.fit_rounds(partly_observed(), [0.5, NAN, 0.1, 0.2, 0.3], budget=(400,))
