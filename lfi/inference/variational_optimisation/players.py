"""Players of adversarial variational optimisation: two critics, and a proposal of parameters.

Critics tell observations from simulations at the proposal's parameters, and the proposal q
minimises what they find, by the score function of past simulations,

    E_q(theta) [ g(h(x)) ] + gamma H(q),      x simulated at theta,

with g the generator's loss of one sample, in units of its deviation, and H the entropy of q: under
gamma > 0 the proposal narrows where the critic hardly minds.

References:
    Louppe, Hermans & Cranmer, Adversarial variational optimization of non-differentiable
    simulators, AISTATS 2019. arXiv:1707.07113
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lfi.comparison import Adversarial
from lfi.generation.gradient_estimators import score_function
from lfi.generation.objectives import adversarial_players, depends_on_p, losses_by_row
from lfi.generation.settings import CompleteAdversarialSettings
from lfi.inference.variational_optimisation.replay import Replay
from lfi.networks import MixtureProposal, NaturalSteps
from lfi.training import Batch, Batches, Move, Player, StackedBatches, Step, Turn, alternating

FIRST = 10  # times as many moves of the critic before the proposal's first


class ObservedBatches(StackedBatches):
    """Batches of observations for two critics, and the simulations, which checkpoints keep too."""

    def __init__(self, replay: Replay, *sources: Batches) -> None:
        super().__init__(*sources)
        self.replay: Replay = replay

    def position_of(self) -> dict[str, Tensor]:
        """Return where they stand, for a checkpoint."""
        return {**super().position_of(), **self.replay.state()}

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where others stood."""
        super().go_to(position)
        self.replay.restore(position)


def optimisation_players(
    replay: Replay,
    critics: nn.Module,
    comparison: Adversarial,
    entropy: float,
    settings: CompleteAdversarialSettings,
) -> tuple[Player, Player]:
    """Return the player of two critics in a stack and the proposal's, on batches for both."""

    def draw(rng: torch.Generator) -> Tensor:
        return replay.sample(settings.batch_size, rng)

    proposal = replay.proposal
    critic, generator = adversarial_players(
        proposal, critics, draw, comparison, settings, members=2
    )
    loss = comparison.generator_loss
    reads_p = depends_on_p(loss)

    def objective(batch: Batch, step: Step) -> Tensor:
        x = replay.rows(replay.x).flip(0)  # each critic judges the other's simulations
        with torch.no_grad():
            h_q = critics(x.flatten(0, 2)).view(2, -1)
            h_p = critics(batch[0]).view(2, -1) if reads_p else torch.full_like(h_q, torch.nan)
            values = torch.stack(
                [losses_by_row(loss, *pair) for pair in zip(h_p, h_q, strict=True)]
            )
        log_prob = replay.log_prob()
        weight, effective = replay.weights(log_prob)
        step.log("effective draws", effective)
        valid = replay.rows(replay.valid).flatten(1)
        return proposal_risk(values.flip(0), valid, log_prob.flatten(1), weight.flatten(1), entropy)

    mover = replace(generator, name="proposal", objective=objective)
    if isinstance(proposal, MixtureProposal):
        rate = settings.learning_rate
        mover = replace(mover, optimiser=lambda _: NaturalSteps(proposal, lr=rate))
    return critic, mover


def proposal_risk(
    values: Float[Tensor, "two n"],
    valid: Bool[Tensor, "two n"],
    log_prob: Float[Tensor, "two n"],
    weight: Float[Tensor, "two n"],
    entropy: float,
) -> Float[Tensor, ""]:
    """Return what the proposal minimises; a failed simulation costs as much as the worst does.

    Where all have failed, none is worse than another.
    """
    worst = values.masked_fill(~valid, -torch.inf).amax(1, keepdim=True)
    worst = worst.masked_fill(~valid.any(1, keepdim=True), 0.0)
    values = torch.where(valid, values, worst)
    values = values - (weight * values).mean(1, keepdim=True)
    deviation = (weight * values.square()).mean(1, keepdim=True).sqrt()
    values = values / deviation.clamp_min(1e-12) - entropy * log_prob.detach()
    return score_function(values, log_prob, weight=weight).mean()


def simulating_turn(replay: Replay, names: Sequence[str], inner: Turn) -> Turn:
    """Return a turn that simulates first; before the proposal's first move the critic has more."""

    def turn(moves: Sequence[Move], draw: Callable[[], Batch], step: Step) -> None:
        theta = replay.simulate(step.rng)
        for name, mean, sd in zip(names, theta.mean(0), theta.std(0), strict=True):
            step.log(f"mean {name}", float(mean))
            step.log(f"sd {name}", float(sd))
        if step.index == 0:
            for _ in range(FIRST):
                alternating(moves[:1], draw, step)
        inner(moves, draw, step)

    return turn
