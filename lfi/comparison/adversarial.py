"""Adversarial comparison: losses of critic and generator, penalties, a constraint.

    objective = loss(h_p, h_q) + sum of weight * penalty

A penalty with `every = k` is charged at every k-th step, k times over: the same on average,
computed less often. The usual GAN is critic Bernoulli, generator NonSaturating; one divergence for
both is the minimax game.

Reference: Karras et al., Analyzing ... StyleGAN, 2020. arXiv:1912.04958 (lazy penalties)
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lfi.comparison.losses.divergence import LIMIT, Divergence
from lfi.comparison.types import (
    Constraint,
    Critic,
    CriticLoss,
    GeneratorLoss,
    Penalty,
    Recovers,
    Values,
)
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_instance
from lfi.runtime import BriefSettings


def recovered(
    loss: CriticLoss, penalties: tuple[Penalty, ...] = (), constraint: Constraint | None = None
) -> Recovers:
    """Return what a critic recovers of log p/q under its loss, penalties and constraint."""
    kept = constraint is None and all(penalty.keeps_optimum for penalty in penalties)
    return loss.recovers if kept else Recovers.NOTHING


@checked
@dataclass(frozen=True, repr=False)
class Adversarial(BriefSettings):
    """A comparison by critic.

    Attributes:
        critic_loss: What the critic minimises.
        generator_loss: What whoever draws q minimises.
        penalty: One penalty of the critic, or several, or ().
        constraint: What the critic's weights are held to, if anything.

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
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        check_instance("critic_loss", self.critic_loss, CriticLoss, "a loss of critics")
        check_instance("generator_loss", self.generator_loss, GeneratorLoss, "a loss of generators")
        for penalty in self.penalties:
            check_instance("penalty", penalty, Penalty, "a penalty, or a tuple of them")
        check_instance("constraint", self.constraint, Constraint, optional=True)

    @property
    def penalties(self) -> tuple[Penalty, ...]:
        """All penalties."""
        return self.penalty if isinstance(self.penalty, tuple) else (self.penalty,)

    @property
    def recovers(self) -> Recovers:
        """What the critic recovers of log p/q under its loss, penalties and constraint."""
        return recovered(self.critic_loss, self.penalties, self.constraint)


@checked
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
        check_instance("divergence", self.divergence, Divergence)
        h = torch.tensor([0.0, LIMIT], dtype=torch.float64)
        middle, last = self.divergence.slope(h).tolist()  # the slope of a convex f only grows
        if last > 1e-9 * (last - middle):
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
    index: int = 0,
) -> Float[Tensor, ""]:
    """Return what the critic minimises at a step, its index: its loss and the weighed penalties."""
    total = loss(values.h_p, values.h_q)
    for penalty in penalties:
        if index % penalty.every == 0:
            total = total + penalty.every * penalty.weight * penalty(critic, values, rng)
    return total
