"""Penalties of weight first (last / first)^s, s the share of training that is done.

A strong gradient penalty makes a critic smooth: it leads a generator from far away to all of the
data, and does not tell fine structure. A weak one does the reverse.
"""

from dataclasses import dataclass, is_dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.types import Critic, Penalty, Values
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_positive


@checked
@dataclass(frozen=True)
class Annealed:
    """A penalty whose weight falls, or rises, geometrically.

    Attributes:
        penalty: What is charged, with the weight at first.
        last: Its weight at the end.

    Raises:
        TypeError: If the penalty is none, or a weight not a number.
        ValueError: If a weight is not positive.

    Example:
        >>> Annealed(lfi.penalties.R1(1.0), last=0.01).at(0.5).weight
        0.1
    """

    penalty: Penalty
    last: float

    def __post_init__(self) -> None:
        check_positive("the weight of penalty", self.penalty.weight)
        check_positive("last", self.last)

    @property
    def weight(self) -> float:
        """The weight at first."""
        return self.penalty.weight

    @property
    def every(self) -> int:
        """How many steps lie between two charges."""
        return self.penalty.every

    @property
    def keeps_optimum(self) -> bool:
        """Whether the exact log-ratio pays nothing."""
        return self.penalty.keeps_optimum

    def at(self, done: float) -> Penalty:
        """Return the penalty with its weight when a share of training is done."""
        penalty = self.penalty
        if not is_dataclass(penalty) or isinstance(penalty, type):
            raise TypeError(f"penalty must be a dataclass to take another weight, got {penalty!r}")
        return replace(penalty, weight=self.weight * (self.last / self.weight) ** done)

    def __call__(self, critic: Critic, values: Values, rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the unweighted penalty."""
        return self.penalty(critic, values, rng)
