"""Episodes of copies are those of single environments, and their ends are what they were."""

import sys

import gymnasium
import numpy as np
import pytest
import torch
from support.corridor import Corridor, to_the_exit

import lfi
from lfi.generation.imitation.environments import Copies, play

STEPS = 90
SEEDS = [5, 6, 7]


def lean(states):
    """A bad policy of CartPole, whose episodes end after ten steps or so."""
    return (states[:, 2] > 0).astype(np.int64)


def alone(environment, seed):
    """The same steps in one environment, with what each led to."""
    state, _ = environment.reset(seed=seed)
    for _ in range(STEPS):
        after, reward, terminated, truncated, _ = environment.step(lean(state[None])[0])
        yield state, after, reward, terminated, truncated
        state = environment.reset()[0] if terminated or truncated else after


@pytest.fixture(scope="module")
def steps():
    copies = Copies(lambda: gymnasium.make("CartPole-v1", max_episode_steps=42), len(SEEDS))
    assert copies.horizon == 42
    found = play(copies, lambda states: (lean(states),) * 2, STEPS, SEEDS)
    copies.close()
    return found


@pytest.mark.parametrize("copy, seed", list(enumerate(SEEDS)))
def test_steps_of_a_copy_are_those_of_an_environment_alone(steps, copy, seed):
    one = alone(gymnasium.make("CartPole-v1", max_episode_steps=42), seed)
    names = ("observations", "after", "rewards", "terminated", "cut")
    for t, step in enumerate(one):
        for name, value in zip(names, step, strict=True):
            ours = getattr(steps, name)[t, copy]
            if name == "cut" and t == STEPS - 1:
                assert bool(ours) is not bool(step[3])  # the steps were up
            else:
                np.testing.assert_array_equal(ours.numpy(), value)


def test_episodes_end_for_both_reasons(steps):
    assert steps.terminated.any()
    assert steps.cut[:-1].any()
    assert not (steps.terminated & steps.cut).any()


def test_recorded_episodes_are_the_first_of_each_copy():
    found = lfi.imitation.record(Corridor(6, limit=8), to_the_exit, 6, seed=1)
    assert found.episodes == 6
    assert int(found.lengths.max()) <= 8
    torch.testing.assert_close(found.returns, -found.lengths.double())
    ends = found.after[found.lengths.cumsum(0) - 1]
    assert torch.equal(ends[:, 4] == 1, found.terminated)
    assert torch.equal(found.final.nonzero()[:, 0], (found.lengths.cumsum(0) - 1)[found.terminated])


def test_more_episodes_than_copies_are_played_one_after_the_other():
    found = lfi.imitation.record(Corridor(3), to_the_exit, 7, longest=5, seed=1)
    assert found.episodes == 7
    assert int(found.lengths.max()) <= 5
    assert len(found.observations) == len(found.actions) == int(found.lengths.sum())


def test_equal_seeds_give_equal_episodes():
    one, same, other = (lfi.imitation.record("CartPole-v1", lean, 2, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.observations, same.observations)
    assert not torch.equal(one.observations[:1], other.observations[:1])


def test_the_error_says_how_to_install_gymnasium(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ImportError, match=r"pip install 'lfi\[imitation\]'"):
        lfi.imitation.record("CartPole-v1", lean, 2)


@pytest.mark.parametrize(
    "environment, error, text",
    [
        ("NoSuch-v0", ValueError, "environment: no environment is called 'NoSuch-v0'"),
        (lambda: 3, TypeError, "environment must return one of Gymnasium's, .* returns 3"),
        (lambda: gymnasium.make("FrozenLake-v1"), TypeError, "a Box, not a Discrete"),
        (
            gymnasium.make_vec("CartPole-v1", num_envs=2, vectorization_mode="sync"),
            ValueError,
            "SAME_STEP",
        ),
    ],
)
def test_what_is_no_environment_is_refused(environment, error, text):
    with pytest.raises(error, match=text):
        lfi.imitation.record(environment, lean, 2)


def test_a_policy_of_too_few_actions_is_refused():
    with pytest.raises(ValueError, match="act: 1 actions are returned for 2 states"):
        lfi.imitation.record("CartPole-v1", lambda states: [0], 2)
    with pytest.raises(ValueError, match="act: no rows of actions are returned for 2 states"):
        lfi.imitation.record("CartPole-v1", lambda states: 0, 2)
