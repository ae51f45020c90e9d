"""The two players of every adversarial comparison: a critic and whoever draws q.

The critic moves against the comparison's critic loss and penalties, the generator against its
generator loss, through x = G(z, given) (the reparametrisation trick). A GAN, an f-GAN and a
surrogate's training differ in the comparison alone.

References:
    Goodfellow et al., Generative adversarial nets, 2014. arXiv:1406.2661
    Mohamed & Lakshminarayanan, Learning in implicit generative models, 2016. arXiv:1610.03483
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lfi.comparison import Adversarial, against_generator, objective
from lfi.training import Batch, Player, Step, adamw

Draw = Callable[[Tensor, torch.Generator], Tensor]

GENERATOR_RATE, CRITIC_RATE = 1e-3, 2e-3
BETAS = (0.0, 0.99)  # no momentum: the other player's moves would turn it stale
AVERAGE = 0.998


def duel(
    generator: nn.Module,
    critic: nn.Module,
    draw: Draw,
    comparison: Adversarial,
    *,
    critic_steps: int,
) -> tuple[Player, Player]:
    """Return the critic's player and the generator's, to be trained on batches (x, given).

    Args:
        generator: Whose parameters `draw` depends on.
        critic: log p/q of (x, given).
        draw: Draws x for what is given, with the random generator it is handed.
        comparison: The losses of both, and the critic's penalties and constraint.
        critic_steps: How often the critic moves for each move of the generator.

    Raises:
        ValueError: If the critic cannot be held to the comparison's constraint.
    """
    constraint = comparison.constraint
    if constraint is not None:
        constraint.project(critic)
    contrast = against_generator(draw)

    def criticise(batch: Batch, step: Step) -> Tensor:
        values = contrast(critic, batch, step.rng)
        return objective(
            comparison.critic_loss, comparison.penalties, critic, values, step.rng, step.index
        )

    def generate(batch: Batch, step: Step) -> Tensor:
        values = contrast(critic, batch, step.rng)
        return comparison.generator_loss.generator(values.h_p, values.h_q)

    return (
        Player(
            "critic",
            critic,
            criticise,
            adamw(CRITIC_RATE, betas=BETAS),
            steps=critic_steps,
            project=constraint and constraint.project,
        ),
        Player("generator", generator, generate, adamw(GENERATOR_RATE, betas=BETAS), ema=AVERAGE),
    )
