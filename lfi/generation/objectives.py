"""Players of generator training: the critic's and the generator's objective of any comparison.

The critic minimises the comparison's critic loss and penalties; the generator its generator loss,
through x = G(z, condition), or a discrepancy of data and samples. Several generators train as one
stack (`lfi.networks.stack_modules`), each against a critic of its own: batches hold the rows of one
after those of another, and what is minimised is the mean of their losses.

References:
    Goodfellow et al., Generative adversarial nets, 2014. arXiv:1406.2661
    Mohamed & Lakshminarayanan, Learning in implicit generative models, 2016. arXiv:1610.03483
    Lin, Khetan, Fanti & Oh, PacGAN: the power of two samples in generative adversarial networks,
        2018. arXiv:1712.04086
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import (
    R1,
    R2,
    Adversarial,
    Balance,
    Constraint,
    Contrast,
    Critic,
    CriticLoss,
    Discrepancy,
    GeneratorLoss,
    OfMeans,
    Penalty,
    Recovers,
    Values,
    Wasserstein,
    against_generator,
    objective,
)
from lfi.comparison.losses.learned_features import LearnedFeatures
from lfi.comparison.penalties.annealed import Annealed
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.networks import unstack_modules
from lfi.numerics.arguments import checked
from lfi.numerics.checks import check_counts, check_instance
from lfi.runtime import BriefSettings
from lfi.training import Batch, Player, Step, adamw

ROWS_AT_ONCE = 4_096  # of which each has its own loss

Draw = Callable[..., Tensor]  # called as draw(*condition, rng)


@checked
@dataclass(frozen=True, repr=False)
class Packed(BriefSettings):
    """An adversarial comparison whose critic sees several samples at once.

    A generator that misses modes makes packs that are less diverse than the data's, which a critic
    of packs can tell. The critic takes inputs (n, samples, *event).

    Attributes:
        comparison: The losses, penalties and constraint.
        samples: How many samples are in a pack.

    Raises:
        ValueError: If a pack holds less than one sample.

    Example:
        >>> usual = lfi.Adversarial(lfi.losses.Bernoulli(), lfi.losses.NonSaturating())
        >>> Packed(usual, samples=2).samples
        2
    """

    comparison: Adversarial
    samples: int = 2

    def __post_init__(self) -> None:
        check_instance("comparison", self.comparison, Adversarial)
        check_counts(samples=self.samples)

    @property
    def recovers(self) -> Recovers:
        """What the critic recovers of the log-ratio of packs."""
        return self.comparison.recovers


@checked
@dataclass(frozen=True, repr=False)
class Unrolled(BriefSettings):
    """An adversarial comparison whose generator sees moves of the critic ahead.

    The turn is `lfi.training.unrolled`, unless settings say otherwise.

    Attributes:
        comparison: The losses and penalties, of packs or not. A constraint that projects the
            critic's weights cannot be unrolled.
        ahead: How many moves.

    Raises:
        ValueError: If no move is ahead, or the comparison has a constraint.

    Example:
        >>> usual = lfi.Adversarial(lfi.losses.Bernoulli(), lfi.losses.NonSaturating())
        >>> Unrolled(usual, ahead=5).ahead
        5
    """

    comparison: Adversarial | Packed
    ahead: int = 5

    def __post_init__(self) -> None:
        check_instance("comparison", self.comparison, Adversarial | Packed)
        check_counts(ahead=self.ahead)
        if rules_of(self.comparison).constraint is not None:
            raise ValueError(
                f"comparison: weights that are projected after every move cannot be unrolled, "
                f"got {self.comparison}"
            )

    @property
    def recovers(self) -> Recovers:
        """What the critic recovers of the log-ratio."""
        return self.comparison.recovers


def rules_of(comparison: Adversarial | Packed) -> Adversarial:
    """Return losses, penalties and constraint, of single samples or of packs."""
    return comparison.comparison if isinstance(comparison, Packed) else comparison


def adversarial_players(
    generator: nn.Module,
    critic: nn.Module,
    draw: Draw,
    comparison: Adversarial | Packed,
    settings: CompleteAdversarialSettings,
    *,
    members: int = 1,
) -> tuple[Player, Player]:
    """Return the critic's player and the generator's, to be trained on batches (x, *condition).

    `draw` depends on the generator's parameters; `members` networks are stacked in either. Refused
    are constraints that the critic cannot be held to, penalties of all rows together if there are
    several members, and penalties on learned features whose discrepancy has no witness.
    """
    pack = comparison.samples if isinstance(comparison, Packed) else 1
    rules = rules_of(comparison)
    if members > 1 and any(isinstance(penalty, Balance) for penalty in rules.penalties):
        raise ValueError("comparison: a balance penalty cannot be taken of stacked critics")
    features = rules.critic_loss if isinstance(rules.critic_loss, LearnedFeatures) else None
    if features and rules.penalties and not isinstance(features.discrepancy, OfMeans):
        raise TypeError(
            f"comparison: penalties are on the witness of learned features, and "
            f"{features.discrepancy} has none: take Energy or MMD, or no penalty"
        )
    project = None if rules.constraint is None else partial(_project, rules.constraint)
    if project is not None:
        project(critic)
    at_p, at_q = (has_penalty(rules, kind) for kind in (R1, R2))

    def contrast_of(draw: Draw) -> Contrast:
        return packed_contrast(draw, pack) if pack > 1 else against_generator(draw)

    def frozen(*inputs: Tensor | torch.Generator) -> Tensor:
        # the generator is held where it is by its move, not here: turns that look ahead let it go
        x = draw(*inputs)
        return x if x.requires_grad else x.requires_grad_(at_q)

    against_frozen, against = contrast_of(frozen), contrast_of(draw)
    critic_loss = StackedLoss(rules.critic_loss, members)
    generator_loss = partial(stacked_mean, rules.generator_loss.generator, members)

    def critic_objective(batch: Batch, step: Step) -> Tensor:
        x, *condition = batch
        x = x.detach().requires_grad_(at_p)
        values = replace(against_frozen(critic, (x, *condition), step.rng), traced=True)
        penalised = critic
        if features and rules.penalties:
            penalised = features.critic_of(critic, values, members)
        penalties = tuple(penalty_at(penalty, step) for penalty in rules.penalties)
        return objective(critic_loss, penalties, penalised, values, step.rng, step.index)

    reads_p = depends_on_p(rules.generator_loss)

    def generator_objective(batch: Batch, step: Step) -> Tensor:
        if not reads_p:
            h_q = values_at_samples(critic, draw, pack, batch, step.rng)
            return generator_loss(torch.full_like(h_q, torch.nan), h_q)
        values = against(critic, batch, step.rng)
        return generator_loss(values.h_p, values.h_q)

    return (
        critic_player(critic, critic_objective, rules.critic_loss, settings, project=project),
        generator_player(generator, generator_objective, settings),
    )


def discrepancy_players(
    generator: nn.Module,
    draw: Draw,
    discrepancy: Discrepancy,
    settings: CompleteAdversarialSettings,
    *,
    members: int = 1,
) -> tuple[Player]:
    """Return the generator's player under a discrepancy, which sees conditions as entries of x."""

    def flat(x: Tensor, condition: list[Tensor]) -> Tensor:
        rows = torch.cat([x.flatten(1), *(part.flatten(1) for part in condition)], dim=1)
        return rows.unflatten(0, (members, -1))

    def objective(batch: Batch, step: Step) -> Tensor:
        x, *condition = batch
        return discrepancy(flat(x, condition), flat(draw(*condition, step.rng), condition)).mean()

    return (generator_player(generator, objective, settings),)


def generator_player(
    generator: nn.Module,
    objective: Callable[[Batch, Step], Tensor],
    settings: CompleteAdversarialSettings,
) -> Player:
    """Return the player that moves a generator."""
    player = _player("generator", generator, objective, settings.learning_rate, settings)
    return replace(player, ema=settings.average or None)


def critic_player(
    critic: nn.Module,
    objective: Callable[[Batch, Step], Tensor],
    loss: CriticLoss,
    settings: CompleteAdversarialSettings,
    *,
    name: str = "critic",
    project: Callable[[nn.Module], None] | None = None,
) -> Player:
    """Return the player that moves a critic, which is five times a turn under Wasserstein's loss.

    Settings may say otherwise.
    """
    moves = settings.critic_steps
    if moves is None:
        moves = 5 if isinstance(loss, Wasserstein) else 1
    player = _player(name, critic, objective, settings.critic_learning_rate, settings)
    return replace(player, steps=moves, project=project)


def _player(
    name: str,
    module: nn.Module,
    objective: Callable[[Batch, Step], Tensor],
    learning_rate: float,
    settings: CompleteAdversarialSettings,
) -> Player:
    optimiser = adamw(learning_rate, betas=settings.betas, weight_decay=settings.weight_decay)
    clip = None if settings.clip == math.inf else settings.clip
    return Player(name, module, objective, optimiser, clip=clip)


@dataclass(frozen=True)
class StackedLoss:
    """The mean of a critic's loss over stacked critics, each of its own rows."""

    loss: CriticLoss
    members: int

    @property
    def recovers(self) -> Recovers:
        """What each critic recovers of log p/q."""
        return self.loss.recovers

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the critics' mean loss."""
        return stacked_mean(self.loss, self.members, h_p, h_q)


def stacked_mean(
    loss: Callable[[Tensor, Tensor], Tensor], members: int, h_p: Tensor, h_q: Tensor
) -> Float[Tensor, ""]:
    """Return the mean of a loss over stacked networks, each of its own rows."""
    if members == 1:
        return loss(h_p, h_q)
    pairs = zip(h_p.chunk(members), h_q.chunk(members), strict=True)
    return torch.stack([loss(p, q) for p, q in pairs]).mean()


def _project(constraint: Constraint, module: nn.Module) -> None:
    for one in unstack_modules(module):
        constraint.project(one)


def packed_contrast(draw: Draw, samples: int) -> Contrast:
    """Return the contrast of packs of data with packs of samples."""

    def contrast(critic: Critic, batch: Batch, rng: torch.Generator) -> Values:
        x, *condition = batch
        p, q = packed(x, samples), packed(draw(*condition, rng), samples)
        shared = tuple(packed(part, samples) for part in condition)
        return Values(critic(p, *shared), critic(q, *shared), (p,), (q,), shared)

    return contrast


def values_at_samples(
    critic: Critic, draw: Draw, samples: int, batch: Batch, rng: torch.Generator
) -> Float[Tensor, "*n"]:
    """Return the critic's values of a generator's samples alone, in packs of so many."""
    _, *condition = batch
    x_q = draw(*condition, rng)
    return critic(*(packed(part, samples) for part in (x_q, *condition)))


def packed(x: Float[Tensor, "n ..."], samples: int) -> Float[Tensor, "packs ..."]:
    """Return rows in packs of so many, (n / samples, samples, *event), or as they are for 1."""
    return x.unflatten(0, (-1, samples)) if samples > 1 else x


def has_penalty(rules: Adversarial, kind: type) -> bool:
    """Return whether a penalty, annealed or not, is of a kind and on the critic's own values."""
    if isinstance(rules.critic_loss, LearnedFeatures):
        return False  # the critic's values are features
    plain = (p.penalty if isinstance(p, Annealed) else p for p in rules.penalties)
    return any(isinstance(penalty, kind) for penalty in plain)


def depends_on_p(loss: GeneratorLoss) -> bool:
    """Return whether a generator's loss depends on values at the data; most do not.

    Example:
        >>> depends_on_p(lfi.losses.NonSaturating()), depends_on_p(lfi.losses.Relativistic())
        (False, True)
    """
    if isinstance(loss, LearnedFeatures):
        return True
    h = torch.linspace(-1, 1, 8)
    return not torch.equal(loss.generator(h, h), loss.generator(torch.full_like(h, torch.nan), h))


def losses_by_row(
    loss: GeneratorLoss, h_p: Float[Tensor, " n"], h_q: Float[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """Return the generator's loss of each sample alone; the usual losses are their means.

    A loss that compares with the data (relativistic) averages over h_p for each of them.

    Example:
        >>> h = torch.tensor([-1.0, 0.0, 2.0])
        >>> losses_by_row(lfi.losses.ReverseKL(), h, h)  # minus the log-ratio, and a constant
        tensor([ 2.,  1., -1.])
    """
    return torch.vmap(lambda h: loss.generator(h_p, h[None]), chunk_size=ROWS_AT_ONCE)(h_q)


def penalty_at(penalty: Penalty, step: Step) -> Penalty:
    """Return the penalty with its weight at a step."""
    return penalty.at(step.done) if isinstance(penalty, Annealed) else penalty
