"""Settings of adversarial training: how a generator and its critic are optimised."""

import math
from dataclasses import dataclass, field

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive, check_whole
from lfi.training import TrainSettings, Turn, alternating, linear_decay
from lfi.training.schedules import Schedule


@checked
@dataclass(frozen=True, repr=False)
class AdversarialSettings(TrainSettings):
    """How a generator is trained, against a critic or a discrepancy.

    What is None suits the kind of data and the comparison.

    Attributes:
        steps: Updates of the generator.
        batch_size: Rows of a batch, of data and of samples; never more than there are.
        learning_rate: The generator's.
        weight_decay: AdamW's, of both networks; 0 by default.
        average: The decay of the exponential moving average of the generator's weights, with which
            it ends; 0 for no averaging.
        clip: The largest norm of a gradient, of either network; `math.inf` by default.
        patience: Stop after so many validations without improvement, and keep the weights of the
            best one; by default training takes all steps, and the last weights are kept.
        held_out: The share of rows held out for validation.
        critic_steps: Updates of the critic for each one of the generator. By default 5 under a
            Wasserstein loss, whose critic has to be nearly optimal to be of use, and 1 else; 2
            for surrogates.
        critic_learning_rate: The critic's.
        betas: Adam's, of both networks; (0, 0.99) by default: without momentum, which the other
            network's updates make stale.
        schedule: The factor of both learning rates, of the share of steps done; by default
            constant for one half and then linear to zero.
        turn: The order of updates; `alternating` by default.

    Raises:
        TypeError: If a value is of a wrong type.
        ValueError: If a value is out of its range.

    Example:
        >>> AdversarialSettings(steps=100, critic_steps=5)
        AdversarialSettings(steps=100, critic_steps=5)
    """

    critic_steps: int | None = None
    critic_learning_rate: float | None = None
    betas: tuple[float, float] | None = None
    schedule: Schedule | None = None
    turn: Turn | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("critic_steps", self.critic_steps, optional=True)
        check_positive("critic_learning_rate", self.critic_learning_rate, optional=True)
        if self.betas is not None:
            if not isinstance(self.betas, tuple) or len(self.betas) != 2:
                raise TypeError(f"betas must be a pair of numbers, got {self.betas!r}")
            if not all(0 <= beta < 1 for beta in self.betas):
                raise ValueError(f"betas must be in [0, 1), got {self.betas}")
        for name in ("schedule", "turn"):
            value = getattr(self, name)
            if value is not None and not callable(value):
                raise TypeError(f"{name} must be a function, got {value!r}")


@dataclass(frozen=True, repr=False)
class CompleteAdversarialSettings(AdversarialSettings):
    """Settings that leave nothing out, by default those of vectors under any comparison.

    None of `critic_steps` depends on the loss, None of `patience` takes all steps.
    """

    steps: int = 3_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    average: float = 0.998
    clip: float = math.inf
    held_out: float = 0.1
    critic_learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.0, 0.99)
    schedule: Schedule = field(default_factory=linear_decay)
    turn: Turn = alternating


DEFAULTS = CompleteAdversarialSettings()
