"""Names of simulators: whatever tells them apart, and stores know them as before."""

import sys
from types import ModuleType

import pytest
from support.records import prior

from lfi.simulation import Simulator, simulator

CODE = """
from functools import partial
def simulate(theta):
    return theta
def scaled(factor, theta):
    return theta
def epidemic(theta):
    return theta
"""


def run(line, module="__main__", file=None, monkeypatch=None):
    """Return what a line of a user's module makes."""
    made = ModuleType(module)
    if file is not None:
        made.__file__ = file
    if monkeypatch is not None:
        monkeypatch.setitem(sys.modules, module, made)
    vars(made).update(Simulator=Simulator, simulator=simulator, prior=prior())
    exec(compile(CODE + line, "<user>", "exec"), vars(made))
    return made


@pytest.mark.parametrize(
    "made, name",
    [
        ("Simulator(simulate, prior=prior)", "pendulum"),
        ("Simulator(lambda theta: theta, prior=prior)", "pendulum"),
        ("simulator(prior=prior)(simulate)", "pendulum"),
        ("Simulator(epidemic, prior=prior)", "epidemic"),
        ("Simulator(partial(scaled, 2.0), prior=prior)", "scaled"),
        ("Simulator(simulate, prior=prior, name='simulate')", "simulate"),
    ],
)
def test_a_simulator_is_named_by_its_function_or_else_by_its_variable(made, name):
    assert run(f"pendulum = {made}").pendulum.name == name
    assert run(f"def make():\n    pendulum = {made}\n    return pendulum").make().name == name


@pytest.mark.parametrize(
    "module, file, name",
    [("models.swing", None, "swing"), ("__main__", "/home/me/swing.py", "swing")],
)
def test_where_neither_says_anything_the_module_or_file_does(module, file, name, monkeypatch):
    made = run("sim = Simulator(simulate, prior=prior)", module, file, monkeypatch)
    assert made.sim.name == name


def test_a_simulator_of_which_nothing_is_known_is_called_a_simulator(monkeypatch):
    made = run("all = [Simulator(lambda theta: theta, prior=prior)]", monkeypatch=monkeypatch)
    assert made.all[0].name == "simulator"


def test_a_store_knows_its_simulator_whatever_the_variable_is_called():
    made = run(
        "one = Simulator(simulate, prior=prior)\n"
        "two = Simulator(simulate, prior=prior)\n"
        "named = Simulator(simulate, prior=prior, name='simulate')"
    )
    assert made.one.name != made.two.name
    assert made.one.identity == made.two.identity == made.named.identity
    halves = [each.with_summary(len) for each in (made.one, made.named)]
    assert halves[0].name == "one" and halves[0].identity == halves[1].identity
