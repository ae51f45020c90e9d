"""Settings of imitation: how a policy, its baseline and the critic are trained."""

import math
from dataclasses import dataclass

from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_number, check_positive, check_share
from lfi.runtime import BriefSettings


@checked
@dataclass(frozen=True, repr=False)
class ImitationSettings(BriefSettings):
    """How a policy is trained against a critic, by proximal policy optimisation.

    A turn plays `copies` times `horizon` steps, moves the critic, and then policy and baseline for
    some `epochs` over those steps.

    Attributes:
        copies: Environments side by side.
        horizon: Steps of each in a turn; None is the environment's time limit, or the longest of
            the expert's episodes where it has none.
        discount: The discount of rewards.
        trace: The trace of advantages, from 0, one step, to 1, whole episodes.
        epochs: How often policy and baseline see each step of a turn.
        batch_size: Steps of a batch.
        learning_rate: The policy's and the baseline's; it falls to zero in a line.
        ratio: How far from 1 the ratio of new to old probabilities of an action is rewarded.
        entropy: The weight of the policy's entropy.
        clip: The largest norm of a gradient.
        critic_steps: The critic's steps in a turn.
        critic_learning_rate: The critic's; it falls likewise.
        average: The decay of the exponential moving average of the policy's weights, with which it
            ends; 0 for no averaging.
        squashed: Whether actions in a box are squashed into it, not clipped.
        width: Of the hidden layers of all three networks.

    Raises:
        TypeError: If a value is of a wrong type.
        ValueError: If a value is out of its range.

    References:
        Schulman, Wolski, Dhariwal, Radford & Klimov, Proximal policy optimization algorithms, 2017.
            arXiv:1707.06347

    Example:
        >>> ImitationSettings(copies=4).epochs
        10
    """

    copies: int = 8
    horizon: int | None = None
    discount: float = 0.99
    trace: float = 0.95
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-3
    ratio: float = 0.2
    entropy: float = 0.0
    clip: float = 0.5
    critic_steps: int = 50
    critic_learning_rate: float = 1e-3
    average: float = 0.99
    squashed: bool = False
    width: int = 64

    def __post_init__(self) -> None:
        counts = ("copies", "epochs", "batch_size", "critic_steps", "width")
        check_counts(**{name: getattr(self, name) for name in counts})
        if self.horizon is not None:
            check_counts(horizon=self.horizon)
        check_number("discount", self.discount, minimum=0, below=1)
        check_share("trace", self.trace, ends=True)
        for name in ("learning_rate", "critic_learning_rate", "ratio"):
            check_positive(name, getattr(self, name))
        check_number("entropy", self.entropy, minimum=0)
        check_number("clip", self.clip, above=0, maximum=math.inf)
        check_number("average", self.average, minimum=0, below=1)
