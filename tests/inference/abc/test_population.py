"""Sequential ABC goes on where it was interrupted, and ends with the same numbers."""

import math

import pytest
import torch
from support.abc_models import NORMAL

import lfi
from lfi.inference import LocalCovariance
from lfi.inference.abc.population import Population, closest
from lfi.simulation import Simulator

OCTILES = lambda x: x.flatten(1).quantile(torch.arange(1, 8).to(x) / 8, dim=1).T
DISTANCES = (
    lfi.discrepancies.Energy(),
    lfi.abc.Summaries(OCTILES),
    lfi.abc.Summaries(OCTILES, adaptive=False),
    lfi.abc.SemiAutomatic(OCTILES),
)


class Interrupting:
    """The normal model, which is interrupted at one of its calls."""

    def __init__(self, at=None):
        self.at, self.calls = at, 0

    def __call__(self, theta, rng: torch.Generator):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return NORMAL.simulator.simulate(theta, rng)


def run(function, store=None, **changes):
    simulator = Simulator(function, prior=NORMAL.simulator.prior, trials=20, name="normal")
    arguments = {
        "discrepancy": lfi.discrepancies.Energy(),
        "particles": 100,
        "budget": 900,
        "seed": 1,
    }
    return lfi.abc_smc(simulator, NORMAL.x_obs[:20], store=store, **(arguments | changes))


@pytest.mark.parametrize("distance", DISTANCES, ids=["energy", "adaptive", "fixed", "learned"])
@pytest.mark.parametrize("at", [3, 6])
def test_an_interrupted_run_ends_with_the_same_numbers(distance, at, tmp_path):
    store, whole = tmp_path / "abc.lfi", run(Interrupting(), discrepancy=distance)
    with pytest.raises(KeyboardInterrupt):
        run(Interrupting(at), store, discrepancy=distance)
    rest = Interrupting()
    resumed = run(rest, store, discrepancy=distance, seed=None)
    for name in ("theta", "weights", "distances", "x"):
        assert torch.equal(getattr(resumed, name), getattr(whole, name)), name
    costs = [[g.simulations for g in found.history] for found in (resumed, whole)]
    assert costs[0] == costs[1]
    assert resumed.simulations == 900
    after = Interrupting()
    again = run(after, store, discrepancy=distance)
    assert after.calls == 0  # all is on record
    assert torch.equal(again.theta, whole.theta)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 2},
        {"budget": 1_000},
        {"particles": 90},
        {"kernel": LocalCovariance()},
        {"discrepancy": lfi.discrepancies.MMD()},
        {"tolerance": 0.1},
    ],
    ids=str,
)
def test_a_store_of_another_run_is_refused(changes, tmp_path):
    store = tmp_path / "abc.lfi"
    run(Interrupting(), store, budget=300 if "budget" in changes else 900)
    with pytest.raises(ValueError, match="belongs to a run with another"):
        run(Interrupting(), store, **changes)


def test_files_of_other_things_and_damaged_ones_are_refused(tmp_path):
    store = tmp_path / "abc.lfi"
    lfi.runtime.write(store, "Line", {"slope": 2.0}, {})
    with pytest.raises(ValueError, match="holds a Line"):
        run(Interrupting(), store)
    store.write_bytes(b"half of a file")
    with pytest.raises(ValueError, match="damaged"):
        run(Interrupting(), store)


def test_data_that_an_earlier_generation_would_have_lost_have_no_distance():
    x = torch.arange(5.0)[:, None]
    population = Population(
        u=x[:2],
        x=x[:2],
        distances=torch.tensor([0.0, 3.0]),
        weights=torch.full((2,), 0.5),
        keys=torch.rand(2),
        shares=torch.ones(2),
        distance=lambda x: x[:, 0],
        earlier=((lambda x: (4 - x)[:, 0], 3.0), (lambda x: x[:, 0], 2.5)),
        proposals=(),
        fitted_to=(),
    )
    # 0 is beyond the first gate, 3 beyond the second; 4 is farther than every particle anyway
    assert population.distances_of(x).tolist() == [math.inf, 1.0, 2.0, math.inf, 4.0]


def test_of_ties_at_the_farthest_the_lowest_keys_are_kept_and_stand_for_all():
    rows = {
        "distances": torch.tensor([1.0, 0.0, 1.0, 2.0, 1.0]),
        "keys": torch.tensor([0.7, 0.9, 0.2, 0.1, 0.4]),
        "shares": torch.tensor([1.0, 1.0, 1.0, 1.0, 0.3]),
        "row": torch.arange(5),
    }
    two, three = closest(rows, 2), closest(rows, 3)
    assert two["row"].tolist() == [1, 2]
    assert two["shares"].tolist() == pytest.approx([1.0, 0.4])
    assert three["row"].tolist() == [1, 2, 4]
    assert three["shares"].tolist() == pytest.approx([1.0, 0.7, 0.3])  # it stood for more before
    for n in (4, 5):  # no tie is left out
        assert closest(rows, n)["shares"].tolist() == pytest.approx([1.0, 1.0, 0.3, 1.0, 1.0][:n])


def test_a_store_of_an_earlier_version_is_refused(tmp_path):
    store = tmp_path / "abc.lfi"
    run(Interrupting(), store, budget=100)
    contents = lfi.runtime.read(store)
    kept = {name: part for name, part in contents.tensors.items() if name != "keys"}
    lfi.runtime.write(store, contents.kind, contents.spec, kept)
    with pytest.raises(ValueError, match="of an earlier version of lfi"):
        run(Interrupting(), store, budget=100)
