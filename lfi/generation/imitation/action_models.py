"""Distributions of actions given what a policy's network returns: categories, and numbers.

    Discrete(n)   n logits
    Box           the mean of a Gaussian, whose deviation is learnt beside the network; actions in
                  units of half the box's width around its centre, and where a side is open, of the
                  expert's deviation around its mean

A box is a limit that the draws do not know. Either they are clipped to it, as an environment would
do: then an expert at full torque is met by a policy at full torque, and a critic cannot tell them.
Or they are squashed by a hyperbolic tangent, and never reach it. The policy's density is that of
the draw before it is clipped or squashed, in which the score is exact; what is played, and what the
critic sees, comes after.

References:
    Fujita & Maeda, Clipped action policy gradient, 2018. arXiv:1802.07564
    Haarnoja et al., Soft actor-critic, 2018. arXiv:1801.01290 (squashed)
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

INITIAL_LOG_SCALE = -0.5
Space = Any  # of Gymnasium
INSIDE = 1 - 1e-4  # how far to the edge of a box a squashed action is inverted


class ActionModel(nn.Module, ABC):
    """A distribution of actions: `draws` are what has a density, actions what is played.

    Attributes:
        outputs: How many numbers the policy's network returns.
        size: How many numbers the critic sees of an action.
    """

    outputs: int
    size: int

    @abstractmethod
    def draw(self, outputs: Float[Tensor, "n outputs"], rng: torch.Generator) -> Tensor:
        """Return a draw for each row."""

    @abstractmethod
    def mode(self, outputs: Float[Tensor, "n outputs"]) -> Tensor:
        """Return the most likely draw for each row."""

    @abstractmethod
    def log_prob(self, outputs: Float[Tensor, "n outputs"], draws: Tensor) -> Float[Tensor, " n"]:
        """Return the log density of draws."""

    @abstractmethod
    def entropy(self, outputs: Float[Tensor, "n outputs"]) -> Float[Tensor, " n"]:
        """Return the entropy of draws."""

    @abstractmethod
    def actions(self, draws: Tensor) -> np.ndarray:
        """Return what is played, as the environment takes it."""

    @abstractmethod
    def draws_of(self, name: str, actions: Tensor) -> Tensor:
        """Return the draws that would be played as these actions; ValueError if none would."""

    @abstractmethod
    def code(self, draws: Tensor) -> Float[Tensor, "n size"]:
        """Return what the critic sees of the actions that are played."""

    @abstractmethod
    def describe(self) -> str:
        """Return what actions are, in words."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return plain values from which it is built."""


class CategoricalActions(ActionModel):
    """One of `count` actions, numbered from `start`.

    Example:
        >>> model = CategoricalActions(3, start=1)
        >>> model.actions(model.mode(torch.tensor([[0.0, 5.0, 1.0]])))
        array([2])
    """

    def __init__(self, count: int, start: int = 0) -> None:
        super().__init__()
        self.start: int = start
        self.outputs: int = count
        self.size: int = count

    def draw(self, outputs: Float[Tensor, "n outputs"], rng: torch.Generator) -> Tensor:
        """Return one category for each row, by its probability."""
        uniform = torch.rand(outputs.shape, generator=rng, dtype=torch.float32)
        noise = -(-uniform.clamp_min(1e-30).log()).clamp_min(1e-30).log()  # Gumbel's
        return (outputs + noise.to(outputs.device)).argmax(-1)

    def mode(self, outputs: Float[Tensor, "n outputs"]) -> Tensor:
        """Return the most likely category for each row."""
        return outputs.argmax(-1)

    def log_prob(self, outputs: Float[Tensor, "n outputs"], draws: Tensor) -> Float[Tensor, " n"]:
        """Return the log probabilities of categories."""
        return -F.cross_entropy(outputs, draws, reduction="none")

    def entropy(self, outputs: Float[Tensor, "n outputs"]) -> Float[Tensor, " n"]:
        """Return the entropy of categories."""
        logs = outputs.log_softmax(-1)
        return -(logs.exp() * logs).sum(-1)

    def actions(self, draws: Tensor) -> np.ndarray:
        """Return the categories as whole numbers from `start`."""
        return draws.cpu().numpy() + self.start

    def draws_of(self, name: str, actions: Tensor) -> Tensor:
        """Return categories from 0; ValueError where an action is none of them."""
        whole = actions.long()
        if not torch.equal(whole.to(actions.dtype), actions) or actions.ndim != 1:
            raise ValueError(
                f"{name}: actions must be whole numbers, one a step, "
                f"got {actions.dtype} of shape {tuple(actions.shape)}"
            )
        draws = whole - self.start
        if draws.amin() < 0 or draws.amax() >= self.outputs:
            raise ValueError(
                f"{name}: actions must be from {self.start} to {self.start + self.outputs - 1}, "
                f"got {int(whole.amin())} to {int(whole.amax())}"
            )
        return draws

    def code(self, draws: Tensor) -> Float[Tensor, "n size"]:
        """Return one column for each category."""
        return F.one_hot(draws, self.size).float()

    def describe(self) -> str:
        """Return how many there are."""
        return f"{self.outputs} actions"

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        return {"count": self.outputs, "start": self.start}


class GaussianActions(ActionModel):
    """Numbers in a box: a Gaussian, clipped to it or squashed into it.

    Example:
        >>> model = GaussianActions((1,), [-2.0], [2.0])
        >>> model.actions(torch.tensor([[0.5], [7.0]]))
        array([[1.],
               [2.]], dtype=float32)
    """

    low: Tensor
    high: Tensor
    centre: Tensor
    half_width: Tensor

    def __init__(
        self,
        shape: Sequence[int],
        low: list[float],
        high: list[float],
        *,
        squashed: bool = False,
    ) -> None:
        super().__init__()
        self.shape: tuple[int, ...] = tuple(shape)
        self.squashed: bool = squashed
        self.outputs: int = math.prod(shape)
        self.size: int = self.outputs
        lower, upper = (torch.tensor(side, dtype=torch.float64) for side in (low, high))
        self.closed: list[bool] = (lower.isfinite() & upper.isfinite()).tolist()
        for name, side in (("low", lower), ("high", upper)):
            self.register_buffer(name, side, persistent=False)
        inside = torch.tensor(self.closed)
        self.register_buffer("centre", torch.where(inside, (lower + upper) / 2, 0.0))
        self.register_buffer("half_width", torch.where(inside, (upper - lower) / 2, 1.0))
        log_scale = torch.full((self.outputs,), INITIAL_LOG_SCALE, dtype=torch.float32)
        self.log_scale: nn.Parameter = nn.Parameter(log_scale)

    def fit_from_data(self, actions: Tensor) -> None:
        """Take location and scale of what has an open side from the expert's actions."""
        rows = actions.flatten(1).double()
        closed = torch.tensor(self.closed)
        spread = rows.std(0, correction=0)
        self.centre.copy_(torch.where(closed, self.centre, rows.mean(0)))
        open_width = torch.where(spread > 0, spread, 1.0)
        self.half_width.copy_(torch.where(closed, self.half_width, open_width))

    def draw(self, outputs: Float[Tensor, "n outputs"], rng: torch.Generator) -> Tensor:
        """Return a Gaussian draw for each row, neither clipped nor squashed."""
        noise = torch.randn(outputs.shape, generator=rng, dtype=torch.float32)
        return outputs + self.log_scale.exp() * noise.to(outputs.device)

    def mode(self, outputs: Float[Tensor, "n outputs"]) -> Tensor:
        """Return the means."""
        return outputs

    def log_prob(self, outputs: Float[Tensor, "n outputs"], draws: Tensor) -> Float[Tensor, " n"]:
        """Return the Gaussian log densities of draws."""
        z = (draws - outputs) * (-self.log_scale).exp()
        return -(z.square() / 2 + self.log_scale + math.log(2 * math.pi) / 2).sum(-1)

    def entropy(self, outputs: Float[Tensor, "n outputs"]) -> Float[Tensor, " n"]:
        """Return the Gaussian's entropy, the same for all rows."""
        total = (self.log_scale + (1 + math.log(2 * math.pi)) / 2).sum()
        return total.expand(len(outputs))

    def actions(self, draws: Tensor) -> np.ndarray:
        """Return what is played, in the environment's units."""
        inside = self.code(draws).double() * self.half_width + self.centre
        inside = inside.clamp(self.low, self.high)
        return inside.float().reshape(len(draws), *self.shape).cpu().numpy()

    def draws_of(self, name: str, actions: Tensor) -> Tensor:
        """Return the draws that are played as actions; ValueError if of another shape."""
        if tuple(actions.shape[1:]) != self.shape:
            raise ValueError(
                f"{name}: actions have shape {tuple(actions.shape[1:])}, "
                f"the environment's have {self.shape}"
            )
        rows = actions.flatten(1).double().to(self.centre.device)
        scaled = ((rows - self.centre) / self.half_width).float()
        return scaled.clamp(-INSIDE, INSIDE).atanh() if self.squashed else scaled

    def code(self, draws: Tensor) -> Float[Tensor, "n size"]:
        """Return the actions, from -1 to 1 in a box."""
        if self.squashed:
            return draws.tanh()
        low, high = ((side - self.centre) / self.half_width for side in (self.low, self.high))
        return draws.clamp(low.float(), high.float())

    def describe(self) -> str:
        """Return their shape, and how a box holds them."""
        boxed = "squashed" if self.squashed else "clipped"
        return f"actions {self.shape}, {boxed if any(self.closed) else 'of an open box'}"

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor takes."""
        sides = {"low": self.low.tolist(), "high": self.high.tolist()}
        return {"shape": self.shape, **sides, "squashed": self.squashed}


ACTION_MODELS = {kind.__name__: kind for kind in (CategoricalActions, GaussianActions)}


def action_model_of(space: Space, *, squashed: bool = False) -> ActionModel:
    """Return the model of an environment's action space, of Gymnasium.

    TypeError if it is neither Discrete nor Box, ValueError if an open box is to be squashed into.
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return CategoricalActions(int(space.n), int(space.start))
    if kind != "Box" or space.dtype.kind != "f":
        raise TypeError(f"environment: its actions must be Discrete or a Box of reals, got {space}")
    low, high = (side.astype(np.float64).ravel() for side in (space.low, space.high))
    if squashed and not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"squashed: it is True, but the box of actions is open, {space}")
    return GaussianActions(tuple(space.shape), low.tolist(), high.tolist(), squashed=squashed)
