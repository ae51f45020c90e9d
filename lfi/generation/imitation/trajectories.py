"""Trajectories: episodes of an environment, to be imitated or to be judged."""

import copy
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lfi.numerics.arguments import checked
from lfi.numerics.arrays import Samples, as_sample
from lfi.runtime import Described


@checked
class Trajectories(Described):
    """Episodes, one after the other: states, actions between them, and how each episode ended.

    Attributes:
        observations: (n, *event), the state before each step.
        after: (n, *event), the state after it.
        actions: (n,) of whole numbers or (n, *action); None where only states were seen.
        rewards: (n,), the environment's; None where there are none. Nothing is trained on them.
        lengths: (episodes,), the number of steps of each.
        terminated: (episodes,), whether it ended in a terminal state, not when time was up.

    Args:
        observations: For each episode its states, (T + 1, *event), the last one included.
        actions: For each episode its T actions; None where only states were seen.
        rewards: For each episode its T rewards, if they are known.
        terminated: For each episode whether it ended in a terminal state; by default none did.

    Raises:
        ValueError: If there is no episode, one has no step, or the numbers of rows do not fit.
        TypeError: If an episode is no array of numbers.

    Example:
        >>> states = [[[0.0], [1.0], [2.0]], [[0.0], [1.0]]]
        >>> found = Trajectories(states, [[0, 1], [0]], rewards=[[1.0, 1.0], [1.0]])
        >>> found.returns.tolist()
        [2.0, 1.0]
        >>> found
        2 episodes of 1 to 2 steps, 3 in all: mean return 1.5, from 1 to 2
          observations (1,), actions (), 0 ended in a terminal state
    """

    def __init__(
        self,
        observations: Sequence[Samples],
        actions: Sequence[Samples] | None = None,
        *,
        rewards: Sequence[Samples] | None = None,
        terminated: Sequence[bool] | Bool[Tensor, " episodes"] | None = None,
    ) -> None:
        if len(observations) == 0:
            raise ValueError("observations: there is no episode")
        states = _episodes("observations", observations)
        counts = [len(episode) - 1 for episode in states]
        if min(counts) < 1:
            raise ValueError(
                "observations: episode "
                f"{counts.index(min(counts))} has {min(counts) + 1} states, expected 2 or more"
            )
        self.observations: Float[Tensor, "n ..."] = torch.cat([one[:-1] for one in states])
        self.after: Float[Tensor, "n ..."] = torch.cat([one[1:] for one in states])
        if not self.observations.is_floating_point():
            self.observations, self.after = self.observations.float(), self.after.float()
        self.lengths: Int[Tensor, " episodes"] = torch.tensor(counts)
        self.actions: Tensor | None = _rows("actions", actions, counts)
        self.rewards: Tensor | None = _rows("rewards", rewards, counts)
        if self.rewards is not None and self.rewards.ndim != 1:
            shape = tuple(self.rewards.shape[1:])
            raise ValueError(f"rewards must be one number a step, got numbers of shape {shape}")
        ended = torch.as_tensor([False] * len(counts) if terminated is None else terminated)
        if ended.dtype != torch.bool or tuple(ended.shape) != (len(counts),):
            raise ValueError(
                f"terminated must say yes or no for each of {len(counts)} episodes, "
                f"got {tuple(ended.shape)} of {ended.dtype}"
            )
        self.terminated: Bool[Tensor, " episodes"] = ended

    @property
    def episodes(self) -> int:
        """How many episodes there are."""
        return len(self.lengths)

    @property
    def returns(self) -> Float[Tensor, " episodes"]:
        """The sum of each episode's rewards; ValueError where there are none."""
        if self.rewards is None:
            raise ValueError("rewards: the trajectories hold none")
        return torch.stack([part.sum() for part in self.rewards.double().split(self._lengths)])

    @property
    def final(self) -> Bool[Tensor, " n"]:
        """Whether a terminal state follows a step."""
        ends = torch.zeros(len(self.observations), dtype=torch.bool)
        ends[self.lengths.cumsum(0) - 1] = self.terminated
        return ends

    @property
    def _lengths(self) -> list[int]:
        return self.lengths.tolist()

    @checked
    def __getitem__(self, rows: slice) -> "Trajectories":
        """Return some of the episodes."""
        lengths = self._lengths
        states = [
            torch.cat([before, after[-1:]])
            for before, after in zip(
                self.observations.split(lengths), self.after.split(lengths), strict=True
            )
        ]
        actions, rewards = (
            None if part is None else part.split(lengths)[rows]
            for part in (self.actions, self.rewards)
        )
        return Trajectories(
            states[rows], actions, rewards=rewards, terminated=self.terminated.tolist()[rows]
        )

    def without_actions(self) -> "Trajectories":
        """Return the states alone, as one who only watches has seen them."""
        states = copy.copy(self)
        states.actions = None
        return states

    @classmethod
    @checked
    def joined(cls, parts: Sequence["Trajectories"]) -> "Trajectories":
        """Return the episodes of several, one after the other.

        Raises:
            ValueError: If there is none, or not all have the same parts, or of the same shapes.
        """
        if len(parts) == 0:
            raise ValueError("parts: there are no trajectories to join")
        whole = copy.copy(parts[0])
        for name in ("observations", "after", "actions", "rewards", "lengths", "terminated"):
            rows = [getattr(part, name) for part in parts]
            shapes = {None if one is None else tuple(one.shape[1:]) for one in rows}
            if len(shapes) > 1:
                raise ValueError(f"parts: {name} of different shapes, or of some alone: {shapes}")
            if rows[0] is not None:
                setattr(whole, name, torch.cat(rows))
        return whole

    def describe(self) -> str:
        """Return how many there are, how long, and what they earned, in words."""
        low, high = int(self.lengths.min()), int(self.lengths.max())
        steps = f"{high}" if low == high else f"{low} to {high}"
        first = f"{self.episodes} episodes of {steps} steps, {int(self.lengths.sum()):,} in all"
        if self.rewards is not None:
            r = self.returns
            first += f": mean return {r.mean():.4g}, from {r.min():.4g} to {r.max():.4g}"
        acts = "no actions" if self.actions is None else f"actions {tuple(self.actions.shape[1:])}"
        ended = f"{int(self.terminated.sum())} ended in a terminal state"
        return f"{first}\n  observations {tuple(self.observations.shape[1:])}, {acts}, {ended}"


def _episodes(name: str, parts: Sequence[Samples]) -> list[Tensor]:
    """Return each episode's rows, of events of one shape."""
    found = [as_sample(f"{name}: episode {i}", part) for i, part in enumerate(parts)]
    shapes = {tuple(part.shape[1:]) for part in found}
    if len(shapes) > 1:
        raise ValueError(f"{name}: episodes hold events of different shapes, got {sorted(shapes)}")
    return found


def _rows(name: str, parts: Sequence[Samples] | None, counts: list[int]) -> Tensor | None:
    """Return what belongs to steps, joined; ValueError where the numbers of rows are others."""
    if parts is None:
        return None
    found = _episodes(name, parts)
    if [len(part) for part in found] != counts:
        raise ValueError(
            f"{name} must have a row for each step, {counts} of the episodes, "
            f"got {[len(part) for part in found]}"
        )
    return torch.cat(found)
