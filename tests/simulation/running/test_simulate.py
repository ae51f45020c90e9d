"""Runs: the same numbers however they were computed, and errors that say what happened."""

import logging
import re
import traceback
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.records import assert_same, batched, of_one, prior
from torch.distributions import Normal

from lfi.simulation.records.results import BLOCK
from lfi.simulation.records.simulations import Simulations
from lfi.simulation.running.replicate import replicate
from lfi.simulation.running.simulate import simulate
from lfi.simulation.simulators.simulator import Simulator
from simulators import influenza

# Numbers.


@pytest.mark.parametrize("make, n", [(batched, 5_000), (of_one, 300)], ids=["batched", "of one"])
def test_a_longer_run_extends_a_shorter_one(make, n):
    assert_same(simulate(make(), 2 * n, seed=1)[:n], simulate(make(), n, seed=1))


def test_rows_of_a_function_of_one_vector_are_simulated_as_asked():
    calls = []

    def counted(theta):
        calls.append(1)
        return theta

    assert len(simulate(Simulator(counted, prior=prior(), batched=False), 30, seed=1)) == 30
    assert len(calls) == 30


def test_other_seeds_give_other_numbers_and_none_a_fresh_one():
    one, two, three = (simulate(batched(), 10, seed=seed) for seed in (1, 2, None))
    assert not torch.equal(one.x, two.x) and not torch.equal(one.theta, three.theta)
    assert_same(three, simulate(batched(), 10, seed=three.seed))


def test_blocks_do_not_repeat_each_other():
    simulations = simulate(batched(), 2 * BLOCK, seed=1)
    assert not torch.equal(simulations.theta[:BLOCK], simulations.theta[BLOCK:])
    residual = simulations.x - simulations.theta
    assert not torch.equal(residual[:BLOCK], residual[BLOCK:])


def test_the_global_state_is_left_as_it_was():
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads = torch.get_num_threads()
    simulate(of_one(), 30, seed=1)
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])
    assert torch.get_num_threads() == threads


def test_a_truncated_prior_takes_the_place_of_the_simulators():
    wrapped = batched()
    box = wrapped.prior.truncate([0.2, -1.0], [0.3, 1.0])
    simulations = simulate(wrapped, 500, seed=1, prior=box)
    assert simulations.prior is box and box.contains(simulations.theta).all()


def test_an_influenza_epidemic():
    simulations = simulate(influenza, 2_000, seed=1)
    assert simulations.theta.shape == (2_000, 3) and simulations.x.shape == (2_000, 14)
    assert simulations.valid.all() and simulations.source == "influenza"
    # the mean of x - I(theta) on a day is 0; |mean| < 5 s.e., from the sample
    residual = (simulations.x - influenza.infected(simulations.theta))[:, 5].double()
    assert residual.mean().abs() < 5 * residual.std() / 2_000**0.5


# Failures.


def test_failures_stay_in_the_record():
    simulations = simulate(of_one(), 500, seed=1)
    failed = simulations.theta[:, 0] < 0.1
    assert failed.any() and np.array_equal(simulations.status == "error", failed)
    assert simulations.x[failed].isnan().all() and set(simulations.errors.values()) == {
        "ValueError: a is too small"
    }
    theta, x = simulations.ok()
    assert len(theta) == len(x) == int((~failed).sum()) and x.isfinite().all()


def test_a_simulator_that_never_succeeds_is_an_error():
    def broken(theta):
        raise KeyError("no such thing")

    with pytest.raises(RuntimeError, match="no finite x in its first 20 .*no such thing") as caught:
        simulate(Simulator(broken, prior=prior(), batched=False), 20, seed=1)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(RuntimeError, match="first 1,024"):
        simulate(Simulator(lambda theta: theta / 0 * 0, prior=prior()), 20, seed=1)


def test_a_function_that_wanted_numpy_is_told_how_to_get_it():
    wrapped = Simulator(lambda t: np.ones(2) * t, prior=prior(), batched=False)
    with pytest.raises(RuntimeError, match="def simulate.theta: np.ndarray"):
        simulate(wrapped, 3, seed=1)


def test_shapes_that_change_between_blocks_are_an_error():
    shapes = iter([3, 4])

    def growing(theta):
        return torch.zeros(len(theta), next(shapes))

    with pytest.raises(ValueError, match=r"shape \(4,\) a row, and of shape \(3,\) before"):
        simulate(Simulator(growing, prior=prior()), 2_000, seed=1)


def test_the_dtype_is_that_of_the_first_good_row():
    kinds = iter([None, torch.float32, torch.float64, torch.float32])

    def moody(theta):
        kind = next(kinds)
        return torch.full((1,), 0.1, dtype=kind) if kind else 1 / 0

    simulations = simulate(Simulator(moody, prior=prior(), batched=False), 4, seed=1)
    assert simulations.x.dtype == torch.float32 and simulations.status[0] == "error"
    assert (simulations.x[1:] == torch.tensor(0.1, dtype=torch.float32)).all()


@pytest.mark.parametrize(
    "wrong, error, says",
    [
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"workers": 0}, ValueError, "workers must be at least 1"),
        ({"workers": True}, TypeError, "workers must be a whole number"),
        ({"seed": -1}, ValueError, "seed"),
        ({"prior": {"a": Normal(0.0, 1.0)}}, ValueError, "prior names a, the simulator takes a, b"),
        ({"simulator": 3}, TypeError, "simulator must be"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(wrong, error, says):
    arguments = {"simulator": batched(), "n": 5, "seed": 1, **wrong}
    with pytest.raises(error, match=says):
        simulate(arguments.pop("simulator"), arguments.pop("n"), **arguments)


# The record.


def test_a_slice_of_a_record_keeps_its_messages():
    simulations = simulate(of_one(), 100, seed=1)
    part = simulations[10:60:2]
    assert len(part) == 25 and part.prior is simulations.prior
    assert part.errors == {i: simulations.errors[10 + 2 * i] for i in part.errors}
    assert np.array_equal(part.status == "error", simulations.status[10:60:2] == "error")
    assert_same(simulations[::-1][::-1], simulations)
    assert_same(simulations[3], simulations[3:4])


def test_simulations_are_shown_in_two_lines_and_a_table():
    simulations = simulate(of_one(), 100, seed=1)
    first, second, header, *_ = repr(simulations).split("\n")
    assert header.split() == ["parameter", "mean", "sd", "min", "max"]
    assert first.startswith("100 simulations of fragile (") and " error" in first
    assert first.endswith("theta (100, 2), x (100, 3), seed 1")
    assert second.endswith(" times: ValueError: a is too small")
    assert (
        "<th>mean</th>" in simulations._repr_html_() and "<td>b</td>" in simulations._repr_html_()
    )
    assert "100 simulations" not in simulations[:0]._repr_html_()


def test_simulations_made_elsewhere_are_welcome():
    x = np.array([[1.0], [np.nan], [3.0]])
    simulations = Simulations.from_arrays(np.zeros((3, 2)), x, prior=prior())
    assert simulations.status.tolist() == ["ok", "nonfinite", "ok"]
    with pytest.raises(ValueError, match=r"\(n, 2\), a column for each of a, b; got \(3, 1\)"):
        Simulations.from_arrays(np.zeros((3, 1)), x, prior=prior())
    with pytest.raises(ValueError, match="as many rows"):
        Simulations.from_arrays(np.zeros((4, 2)), x, prior=prior())


def test_parameters_made_elsewhere_must_lie_in_the_prior():
    x = np.zeros((4, 1))
    theta = [[0.0, 0.0], [1.0, 0.0], [0.5, 0.0], [0.5, 9.0]]
    edges = Simulations.from_arrays(theta, x, prior=prior())
    assert edges.prior.contains(edges.theta).all()  # edges are inside
    with pytest.raises(ValueError, match="2 of 4 rows are outside .* the first is row 1"):
        Simulations.from_arrays([[0.5, 0.0], [1.5, 0.0], [0.5, 0.0], [-1, 0.0]], x, prior=prior())
    with pytest.raises(ValueError, match="theta: 1 of 4 rows are not finite, the first is row 3"):
        Simulations.from_arrays(np.array([[0.5, 0.0]] * 3 + [[np.nan, 0.0]]), x, prior=prior())


def test_arrays_lists_and_data_frames_are_taken():
    pandas = pytest.importorskip("pandas")
    theta, x = [[0.25, 2.0], [0.75, 4.0]], [[1], [2]]
    frame = pandas.DataFrame({"other": [0, 0], "b": [2.0, 4.0], "a": [0.25, 0.75]})
    for given in (theta, np.array(theta), torch.tensor(theta), frame):  # columns by name
        simulations = Simulations.from_arrays(given, x, prior=prior())
        assert simulations.theta.tolist() == theta and simulations.x.tolist() == [[1.0], [2.0]]
        wrapped = Simulator(lambda theta: 2 * theta, prior=prior(), x_obs=frame["b"])
        assert wrapped.x_obs.tolist() == [2.0, 4.0]
        assert wrapped(given, seed=1).tolist() == [[0.5, 4.0], [1.5, 8.0]]
        assert replicate(wrapped, given, seed=1).tolist() == [[0.5, 4.0], [1.5, 8.0]]
    assert wrapped.prior.contains(theta).tolist() == [True, True]
    assert wrapped.prior.log_prob([0.5, 0.0]).isfinite()


# Progress.


def test_the_log_tells_of_counts_rate_and_failures(caplog):
    simulator = of_one()
    with caplog.at_level(logging.INFO, "lfi"):
        simulations = simulate(simulator, 200, seed=1)
    failed = int((~simulations.valid).sum())
    begin, end = (record.getMessage() for record in caplog.records)
    assert begin == f"simulating {simulator.name}: begins, 200 in all"
    assert re.fullmatch(rf"simulating \w+: 200 of 200, [\d.]+ s, [\d,]+/s, {failed} failed", end)


def test_runs_are_silent_where_nobody_watches(capfd):
    simulate(batched(), 2_000, seed=1)
    assert capfd.readouterr() == ("", "")


def test_every_hand_over_gives_one_row_for_each_theta():
    class Losing(ThreadPoolExecutor):
        """What comes back lacks a row."""

        def submit(self, work, task):
            return super().submit(lambda: work(task[: len(task) - 1]))

    with Losing(1) as executor, pytest.raises(RuntimeError, match=r"given 4 vectors .* 3 results"):
        simulate(of_one(), 20, seed=1, executor=executor)


@pytest.mark.parametrize("stored", [True, False])
def test_an_interrupted_run_says_in_a_line_what_is_kept(stored, tmp_path):
    """Line 26 of a first day: 16 lines of traceback, and no word of the store."""
    rows = 0

    def interrupted(theta):
        nonlocal rows
        rows += 1
        if rows == 2_000:
            raise KeyboardInterrupt
        return theta

    wrapped = Simulator(interrupted, prior=prior(), batched=False)
    store = tmp_path / "slow.zarr" if stored else None
    with pytest.raises(KeyboardInterrupt) as caught:
        simulate(wrapped, 3_000, seed=1, store=store)
    said = str(caught.value)
    frames = traceback.extract_tb(caught.tb)
    assert frames[-1].name == "simulate" and caught.value.__suppress_context__
    if stored:
        kept = len(Simulations.open(store))
        assert said == f"{kept:,} of 3,000 rows are in {store}: the same call goes on from there"
        assert 1_000 < kept < 2_000
        assert len(simulate(wrapped, 3_000, seed=1, store=store)) == 3_000
    else:
        assert said.startswith("no row is kept")
