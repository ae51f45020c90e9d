"""Training critics of pairs one after the other, and stacking them on held-out simulations.

How flexible a critic may be is unknown beforehand: on ten thousand simulations of a linear model a
network learns noise that a linear critic cannot; on two crescents a linear critic learns nothing.
So several kinds (`critic_stages`) are trained on the same rows, and the log ratio is their sum with
the non-negative weights of least held-out log-loss, a convex problem. Weights that sum to less than
1 temper an overconfident ratio. Critics whose weight vanishes are dropped.

Each is stopped where the held-out log-loss is least, whichever loss it minimises: Bernoulli's where
the ratio itself is claimed, else the softmax cross-entropy, which ignores functions of x, both over
all pairs of 128 held-out rows. The weights are chosen by the same losses among 2,048 parameters:
what is finer than 128 can resolve would be weighted blindly.

Training is given up where a critic lies so far behind posteriors that are there already that a pool
would drop it (`race`).

Least squares of the ratio, and other losses with an exponential in log r, have gradients that a few
pairs decide where a posterior is much narrower than its prior. They are taken between mixtures of
both samples (`Relative`), which keeps their optimum, and critics start from where the log-loss led.

References:
    Breiman, Stacked regressions, Machine Learning 1996.
    Yamada et al., Relative density-ratio estimation, 2013. arXiv:1106.4729
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lfi.comparison import (
    NREB,
    Balance,
    Bernoulli,
    Contrast,
    Contrastive,
    Critic,
    CriticLoss,
    Divergence,
    Penalty,
    Recovers,
    Relative,
    Values,
    joint_among,
    joint_vs_marginals,
    objective,
    recovered,
    steep,
)
from lfi.inference.methods.critic_stages import CriticStage
from lfi.inference.methods.race import Entry
from lfi.networks import EmbedsPairs
from lfi.runtime import Advance, child, isolated, torch_rng, within
from lfi.training import (
    NO_CHECKPOINTS,
    UNLIMITED,
    Batch,
    Batches,
    Checkpoints,
    History,
    Step,
    StepLimit,
    stacking_weights,
    train_one,
)

VALIDATIONS = 25  # of one critic's training
START = 0.5  # the share of steps that are taken by the log-loss, where the loss is steep
CHUNK = 128  # held-out rows whose pairs are all compared
OTHERS = 2_048  # parameters that each held-out x is compared with when critics are stacked
HALVINGS = 12  # of the interval in which a temper lies
NEGLIGIBLE = 0.02  # a weight's share of all, below which its critic is dropped


def contrast_for(loss: CriticLoss, contrasts: int | None) -> Contrast:
    """Return the contrast of (theta, x) with shuffled pairs in the shape that the loss takes."""
    return (
        joint_among(contrasts) if isinstance(loss, Contrastive) else joint_vs_marginals(contrasts)
    )


def validation_loss(recovers: Recovers) -> CriticLoss:
    """Return the proper log-loss that validates critics, whatever they were trained with."""
    return Bernoulli() if recovers == Recovers.RATIO else NREB()


def held_out_values(recovers: Recovers, critic: Critic, held_out: Batch) -> list[Values]:
    """Return values at all pairs of each 128 held-out rows, or of all rows if they are fewer."""
    contrast, rng = contrast_for(validation_loss(recovers), None), torch_rng(0)
    size = min(CHUNK, len(held_out[0]))
    whole = len(held_out[0]) // size * size
    parts = zip(*(tensor[:whole].split(size) for tensor in held_out), strict=True)
    return [contrast(critic, part, rng) for part in parts]


def held_out_loss(recovers: Recovers, critic: Critic) -> Callable[[Batch], float]:
    """Return a function of held-out rows: the critic's log-loss of all pairs."""
    loss = validation_loss(recovers)

    @torch.no_grad()
    def measure(held_out: Batch) -> float:
        values = held_out_values(recovers, critic, held_out)
        return float(sum(loss(v.h_p, v.h_q) for v in values) / len(values))

    return measure


def train_critic(
    critic: nn.Module,
    stage: CriticStage,
    loss: CriticLoss,
    penalties: tuple[Penalty, ...],
    batches: Batches,
    *,
    entry: Entry | None = None,
    limit: StepLimit = UNLIMITED,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
    seed: int,
    device: str,
    advance: Advance,
) -> History:
    """Train one critic in place, its standardisation fitted; the seed is of batches and dropout.

    It is given up where it falls far behind in the race that it has an entry in. The loss that
    follows its start by the log-loss is left out where a limit has no time for it. From
    `checkpoints` interrupted training goes on.
    """
    steps, recovers = stage.settings.steps, recovered(loss, penalties)
    first, loss_of = max(1, round(START * steps)), held_out_loss(recovers, critic)

    def validate(held_out: Batch) -> float:
        if entry is not None:
            entry.measure()
        return loss_of(held_out)

    def train(loss: CriticLoss, steps: int, number: int, limit: StepLimit) -> History:
        contrast = contrast_for(loss, stage.contrasts)
        checkpoint = checkpoints.of(f"training {number}", critic)
        if entry is not None and checkpoint is not None:
            entry.done += checkpoint.validations("held-out")

        def risk(batch: Batch, step: Step) -> Tensor:
            values = contrast(critic, batch, step.rng)
            return objective(loss, penalties, critic, values, step.rng, step.index)

        return train_one(
            critic,
            risk,
            batches,
            replace(stage.settings, steps=steps),
            validate=validate,
            validations=VALIDATIONS,
            name=stage.kind.name,
            give_up=entry and entry.give_up,
            limit=limit,
            checkpoint=checkpoint,
            seed=child(seed, number),
            device=device,
            advance=advance,
        )

    with isolated(child(seed, 0)):  # dropout draws from the global state
        if not isinstance(loss, Divergence) or not steep(loss):
            return train(loss, steps, 1, limit)
        names = "start", type(loss).__name__
        begin = limit.part(names[0], needed=True) or limit
        with within(names[0]):
            before = train(validation_loss(recovers), first, 2, begin)
        rest = limit.part(names[1], share=1)
        if rest is None:
            return before
        with within(names[1]):
            after = train(Relative(loss), max(1, steps - first), 1, rest)
    return History.joined((before, after), names, notes=after.stopped, seed=after.seed)


@torch.no_grad()
def stack_critics(
    recovers: Recovers,
    penalties: tuple[Penalty, ...],
    critics: Sequence[nn.Module],
    held_out: Batch,
    others: Float[Tensor, "k ..."],
    *,
    rows: int = 16,
) -> Float[Tensor, " c"]:
    """Return the non-negative stacking weights of critics: those of least held-out log-loss.

    Each held-out x is compared with its own theta and with the same others, so many that the
    log-loss is, up to a constant, minus the log density of the posterior that the sum gives. Where
    all are told apart, as by x of many numbers, larger weights lose no less: how far their sum is
    from 1 counts as much as one held-out x. A `Balance` among the penalties applies to the sum too,
    as that of balanced critics is not balanced, and the sum is tempered until its regions have
    their nominal coverage: a ratio can be balanced and overconfident, on few simulations by a fifth
    of its coverage.
    """
    loss = validation_loss(recovers)
    balances = tuple(penalty for penalty in penalties if isinstance(penalty, Balance))
    h_p, h_q = (
        torch.stack(parts).double()
        for parts in zip(
            *(_compared(critic, held_out, others, rows) for critic in critics), strict=True
        )
    )
    rng, among = torch_rng(0), isinstance(loss, Contrastive)

    def risk(weights: Float[Tensor, " c"]) -> Tensor:
        weights = weights.to(h_p)
        joint, shuffled = torch.tensordot(weights, h_p, 1), torch.tensordot(weights, h_q, 1)
        row = torch.cat([joint[:, None], shuffled[:, :-1]], 1) if among else joint
        values = Values(row, shuffled, (), (), contrastive=among)
        far = (weights.sum() - 1).square() / h_p.shape[1]
        return objective(loss, balances, critics[0], values, rng, 0) + far

    weights = stacking_weights(risk, len(critics))
    if balances:
        joint, shuffled = (torch.tensordot(weights.to(h), h, 1) for h in (h_p, h_q))
        weights *= covering_factor(joint, shuffled)
    return weights


def covering_factor(joint: Float[Tensor, " n"], others: Float[Tensor, "n k"]) -> float:
    """Return the largest factor of log ratios, at most 1, with which regions do not undercover.

    The smallest highest-density regions that hold the true parameters have contents uniform on
    (0, 1) where content and coverage agree, and larger ones where regions undercover. With the
    factor, no content exceeds its rank among the n held-out ones, over n, by more than
    1 / (4 sqrt n); of an exact posterior, chance makes one larger by 0.6 / sqrt n on average. The
    log ratios are those of held-out pairs, and of their x with parameters from the prior.
    """
    higher = others > joint[:, None]
    n, low, high = len(joint), 0.0, 1.0
    place = torch.arange(1, n + 1).to(others) / n

    def wide(factor: float) -> bool:
        contents = ((factor * others).softmax(1) * higher).sum(1).sort().values
        return bool((contents - place).max() <= 0.25 * n**-0.5)

    if wide(high):
        return high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if wide(middle) else (low, middle)
    return low


def _compared(
    critic: nn.Module, held_out: Batch, others: Tensor, rows: int
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]:
    """Return a critic's values at held-out pairs, and at their x with all others."""
    assert isinstance(critic, EmbedsPairs)
    theta, x = held_out
    own, x = critic.embed_theta(theta), critic.embed_x(x)
    embedded = critic.embed_theta(others)
    tables = [critic.pair(embedded[None], part[:, None]) for part in x.split(rows)]
    return critic.pair(own, x), torch.cat(tables)


def substantial(weights: Float[Tensor, " k"]) -> list[int]:
    """Return the indices of weights that are not negligible beside their sum."""
    return [int(i) for i in torch.where(weights >= NEGLIGIBLE * weights.sum())[0]]
