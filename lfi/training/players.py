"""Players: networks that are trained, each on an objective of its own, in turns.

Ratio estimation has one player, a GAN two. A `Player` is what a user states, `Move` the player with
its optimiser while training runs. `lfi.training.turns` has turns other than alternating ones.
"""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from lfi.training.batches import Batch


class Diverged(RuntimeError):
    """An objective is no longer a finite number."""


@dataclass(frozen=True)
class Step:
    """The state of training that objectives see: `index` of `steps` turns are done.

    `rng` is a generator on the CPU; `log` notes a value under a name in the history.
    """

    index: int
    rng: torch.Generator
    log: Callable[[str, Tensor | float], None]
    steps: int = 1

    @property
    def done(self) -> float:
        """The share of turns that are done, in [0, 1)."""
        return self.index / self.steps


Objective = Callable[[Batch, Step], Tensor]


def adamw(
    learning_rate: float, *, betas: tuple[float, float] = (0.9, 0.999), weight_decay: float = 0.0
) -> Callable[[Iterable[nn.Parameter]], Optimizer]:
    """Return the optimiser that a player asks for by `optimiser=adamw(1e-3)`.

    References:
        Loshchilov & Hutter, Decoupled weight decay regularization, 2019. arXiv:1711.05101
    """
    return lambda parameters: AdamW(
        list(parameters), lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True
    )


@dataclass(frozen=True)
class Player:
    """A network that is trained on an objective of its own, a scalar of a batch and the step.

    Attributes:
        name: The column of the history that its objective fills.
        steps: How often it moves in one turn.
        project: Called with the module after every move, such as to clip its weights.
        ema: The decay of the exponential moving average of the weights, which replaces them at the
            end; None for no averaging.
        clip: The largest norm of the gradient of all its parameters; None for no limit.
    """

    name: str
    module: nn.Module
    objective: Objective
    optimiser: Callable[[Iterable[nn.Parameter]], Optimizer]
    steps: int = 1
    project: Callable[[nn.Module], None] | None = None
    ema: float | None = None
    clip: float | None = None


class Move:
    """A player with its optimiser and averaged weights, while training runs."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.parameters: list[nn.Parameter] = [
            p for p in player.module.parameters() if p.requires_grad
        ]
        self.optimiser: Optimizer = player.optimiser(self.parameters)
        self.rates: list[float] = [group["lr"] for group in self.optimiser.param_groups]
        keeps_average = player.ema is not None
        self.average: nn.Module | None = copy.deepcopy(player.module) if keeps_average else None
        self.moves: int = 0
        # lists, as walking through a module takes a tenth of a small network's step
        self._now = _weights(player.module)
        self._mean = self._now if self.average is None else _weights(self.average)

    def freeze(self, frozen: bool = True) -> None:
        """Let no gradient reach the parameters, or let it again."""
        for parameter in self.parameters:
            parameter.requires_grad_(not frozen)

    def scale_rate(self, factor: float) -> None:
        """Set the learning rates to a multiple of those that the player began with."""
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor

    def gradient(self, batch: Batch, step: Step) -> None:
        """Compute the objective's gradient in the player's own parameters."""
        self.freeze(False)
        value = self.value(batch, step)
        for parameter in self.parameters:
            parameter.grad = None
        value.backward(inputs=self.parameters)
        self.freeze()

    def value(self, batch: Batch, step: Step) -> Tensor:
        """Return the objective, and note it; raise Diverged if it is not finite."""
        value = self.player.objective(batch, step)
        if not torch.isfinite(value):
            raise Diverged(
                f"the objective of {self.player.name} became {value.item()} at step {step.index}: "
                "lower the learning rate, or look for extreme values in the data"
            )
        step.log(self.player.name, value.detach())
        return value

    def apply(self) -> None:
        """Move the parameters along the gradient just computed."""
        self.advance()
        self.moves += 1
        if self.player.ema is not None:
            self.update_average(self.player.ema)

    def advance(self) -> None:
        """Take the optimiser's step, which `apply` counts and averages."""
        if self.player.clip is not None:
            clip_grad_norm_(self.parameters, self.player.clip)
        self.optimiser.step()
        if self.player.project is not None:
            self.player.project(self.player.module)

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Let the averaged weights follow, quickly at first and slowly later."""
        decay = min(decay, self.moves / (self.moves + 10))
        get_ema_multi_avg_fn(decay)(self._mean[0], self._now[0], self.moves)
        for mean, now in zip(self._mean[1], self._now[1], strict=True):
            mean.copy_(now)

    @property
    def current(self) -> nn.Module:
        """The module to validate: the averaged one where there is one."""
        return self.player.module if self.average is None else self.average


def _weights(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    return list(module.parameters()), list(module.buffers())


Turn = Callable[[Sequence[Move], Callable[[], Batch], Step], None]


def alternating(moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
    """Let one player after the other move, each `steps` times on fresh batches."""
    for move in moves:
        for _ in range(move.player.steps):
            move.gradient(draw(), step)
            move.apply()
