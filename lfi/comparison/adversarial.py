"""Comparison by critic: a loss for the critic, a loss for the generator, and penalties.

    objective = loss(h_p, h_q) + sum of weight * penalty

The usual GAN is critic Bernoulli, generator NonSaturating; where both are the same divergence, it
is the minimax game.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.divergence import LIMIT, Divergence
from lfi.comparison.types import Critic, CriticLoss, GeneratorLoss, Penalty, Recovers, Values


def recovered(loss: CriticLoss, penalties: tuple[Penalty, ...] = ()) -> Recovers:
    """Return what a critic says of log p/q under a loss and penalties: the weaker of them."""
    kept = all(penalty.keeps_optimum for penalty in penalties)
    return loss.recovers if kept else Recovers.NOTHING


@dataclass(frozen=True)
class Adversarial:
    """A comparison by critic.

    Attributes:
        critic_loss: What the critic minimises.
        generator_loss: What whoever draws q minimises.
        penalty: One penalty of the critic, or several, or ().

    Example:
        >>> from lfi.comparison import R1, Bernoulli, NonSaturating
        >>> Adversarial(Bernoulli(), NonSaturating()).recovers.name
        'RATIO'
        >>> Adversarial(Bernoulli(), NonSaturating(), penalty=R1(0.1)).recovers.name
        'NOTHING'
    """

    critic_loss: CriticLoss
    generator_loss: GeneratorLoss
    penalty: Penalty | tuple[Penalty, ...] = ()

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """All penalties."""
        return self.penalty if isinstance(self.penalty, tuple) else (self.penalty,)

    @property
    def recovers(self) -> Recovers:
        """What the critic says of log p/q: the weaker of its loss and its penalties."""
        return recovered(self.critic_loss, self.penalties)


@dataclass(frozen=True)
class DirectGenerator:
    """The source's generator loss, E_q[f(r)] through a frozen critic, for a decreasing f.

    It is not the divergence's gradient: the critic's own change with q is left out. Where f
    increases, it pushes the model away from the data, so only a decreasing f is taken; a
    divergence's own `generator` is right for all.

    Attributes:
        divergence: f, decreasing: Bernoulli, Brier, Exponential, ReverseKL, NonSaturating.

    Raises:
        ValueError: If f increases anywhere.

    References:
        Mohamed & Lakshminarayanan, Learning in Implicit Generative Models, 2016. arXiv:1610.03483

    Example:
        >>> from lfi.comparison import ReverseKL
        >>> h = torch.tensor([-2.0, 1.0])
        >>> DirectGenerator(ReverseKL()).generator(h, h)  # -log r, on average
        tensor(0.5000)
    """

    divergence: Divergence

    def __post_init__(self) -> None:
        h = torch.linspace(-LIMIT, LIMIT, 601, dtype=torch.float64)
        if (self.divergence.slope(h) > 0).any():
            raise ValueError(
                f"the direct loss needs a decreasing f, or it moves the model away from the data; "
                f"{self.divergence} increases: use its own `generator`"
            )

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the mean of f at the generator's samples."""
        return self.divergence.f(h_q).mean()


def objective(
    loss: CriticLoss,
    penalties: tuple[Penalty, ...],
    critic: Critic,
    values: Values,
    rng: torch.Generator,
) -> Float[Tensor, ""]:
    """Return what the critic minimises: its loss and the weighed penalties."""
    total = loss(values.h_p, values.h_q)
    for penalty in penalties:
        total = total + penalty.weight * penalty(critic, values, rng)
    return total
