"""Experts to be imitated: scripted controllers of two Gymnasium environments, and their record.

    CartPole-v1   push right if 0.3 x + 0.5 x' + 3 a + a' > 0, with the cart's place x and the
                  pole's angle a: the pole stands until time is up, a return of 500.
    Pendulum-v1   within 0.3 of upright u = -12 a - 3 a'; elsewhere torque in or against the swing,
                  u = -2 E sign(a'), until its energy is that of standing upright, E = 0. The
                  torque is at most 2, as the environment has it.

`trajectories(name)` is ten episodes of each, from a file, in the arguments that
`lfi.imitation.Trajectories` takes; `record` made the file, and needs Gymnasium.

References:
    Barto, Sutton & Anderson, Neuronlike adaptive elements that can solve difficult learning control
    problems, 1983 (the pole on a cart).
    Astrom & Furuta, Swinging up a pendulum by energy control, Automatica 36, 2000.
    Towers et al., Gymnasium: a standard interface for reinforcement learning environments, 2024.
    arXiv:2407.17032
"""

from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "data"
FILES = {"CartPole-v1": "cartpole_expert.npz", "Pendulum-v1": "pendulum_expert.npz"}
UPRIGHT = 0.3  # radians within which the pendulum is held


def cartpole(observations: np.ndarray) -> np.ndarray:
    """Return the expert's pushes, 0 or 1, (n,), for observations (n, 4) of CartPole-v1."""
    return (observations @ np.array([0.3, 0.5, 3.0, 1.0]) > 0).astype(np.int64)


def pendulum(observations: np.ndarray) -> np.ndarray:
    """Return the expert's torques, (n, 1), for observations (n, 3) of Pendulum-v1."""
    cosine, sine, velocity = observations.astype(np.float64).T
    angle = np.arctan2(sine, cosine)
    energy = velocity**2 / 2 + 15 * (cosine - 1)  # 0 at rest upright
    swing = -2 * energy * np.where(velocity < 0, -1.0, 1.0)
    hold = -12 * angle - 3 * velocity
    torque = np.where(np.abs(angle) < UPRIGHT, hold, swing)
    return np.clip(torque, -2, 2)[:, None].astype(np.float32)


EXPERTS = {"CartPole-v1": cartpole, "Pendulum-v1": pendulum}


def record(name: str, episodes: int = 10, seed: int = 0) -> dict[str, Any]:
    """Return episodes of an expert: those of the file by default.

    Episode i begins with the environment's seed `seed` + i.

    Returns:
        observations: A list of (T + 1, d) arrays, the last state of an episode included.
        actions: A list of (T,) or (T, 1) arrays.
        rewards: A list of (T,) arrays.
        terminated: Whether each episode ended by itself, not by its time limit.
    """
    import gymnasium

    environment, expert = gymnasium.make(name), EXPERTS[name]
    found: dict[str, Any] = {"observations": [], "actions": [], "rewards": [], "terminated": []}
    for i in range(episodes):
        state, _ = environment.reset(seed=seed + i)
        states, actions, rewards, over = [state], [], [], (False, False)
        while not any(over):
            actions.append(expert(state[None])[0])
            state, reward, *over, _ = environment.step(actions[-1])
            states.append(state)
            rewards.append(reward)
        found["observations"].append(np.stack(states))
        found["actions"].append(np.stack(actions))
        found["rewards"].append(np.array(rewards, dtype=np.float32))
        found["terminated"].append(bool(over[0]))
    environment.close()
    return found


def trajectories(name: str) -> dict[str, Any]:
    """Return ten episodes of the expert of "CartPole-v1" or "Pendulum-v1", as `record` does."""
    if name not in FILES:
        raise ValueError(f"name must be one of {', '.join(FILES)}, got {name!r}")
    with np.load(FOLDER / FILES[name], allow_pickle=False) as file:
        lengths = file["lengths"]
        ends, states = np.cumsum(lengths), np.cumsum(lengths + 1)
        return {
            "observations": np.split(file["observations"], states[:-1]),
            "actions": np.split(file["actions"].astype(_dtype(name)), ends[:-1]),
            "rewards": np.split(file["rewards"], ends[:-1]),
            "terminated": file["terminated"].tolist(),
        }


def write(name: str) -> None:
    """Write the file of an expert's episodes anew."""
    found = record(name)
    lengths = np.array([len(actions) for actions in found["actions"]], dtype=np.int32)
    states, actions, rewards = (
        np.concatenate(found[key]) for key in ("observations", "actions", "rewards")
    )
    np.savez_compressed(
        FOLDER / FILES[name],
        observations=states,
        actions=actions.astype(np.int8) if name == "CartPole-v1" else actions,
        rewards=rewards,
        lengths=lengths,
        terminated=np.array(found["terminated"]),
    )


def _dtype(name: str) -> type:
    return np.int64 if name == "CartPole-v1" else np.float32
