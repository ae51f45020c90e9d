"""Names, units and axes of data: which numbers make a series, and what is refused."""

import types

import numpy as np
import pytest
import torch
from torch.distributions import Normal

import lfi
from lfi.simulation import DataLabels, as_simulator
from lfi.simulation.simulators.labels import data_labels

PRIOR = {"mean": Normal(0.0, 1.0)}


def simulator(*event, x_obs=None):
    shape = (1,) * len(event)
    simulate = lambda theta: theta.reshape(-1, *shape) + torch.randn(len(theta), *event)
    return lfi.Simulator(simulate, prior=PRIOR, x_obs=x_obs)


def drawn(labels, event):
    return [(s.name, s.unit, s.entries.tolist(), s.axis) for s in labels.series(event)]


def test_without_labels_x_is_one_series_over_its_index():
    (series,) = DataLabels().series((2, 3))
    assert (series.name, series.unit, series.axis) == ("", "", "index of x")
    assert series.entries.tolist() == series.positions.tolist() == list(range(6))
    assert DataLabels().series(())[0].entries.tolist() == [0]


def test_an_axis_of_the_first_axis_gives_a_series_for_each_of_the_rest():
    labels = data_labels(("a", "b"), ("day", range(3)), ("m", "1"))
    assert drawn(labels, (3, 2)) == [("a", "m", [0, 2, 4], "day"), ("b", "1", [1, 3, 5], "day")]
    one = data_labels("a", ("day", [1, 2, 4]), "m")
    assert drawn(one, (3,)) == [("a", "m", [0, 1, 2], "day")]
    assert drawn(one, (3, 1)) == [("a", "m", [0, 1, 2], "day")]
    assert [name for name, *_ in drawn(one, (3, 2))] == ["a 0", "a 1"]


def test_an_axis_of_each_entry_gives_a_series_for_each_row():
    times = torch.tensor([[0.0, 1.0, 2.0], [0.5, 1.5, 9.0]])
    first, second = data_labels(None, ("hour", times)).series((2, 3))
    assert first.entries.tolist() == [0, 1, 2]
    assert second.positions.tolist() == [0.5, 1.5, 9.0]


def test_names_without_an_axis_name_entries_or_columns():
    labels = data_labels(("mean", "sd"))
    assert drawn(labels, (2,)) == [
        ("mean", "", [0], "index of x"),
        ("sd", "", [1], "index of x"),
    ]
    assert [entries for _, _, entries, _ in drawn(labels, (3, 2))] == [[0, 2, 4], [1, 3, 5]]


@pytest.mark.parametrize(
    "labels, event, words",
    [
        (data_labels(("a", "b", "c")), (2,), "x_names: 3 names, but x of shape"),
        (data_labels(None, None, ("m", "s")), (3,), "x_units: 2 units, but x of shape"),
        (data_labels("a", ("day", [1, 2])), (3,), r"x_axis: its values have shape \(2,\), and x"),
        (data_labels("a", ("day", [[1, 2]])), (2, 2), "x_axis: its values have shape"),
    ],
)
def test_labels_that_do_not_fit_x_are_refused(labels, event, words):
    with pytest.raises(ValueError, match=words):
        labels.series(event)


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"x_names": ("a", "a")}, ValueError, "x_names: names must be different"),
        ({"x_names": ("a", "")}, TypeError, "x_names must be a text, or texts"),
        ({"x_units": ("m", 3)}, TypeError, "x_units"),
        ({"x_names": ("a", "b"), "x_units": ("m",) * 3}, ValueError, "3 units for 2 names"),
        ({"x_axis": "day"}, TypeError, "x_axis"),
        ({"x_axis": ("day", [1.0, float("nan")])}, ValueError, "x_axis must have a name, and"),
        ({"x_axis": ("", [1.0])}, ValueError, "x_axis must have a name"),
        ({"x_axis": ("day", ["mon", "tue"])}, TypeError, "x_axis must be"),
        ({"x_axis": ("day", range(4))}, ValueError, r"x_axis: its values have shape \(4,\), and"),
    ],
)
def test_bad_labels_are_refused_where_they_are_given(arguments, error, words):
    with pytest.raises(error, match=words):
        simulator(3, x_obs=torch.zeros(3)).with_labels(**arguments)


def test_a_module_or_an_object_says_them_itself():
    module = types.ModuleType("growth", "How fast does it grow?")
    module.prior, module.simulate = PRIOR, lambda theta: theta + torch.randn(len(theta), 3)
    module.x_names, module.x_axis, module.x_units = "mass", ("day", np.arange(3)), "g"
    made = as_simulator(module)
    assert drawn(made.labels, (3,)) == [("mass", "g", [0, 1, 2], "day")]
    assert made.description == "How fast does it grow?"
    assert made.identity == as_simulator(module).identity
    module.x_axis = ("day", np.arange(4))
    module.x_obs = torch.zeros(3)
    with pytest.raises(ValueError, match="x_axis"):
        as_simulator(module)


def test_labels_change_neither_the_simulator_nor_what_it_draws():
    plain = simulator(3)
    named = plain.with_labels(x_names="mass", x_units="g")
    assert plain.labels.names == ()
    assert named.labels.describe() == "mass (g)"
    assert named.identity == plain.identity
    theta = torch.zeros(5, 1)
    assert torch.equal(named(theta, seed=1), plain(theta, seed=1))


def test_summaries_drop_the_labels_and_keep_the_description():
    named = simulator(3).with_labels(x_names="mass", description="Growth.")
    reduced = named.with_summary(lambda x: x.mean(dim=1, keepdim=True))
    assert (reduced.labels.names, reduced.description) == ((), "Growth.")


def test_a_description_is_that_of_the_function_the_model_or_the_program():
    def growth(theta):
        """Grow."""
        return theta

    assert lfi.Simulator(growth, prior=PRIOR).description == "Grow."
    assert "Module" not in lfi.Simulator(torch.nn.Linear(1, 1), prior=PRIOR).description
    command = lfi.Simulator.from_command(["echo", "{mean}"], prior=PRIOR)
    assert command.description == "The program\n\n    echo '{mean}'"
