"""Training of one network, and the settings that all methods share."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from lfi.numerics.arguments import checked
from lfi.numerics.checks import (
    check_instance,
    check_number,
    check_positive,
    check_share,
    check_whole,
)
from lfi.runtime.progress import Advance, held_out_note, silent
from lfi.training.batches import Batch, Batches
from lfi.training.checkpoints import Checkpoint
from lfi.training.history import History
from lfi.training.loop import GiveUp, Monitor, fit
from lfi.training.players import Player, Step, adamw
from lfi.training.schedules import Schedule, one_cycle
from lfi.training.step_limits import UNLIMITED, StepLimit

VALIDATIONS = 20  # of one training, spread evenly over its steps

Risk = Callable[[Batch, Step], Tensor]
Settings = TypeVar("Settings", bound="TrainSettings")


@checked
@dataclass(frozen=True)
class TrainSettings:
    """How a network is trained. What is None is left to the method.

    Attributes:
        steps: The number of optimiser steps, unless patience ends training before.
        batch_size: Rows of a batch; never more than there are.
        learning_rate: Its peak.
        weight_decay: AdamW's.
        average: The decay of the exponential moving average of the weights, which is validated and
            which training ends with; 0 for no averaging.
        clip: The largest norm of the gradient; `math.inf` for no limit.
        patience: Stop after so many validations without improvement.
        held_out: The share of rows held out for validation.

    Raises:
        TypeError: If a value is not a number.
        ValueError: If a value is out of its range.

    Example:
        >>> TrainSettings(steps=3_000, clip=5.0).updated(TrainSettings(steps=100))
        TrainSettings(steps=100, clip=5.0)
    """

    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    average: float | None = None
    clip: float | None = None
    patience: int | None = None
    held_out: float | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "patience"):
            check_whole(name, getattr(self, name), optional=True)
        check_positive("learning_rate", self.learning_rate, optional=True)
        check_number("weight_decay", self.weight_decay, minimum=0, optional=True)
        check_number("average", self.average, minimum=0, below=1, optional=True)
        check_number("clip", self.clip, above=0, maximum=math.inf, optional=True)
        check_share("held_out", self.held_out, optional=True)

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        inside = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"{type(self).__name__}({inside})"

    def updated(self: Settings, settings: "TrainSettings | None") -> Settings:
        """Return these defaults, with what a user's settings say in place of them.

        Raises:
            TypeError: If the settings are something else.
        """
        check_instance("settings", settings, TrainSettings, optional=True)
        if settings is None:
            return self
        given = {field.name: getattr(settings, field.name, None) for field in fields(self)}
        return replace(self, **{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True, repr=False)
class CompleteSettings(TrainSettings):
    """Settings of which none is None: a method's defaults, and what training goes by.

    Example:
        >>> CompleteSettings(steps=400).updated(TrainSettings(clip=1.0)).learning_rate
        0.001
    """

    steps: int = 1_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    average: float = 0.99
    clip: float = 5.0
    patience: int = VALIDATIONS
    held_out: float = 0.1


def train_one(
    network: nn.Module,
    risk: Risk,
    batches: Batches,
    settings: TrainSettings,
    *,
    validate: Callable[[Batch], float] | None = None,
    validations: int = VALIDATIONS,
    name: str = "loss",
    optimiser: Callable[[Iterable[nn.Parameter]], Optimizer] | None = None,
    schedule: Schedule | None = None,
    give_up: GiveUp | None = None,
    limit: StepLimit = UNLIMITED,
    checkpoint: Checkpoint | None = None,
    seed: int | None = None,
    device: str = "cpu",
    advance: Advance = silent,
) -> History:
    """Train one network in place; it ends with the averaged weights of the best validation.

    The risk is a scalar of a batch and the step. `validate` is the risk of held-out rows, taken
    `validations` times at most; None trains all steps without. Settings that are None are those of
    `CompleteSettings()`; `batch_size` and `held_out` are for whoever makes the batches. `name` is
    the risk's column of the history. By default the optimiser is AdamW, the schedule one cycle, and
    the seed fresh entropy, which the history records. `give_up` and `limit` are `Monitor`'s,
    `checkpoint` is `fit`'s.
    `advance` is told of every step, of those that early stopping saves too. Raises `Diverged` if
    the risk is no longer finite.

    Example:
        >>> from lfi.training import Shuffled, TrainSettings, train_one
        >>> line = torch.nn.Linear(1, 1, dtype=torch.float32)
        >>> x = torch.linspace(-1, 1, 64, dtype=torch.float32)[:, None]
        >>> risk = lambda batch, step: (line(batch[0]) - 3 * batch[0]).square().mean()
        >>> settings = TrainSettings(steps=300, learning_rate=0.1, weight_decay=0.0)
        >>> history = train_one(line, risk, Shuffled((x,), size=64), settings, seed=1)
        >>> round(line.weight.item(), 1)
        3.0
    """
    settings = CompleteSettings().updated(settings)
    steps = settings.steps
    player = Player(
        name,
        network,
        risk,
        optimiser or adamw(settings.learning_rate, weight_decay=settings.weight_decay),
        ema=settings.average or None,
        clip=None if settings.clip == math.inf else settings.clip,
    )
    monitor = validate and Monitor(
        validate,
        every=math.ceil(steps / validations),
        patience=settings.patience,
        give_up=give_up,
        limit=limit,
    )
    if checkpoint is not None:
        advance(checkpoint.steps)
    history = fit(
        [player],
        batches,
        steps=steps,
        monitor=monitor,
        schedule=schedule or one_cycle(),
        seed=seed,
        device=device,
        callbacks=[lambda done, latest: advance(1, held_out_note(latest))],
        checkpoint=checkpoint,
    )
    if history.steps < steps:
        advance(steps - history.steps)
    return history
