"""A corridor: an environment of five places whose every expectation is a small linear system.

One walks left or right, against a draught that turns one step in ten around, from one of the places
0 to 3; place 4 is the exit, a terminal state. States are unit vectors.
"""

import gymnasium
import numpy as np
import torch

PLACES, EXIT, DRAUGHT = 5, 4, 0.1


def transitions():
    """The probability of each place after an action in a place, (place, action, place after)."""
    table = torch.zeros(EXIT, 2, PLACES, dtype=torch.float64)
    for place in range(EXIT):
        for action, move in ((0, -1), (1, 1)):
            for probability, step in ((1 - DRAUGHT, move), (DRAUGHT, -move)):
                table[place, action, max(0, place + step)] += probability
    return table


def exact_values(probability, rewards, absorbing, discount):
    """The value of places and actions under a policy, (4,) and (4, 2), as averages of rewards.

    `probability` and `rewards` are (4, 2).
    """
    table = transitions()
    stays = torch.einsum("sa,sat->st", probability, table)
    gained = (1 - discount) * (probability * rewards).sum(1) + discount * stays[:, EXIT] * absorbing
    values = torch.linalg.solve(torch.eye(EXIT).double() - discount * stays[:, :EXIT], gained)
    known = torch.cat([values, torch.tensor([absorbing], dtype=torch.float64)])
    return values, (1 - discount) * rewards + discount * table @ known


class Corridor(gymnasium.vector.VectorEnv):
    """Copies of the corridor; time is up after `limit` steps."""

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}

    def __init__(self, copies, limit=None):
        self.num_envs, self.limit = copies, limit or 10**9
        self.single_observation_space = gymnasium.spaces.Box(0, 1, (PLACES,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        self.rng = np.random.default_rng(seed)
        self.place = self.rng.integers(EXIT, size=self.num_envs)
        self.time = np.zeros(self.num_envs, int)
        return self._states(), {}

    def step(self, actions):
        turned = self.rng.random(self.num_envs) < DRAUGHT
        move = np.where((np.asarray(actions) == 1) ^ turned, 1, -1)
        self.place, self.time = np.maximum(self.place + move, 0), self.time + 1
        out, late = self.place == EXIT, self.time >= self.limit
        over, last = out | late, self._states()
        begin = self.rng.integers(EXIT, size=self.num_envs)
        self.place, self.time = np.where(over, begin, self.place), np.where(over, 0, self.time)
        return self._states(), -np.ones(self.num_envs), out, late & ~out, {"final_obs": last}

    def _states(self):
        return np.eye(PLACES, dtype=np.float32)[self.place]


def to_the_exit(states):
    """The expert, who always walks right."""
    return np.ones(len(states), dtype=np.int64)
