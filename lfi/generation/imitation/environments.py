"""Environments of Gymnasium as black boxes: copies that step together, and episodes played in them.

An episode ends in a terminal state, or time is up: after the latter there would have been more, so
that what follows is to be estimated, not left out. Copies begin a new episode in the step that ends
one (`AutoresetMode.SAME_STEP`), and the last state of the old one comes beside the first of the
new.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lfi.generation.imitation.trajectories import Trajectories
from lfi.numerics.arguments import checked, shown
from lfi.numerics.checks import check_counts, check_whole
from lfi.runtime import child, fresh

LONGEST = 1_000  # steps of an episode without a time limit
Given = Any  # whatever an environment takes


@runtime_checkable
class VectorEnvironment(Protocol):
    """Copies of an environment that step together, as Gymnasium's `VectorEnv`."""

    num_envs: int
    single_observation_space: Any
    single_action_space: Any

    def reset(self, *, seed: Given = None, options: Given = None) -> tuple[Any, dict[str, Any]]:
        """Begin new episodes, and return their first states."""
        ...

    def step(self, actions: Given) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Take a step in each, and return states, rewards, terminated, truncated and more."""
        ...


Environment = str | Callable[[], Any] | VectorEnvironment
Act = Callable[[np.ndarray], Any]  # states (copies, *event) to actions (copies, *action)


def gymnasium_module() -> ModuleType:
    """Return Gymnasium; ImportError that says how to install it."""
    try:
        import gymnasium
    except ImportError as error:
        raise ImportError("environments need Gymnasium: pip install 'lfi[imitation]'") from error
    return gymnasium


class Copies:
    """Copies of an environment that step together.

    `horizon` is the environment's time limit, None where it has none.

    Raises:
        ImportError: If Gymnasium is not installed.
        ValueError: If no environment has that name, or copies of the user's own begin new episodes
            in another step than that which ends one.
        TypeError: If it is no environment, or its states are not arrays of numbers.
    """

    def __init__(self, environment: Environment, copies: int) -> None:
        gymnasium = gymnasium_module()
        same_step = gymnasium.vector.AutoresetMode.SAME_STEP
        self.own: bool = isinstance(environment, VectorEnvironment)  # whose owner closes it
        if isinstance(environment, str):
            try:
                vector = gymnasium.make_vec(
                    environment,
                    num_envs=copies,
                    vectorization_mode="sync",
                    vector_kwargs={"autoreset_mode": same_step},
                )
            except gymnasium.error.Error as error:
                raise ValueError(
                    f"environment: no environment is called {environment!r} ({error})"
                ) from None
        elif isinstance(environment, VectorEnvironment):
            vector = environment
            # the attribute first: environments of one class share their metadata
            told = getattr(vector, "metadata", {}).get("autoreset_mode")
            mode = getattr(vector, "autoreset_mode", told)
            if mode != same_step:
                raise ValueError(
                    "environment: copies must begin an episode in the step that ends one, "
                    f"autoreset_mode=AutoresetMode.SAME_STEP; the mode is {mode}"
                )
        else:
            first = environment()
            if not isinstance(first, gymnasium.Env):
                raise TypeError(
                    "environment must return one of Gymnasium's, but it is a function that "
                    f"returns {shown(first)}"
                )
            makers = [lambda: first] + [environment] * (copies - 1)
            vector = gymnasium.vector.SyncVectorEnv(makers, autoreset_mode=same_step)
        states = vector.single_observation_space
        if not isinstance(states, gymnasium.spaces.Box):
            raise TypeError(
                "environment: its states must be arrays of numbers, a Box, not a "
                f"{type(states).__name__}; gymnasium.wrappers.FlattenObservation makes them so"
            )
        self.vector: VectorEnvironment = vector
        self.count: int = vector.num_envs
        self.shape: tuple[int, ...] = tuple(states.shape)
        self.space: Any = vector.single_action_space
        spec = getattr(getattr(vector, "envs", [vector])[0], "spec", None)
        self.horizon: int | None = getattr(spec, "max_episode_steps", None)
        self.dtype: np.dtype = states.dtype if states.dtype.kind == "f" else np.dtype(np.float32)

    def close(self) -> None:
        """Close the copies, unless they are the user's."""
        if not self.own:
            getattr(self.vector, "close", lambda: None)()


@dataclass(frozen=True, eq=False)
class Steps:
    """Steps of copies of an environment, (steps, copies) each.

    Attributes:
        observations: (steps, copies, *event), the states before.
        after: The states after, where an episode ended its last one.
        actions: (steps, copies, *action), whatever the player has kept of them.
        rewards: The environment's.
        terminated: Whether the step led to a terminal state.
        cut: Whether the episode ended for another reason: time was up, or the steps were.
    """

    observations: Float[Tensor, "steps copies ..."]
    after: Float[Tensor, "steps copies ..."]
    actions: Tensor
    rewards: Float[Tensor, "steps copies"]
    terminated: Bool[Tensor, "steps copies"]
    cut: Bool[Tensor, "steps copies"]

    @property
    def over(self) -> Bool[Tensor, "steps copies"]:
        """Whether the episode ended with the step."""
        return self.terminated | self.cut


def play(
    copies: Copies,
    act: Callable[[np.ndarray], tuple[Any, Any]],
    steps: int,
    seeds: Sequence[int],
    *,
    once: bool = False,
) -> Steps:
    """Play new episodes, for so many steps in each copy, and begin another where one ends.

    `act` returns what to keep of the actions and what to do. Copy i begins with seed i. Where it is
    `once`, no steps are taken after each copy has ended its first episode.
    """
    vector = copies.vector
    state, _ = vector.reset(seed=[seed % 2**31 for seed in seeds])
    shape = (steps, copies.count, *copies.shape)
    before, after = np.empty(shape, copies.dtype), np.empty(shape, copies.dtype)
    rewards = np.empty(shape[:2])
    terminated, cut = np.zeros(shape[:2], bool), np.zeros(shape[:2], bool)
    kept, ended, taken = [], np.zeros(copies.count, bool), steps
    for t in range(steps):
        before[t] = state
        keep, action = act(before[t])
        state, rewards[t], terminated[t], cut[t], info = vector.step(action)
        kept.append(keep)
        after[t] = state
        over = terminated[t] | cut[t]
        if over.any():
            finals = info["final_obs"]
            for i in np.flatnonzero(over):
                after[t, i] = finals[i]
            ended |= over
            if once and ended.all():
                taken = t + 1
                break
    cut &= ~terminated
    cut[taken - 1] |= ~terminated[taken - 1]
    arrays = [part[:taken] for part in (before, after, rewards, terminated, cut)]
    before, after, rewards, terminated, cut = map(torch.from_numpy, arrays)
    actions = torch.stack([torch.as_tensor(np.asarray(keep)) for keep in kept])
    return Steps(before, after, actions, rewards, terminated, cut)


@checked
def record(
    environment: Environment,
    act: Act,
    episodes: int = 20,
    *,
    longest: int | None = None,
    seed: int | None = None,
) -> Trajectories:
    """Play episodes of a policy, side by side, and return them with the environment's rewards.

    Args:
        environment: A name, such as "CartPole-v1", a function that makes one of Gymnasium's
            environments, or copies that step together (`VectorEnv`, with
            `autoreset_mode=AutoresetMode.SAME_STEP`).
        act: The policy: states (n, *event), a NumPy array, to n actions.
        episodes: How many.
        longest: Where an episode is cut; by default at the environment's time limit, or after 1,000
            steps where it has none.
        seed: Of the environments' episodes; None takes fresh entropy.

    Raises:
        ImportError: If Gymnasium is not installed.
        ValueError: If there is no such environment, or `act` does not return an action for each
            state.
        TypeError: If it is none of Gymnasium's.

    Example:
        >>> push = lambda states: (states[:, 2] > 0).astype(int)  # to where the pole leans
        >>> record("CartPole-v1", push, 3, seed=1).returns.tolist()
        [40.0, 40.0, 35.0]
    """
    check_counts(episodes=episodes)
    check_whole("longest", longest, optional=True)
    seed = fresh(seed)
    copies = Copies(environment, episodes)
    steps = longest or copies.horizon or LONGEST

    def both(states: np.ndarray) -> tuple[Any, Any]:
        actions = np.asarray(act(states))
        if actions.shape[:1] != (len(states),):
            count = len(actions) if actions.ndim else "no rows of"
            raise ValueError(f"act: {count} actions are returned for {len(states)} states")
        return actions, actions

    try:
        parts: list[Trajectories] = []
        while copies.count * len(parts) < episodes:
            first = copies.count * len(parts)
            seeds = [child(seed, first + i) for i in range(copies.count)]
            parts.append(first_episodes(play(copies, both, steps, seeds, once=True)))
    finally:
        copies.close()
    return Trajectories.joined(parts)[:episodes]


def first_episodes(steps: Steps) -> Trajectories:
    """Return the first episode of each copy."""
    ends = steps.over.int().argmax(0).tolist()
    rows = [(slice(end + 1), i) for i, end in enumerate(ends)]
    last = [steps.after[end, i][None] for i, end in enumerate(ends)]
    return Trajectories(
        [torch.cat([steps.observations[at], end]) for at, end in zip(rows, last, strict=True)],
        [steps.actions[at] for at in rows],
        rewards=[steps.rewards[at] for at in rows],
        terminated=[bool(steps.terminated[end, i]) for i, end in enumerate(ends)],
    )
