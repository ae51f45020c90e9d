"""The players of every comparison of data with a generator.

The critic moves against the comparison's critic loss and penalties, the generator against its
generator loss, through x = G(z, given) (the reparametrisation trick). A GAN, an f-GAN and a
surrogate's training differ in the comparison alone. A discrepancy needs no critic: the generator
plays alone, against the discrepancy of data and samples.

Several generators train side by side as one (`lfi.networks.SideBySide`), each against a critic of
its own: batches hold the rows of one after those of another, losses are of each one's rows, and
what is minimised is their mean.

References:
    Goodfellow et al., Generative adversarial nets, 2014. arXiv:1406.2661
    Mohamed & Lakshminarayanan, Learning in implicit generative models, 2016. arXiv:1610.03483
    Lin, Khetan, Fanti & Oh, PacGAN: the power of two samples in generative adversarial networks,
        2018. arXiv:1712.04086
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import (
    R1,
    R2,
    Adversarial,
    Balance,
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
from lfi.generation.settings import RATE, Regime
from lfi.networks import members as members_of
from lfi.training import Batch, Player, Step, adamw

Draw = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Packed:
    """An adversarial comparison whose critic sees several samples at once.

    A generator that misses modes makes packs that are less diverse than the data's, which a critic
    of packs sees at once. The critic takes inputs (n, samples, *event).

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
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")

    @property
    def recovers(self) -> Recovers:
        """What the critic says of the log-ratio of packs."""
        return self.comparison.recovers


def duel(
    generator: nn.Module,
    critic: nn.Module,
    draw: Draw,
    comparison: Adversarial | Packed,
    *,
    regime: Regime,
    members: int = 1,
) -> tuple[Player, Player]:
    """Return the critic's player and the generator's, to be trained on batches (x, *given).

    Args:
        generator: Whose parameters `draw` depends on.
        critic: log p/q of (x, *given), of packs of them, or features of x.
        draw: Draws x for what is given, with the random generator it is handed.
        comparison: The losses of both, and the critic's penalties and constraint.
        regime: How they move.
        members: How many of each stand side by side.

    Raises:
        ValueError: If the critic cannot be held to the comparison's constraint, or a penalty is of
            all rows together and there are several members.
        TypeError: If penalties are to charge learned features whose discrepancy has no witness.
    """
    pack = comparison.samples if isinstance(comparison, Packed) else 1
    rules = comparison.comparison if isinstance(comparison, Packed) else comparison
    if members > 1 and any(isinstance(penalty, Balance) for penalty in rules.penalties):
        raise ValueError("comparison: a balance penalty cannot be charged to members side by side")
    learned = isinstance(rules.critic_loss, LearnedFeatures)
    if learned and rules.penalties and not isinstance(rules.critic_loss.discrepancy, OfMeans):
        raise TypeError(
            f"comparison: penalties charge the witness of learned features, and "
            f"{rules.critic_loss.discrepancy} has none: take Energy or MMD, or no penalty"
        )
    constraint, project = rules.constraint, None
    if constraint is not None:

        def project(module: nn.Module) -> None:
            for one in members_of(module):
                constraint.project(one)

        project(critic)
    at_p, at_q = (charges(rules, kind) for kind in (R1, R2))

    def contrast_of(draw: Draw) -> Contrast:
        return packs(draw, pack) if pack > 1 else against_generator(draw)

    def frozen(*inputs: Tensor | torch.Generator) -> Tensor:
        return draw(*inputs).detach().requires_grad_(at_q)

    against_frozen, against = contrast_of(frozen), contrast_of(draw)
    critic_loss = OfEach(rules.critic_loss, members)
    generator_loss = OfEach(rules.generator_loss, members)

    def criticise(batch: Batch, step: Step) -> Tensor:
        x, *given = batch
        x = x.detach().requires_grad_(at_p)
        values = replace(against_frozen(critic, (x, *given), step.rng), traced=True)
        judged = critic
        if learned and rules.penalties:
            judged = rules.critic_loss.critic_of(critic, values, members)
        penalties = tuple(penalty_at(penalty, step) for penalty in rules.penalties)
        return objective(critic_loss, penalties, judged, values, step.rng, step.index)

    reads_p = depends_on_p(rules.generator_loss)

    def generate(batch: Batch, step: Step) -> Tensor:
        if not reads_p:
            h_q = at_samples(critic, draw, pack, batch, step.rng)
            return generator_loss.generator(torch.full_like(h_q, torch.nan), h_q)
        values = against(critic, batch, step.rng)
        return generator_loss.generator(values.h_p, values.h_q)

    moves = regime.critic_steps
    if moves is None:
        moves = 5 if isinstance(rules.critic_loss, Wasserstein) else 1
    return (
        Player(
            "critic",
            critic,
            criticise,
            adamw(regime.critic_rate or RATE, betas=regime.betas),
            steps=moves,
            project=project,
        ),
        generator_player(generator, generate, regime),
    )


def match(
    generator: nn.Module,
    draw: Draw,
    discrepancy: Discrepancy,
    *,
    regime: Regime,
    members: int = 1,
) -> tuple[Player]:
    """Return the generator's player where a discrepancy compares; what is given is laid beside x.

    Args:
        generator: Whose parameters `draw` depends on.
        draw: Draws x for what is given, with the random generator it is handed.
        discrepancy: What the generator makes small.
        regime: How it moves.
        members: How many generators stand side by side.
    """

    def flat(x: Tensor, given: list[Tensor]) -> Tensor:
        rows = torch.cat([x.flatten(1), *(part.flatten(1) for part in given)], dim=1)
        return rows.unflatten(0, (members, -1))

    def objective(batch: Batch, step: Step) -> Tensor:
        x, *given = batch
        return discrepancy(flat(x, given), flat(draw(*given, step.rng), given)).mean()

    return (generator_player(generator, objective, regime),)


def generator_player(
    generator: nn.Module, objective: Callable[[Batch, Step], Tensor], regime: Regime
) -> Player:
    """Return the player that moves a generator."""
    optimiser = adamw(regime.generator_rate or RATE, betas=regime.betas)
    return Player("generator", generator, objective, optimiser, ema=regime.average)


@dataclass(frozen=True)
class OfEach:
    """The mean of a loss over members side by side, each of its own rows.

    Attributes:
        loss: The loss of a critic, of a generator, or both.
        members: How many.
    """

    loss: CriticLoss | GeneratorLoss
    members: int

    @property
    def recovers(self) -> Recovers:
        """What each critic says of log p/q."""
        return self.loss.recovers

    def __call__(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the critics' mean loss."""
        return self._mean(self.loss, h_p, h_q)

    def generator(self, h_p: Float[Tensor, "*n"], h_q: Float[Tensor, "*m"]) -> Float[Tensor, ""]:
        """Return the generators' mean loss."""
        return self._mean(self.loss.generator, h_p, h_q)

    def _mean(self, loss: Callable[[Tensor, Tensor], Tensor], h_p: Tensor, h_q: Tensor) -> Tensor:
        if self.members == 1:
            return loss(h_p, h_q)
        pairs = zip(h_p.chunk(self.members), h_q.chunk(self.members), strict=True)
        return torch.stack([loss(p, q) for p, q in pairs]).mean()


def packs(draw: Draw, samples: int) -> Contrast:
    """Return the contrast of packs of data with packs of samples."""

    def contrast(critic: Critic, batch: Batch, rng: torch.Generator) -> Values:
        x, *given = batch
        p, q = packed(x, samples), packed(draw(*given, rng), samples)
        shared = tuple(packed(part, samples) for part in given)
        return Values(critic(p, *shared), critic(q, *shared), (p,), (q,), shared)

    return contrast


def at_samples(
    critic: Critic, draw: Draw, samples: int, batch: Batch, rng: torch.Generator
) -> Float[Tensor, "*n"]:
    """Return the critic's values of a generator's samples alone, in packs of so many."""
    _, *given = batch
    x_q = draw(*given, rng)
    return critic(*(packed(part, samples) for part in (x_q, *given)))


def packed(x: Float[Tensor, "n ..."], samples: int) -> Float[Tensor, "packs ..."]:
    """Return rows in packs of so many, (n / samples, samples, *event), or as they are for 1."""
    return x.unflatten(0, (-1, samples)) if samples > 1 else x


def charges(rules: Adversarial, kind: type) -> bool:
    """Return whether a penalty is of a kind and of the critic's own values, fading or not."""
    if isinstance(rules.critic_loss, LearnedFeatures):
        return False  # they are features
    plain = (p.penalty if isinstance(p, Annealed) else p for p in rules.penalties)
    return any(isinstance(penalty, kind) for penalty in plain)


def depends_on_p(loss: GeneratorLoss) -> bool:
    """Return whether a generator's loss reads values at the data; most do not.

    Example:
        >>> depends_on_p(lfi.losses.NonSaturating()), depends_on_p(lfi.losses.Relativistic())
        (False, True)
    """
    if isinstance(loss, LearnedFeatures):
        return True
    h = torch.linspace(-1, 1, 8)
    return not torch.equal(loss.generator(h, h), loss.generator(torch.full_like(h, torch.nan), h))


def penalty_at(penalty: Penalty, step: Step) -> Penalty:
    """Return the penalty as it is at a step."""
    return penalty.at(step.done) if isinstance(penalty, Annealed) else penalty
