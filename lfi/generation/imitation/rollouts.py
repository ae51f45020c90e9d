"""Rollouts: new episodes of a policy as it is now, drawn as batches are.

Every turn begins new episodes, from seeds that the training's generator gives. No state of an
environment is carried from one turn to the next, so that training goes on from a checkpoint as if
it had never been interrupted, whatever an environment keeps inside.
"""

import numpy as np
import torch
from torch import Tensor

from lfi.generation.imitation.environments import Copies, Steps, play
from lfi.generation.imitation.policy import Policy
from lfi.training import Batch

LARGEST_SEED = 2**31 - 1


class Rollouts:
    """Episodes of a policy, so many steps in each copy of its environment.

    `held_out` is None: nothing validates.
    """

    held_out: Batch | None = None

    def __init__(self, copies: Copies, policy: Policy, horizon: int) -> None:
        self.copies: Copies = copies
        self.policy: Policy = policy
        self.horizon: int = horizon

    @property
    def size(self) -> int:
        """How many steps a draw has."""
        return self.copies.count * self.horizon

    def play(self, rng: torch.Generator) -> Steps:
        """Play new episodes, whose actions are kept as draws."""
        seeds = torch.randint(LARGEST_SEED, (self.copies.count,), generator=rng).tolist()

        @torch.no_grad()
        def act(states: np.ndarray) -> tuple[Tensor, np.ndarray]:
            draws = self.policy.draws(torch.from_numpy(states), rng)
            return draws.cpu(), self.policy.model.actions(draws)

        return play(self.copies, act, self.horizon, seeds)

    def draw(self, rng: torch.Generator) -> Batch:
        """Return new episodes: states, those after, draws, rewards, terminated and cut."""
        steps = self.play(rng)
        return (
            steps.observations,
            steps.after,
            steps.actions,
            steps.rewards,
            steps.terminated,
            steps.cut,
        )

    def position_of(self) -> dict[str, Tensor]:
        """Return nothing: what comes next depends on the generator alone."""
        return {}

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where others stood."""
