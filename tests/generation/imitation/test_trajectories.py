"""Trajectories keep what belongs to steps together, and refuse what does not fit."""

import numpy as np
import pytest
import torch

from lfi.imitation import Trajectories
from simulators import experts

STATES = [np.arange(6.0).reshape(3, 2), np.arange(8.0).reshape(4, 2)]
ACTIONS = [[0, 1], [1, 1, 0]]


def test_states_before_and_after_a_step_are_of_one_episode():
    found = Trajectories(STATES, ACTIONS, terminated=[True, False])
    assert found.observations.tolist() == [[0, 1], [2, 3], [0, 1], [2, 3], [4, 5]]
    assert found.after.tolist() == [[2, 3], [4, 5], [2, 3], [4, 5], [6, 7]]
    assert found.final.tolist() == [False, True, False, False, False]
    assert found.actions.tolist() == [0, 1, 1, 1, 0]


def test_some_of_the_episodes_are_as_they_were():
    found = Trajectories(STATES, ACTIONS, rewards=[[1.0, 2.0], [3.0, 4.0, 5.0]])
    last = found[1:]
    assert last.returns.tolist() == [12.0]
    assert last.observations.tolist() == STATES[1][:-1].tolist()
    assert Trajectories.joined([found[:1], last]).actions.tolist() == found.actions.tolist()


def test_episodes_may_be_turned_around():
    found = Trajectories(STATES, ACTIONS, terminated=[True, False])[::-1]
    assert found.lengths.tolist() == [3, 2]
    assert found.terminated.tolist() == [False, True]


def test_what_does_not_belong_together_is_not_joined():
    one, other = Trajectories(STATES, ACTIONS), Trajectories([np.zeros((3, 3))], [[0, 1]])
    with pytest.raises(ValueError, match="parts: actions of different shapes, or of some alone"):
        Trajectories.joined([one, one.without_actions()])
    with pytest.raises(ValueError, match="parts: observations of different shapes"):
        Trajectories.joined([one, other])
    with pytest.raises(ValueError, match="no trajectories to join"):
        Trajectories.joined([])


def test_without_actions_the_states_remain():
    found = Trajectories(STATES, ACTIONS).without_actions()
    assert found.actions is None
    assert "no actions" in repr(found)
    with pytest.raises(ValueError, match="rewards: the trajectories hold none"):
        _ = found.returns


@pytest.mark.parametrize(
    "arguments, text",
    [
        ({"observations": []}, "observations: there is no episode"),
        ({"observations": [STATES[0], STATES[1][:1]]}, "episode 1 has 1 states, expected 2"),
        ({"observations": [STATES[0], np.zeros((3, 3))]}, "different shapes"),
        ({"actions": ACTIONS[:1]}, r"a row for each step, \[2, 3\] of the episodes, got \[2\]"),
        ({"rewards": [np.zeros((2, 2)), np.zeros((3, 2))]}, "rewards must be one number a step"),
        ({"terminated": [True]}, "terminated must say yes or no for each of 2 episodes"),
        ({"observations": [np.full((3, 2), np.nan)]}, "not finite"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        Trajectories(**{"observations": STATES} | arguments)


@pytest.mark.parametrize("name, action", [("CartPole-v1", ()), ("Pendulum-v1", (1,))])
def test_the_experts_file_holds_ten_episodes_that_time_ended(name, action):
    found = Trajectories(**experts.trajectories(name))
    assert found.episodes == 10
    assert not found.terminated.any()
    assert tuple(found.actions.shape[1:]) == action
    assert torch.isfinite(found.returns).all()
