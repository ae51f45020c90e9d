"""Training critics of pairs: kinds of growing freedom, weighed on what is held out.

Nobody knows beforehand how free a critic may be. On ten thousand simulations of a linear model a
network learns noise that a linear critic cannot; on two crescents a linear critic learns nothing.
So four kinds are trained on the same rows,

    family      an exponential family with natural parameters linear in x
    products    the family and inner products of networks, on all pairs of each batch
    head        the family and a network of the two embeddings' sum, on some pairs
    measured    features of x that are Gaussian given theta, by networks of theta

the second and third beginning where the first ended, and the log ratio is their sum with the
non-negative weights of least held-out log-loss, a convex problem of four numbers. Weights that sum
to less than 1 temper what is too sure of itself. Kinds whose weight vanishes are dropped.

Each is stopped where the held-out log-loss is least, whichever loss it minimises: Bernoulli's where
the ratio itself is claimed, and the softmax cross-entropy, which ignores functions of x, where it
is not, both over all pairs of 128 held-out rows.

References:
    Breiman, Stacked regressions, Machine Learning 1996.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor, nn

from lfi.comparison import (
    NREB,
    Bernoulli,
    Contrast,
    Contrastive,
    CriticLoss,
    Penalty,
    Recovers,
    Values,
    joint_among,
    joint_vs_marginals,
    objective,
)
from lfi.comparison import PairCritic as EmbedsPairs
from lfi.training import (
    Advance,
    Batch,
    Batches,
    History,
    Monitor,
    Player,
    Step,
    adamw,
    child,
    fit,
    held_out_note,
    isolated,
    one_cycle,
    torch_rng,
)

JUDGEMENTS = 25  # how often a critic is judged on what is held out
PATIENCE = 8  # judgements without improvement that end its training
PART = 128  # held-out rows whose pairs are all compared
AVERAGE = 0.99  # decay of the averaged weights
CLIP = 5.0  # the largest norm of a gradient
NEGLIGIBLE = 0.01  # a kind's weight below which it is dropped


@dataclass(frozen=True)
class Stage:
    """How one critic is trained.

    Attributes:
        name: The kind of critic.
        contrasts: Shuffled pairs beside each joint one; None for all that a batch has.
        batch_size: Rows of a batch.
        steps: The most steps.
        learning_rate: Its peak.
        weight_decay: AdamW's.
    """

    name: str
    contrasts: int | None
    batch_size: int
    steps: int
    learning_rate: float
    weight_decay: float


def contrast_for(loss: CriticLoss, contrasts: int | None) -> Contrast:
    """Return the contrast of (theta, x) with shuffled pairs in the shape that the loss takes."""
    return (
        joint_among(contrasts) if isinstance(loss, Contrastive) else joint_vs_marginals(contrasts)
    )


def judge_for(recovers: Recovers) -> CriticLoss:
    """Return the proper log-loss by which critics are judged, whatever they were trained with."""
    return Bernoulli() if recovers == Recovers.RATIO else NREB()


def held_out_values(recovers: Recovers, critic: EmbedsPairs, held_out: Batch) -> list[Values]:
    """Return a critic's values at all pairs of each 128 held-out rows; an incomplete part is left.

    Fewer rows than that are one part.
    """
    contrast, rng = contrast_for(judge_for(recovers), None), torch_rng(0)
    size = min(PART, len(held_out[0]))
    whole = len(held_out[0]) // size * size
    parts = zip(*(tensor[:whole].split(size) for tensor in held_out), strict=True)
    return [contrast(critic, part, rng) for part in parts]


def held_out_loss(recovers: Recovers, critic: EmbedsPairs) -> Callable[[Batch], float]:
    """Return what judges a critic on held-out rows: the log-loss of all pairs."""
    loss = judge_for(recovers)

    @torch.no_grad()
    def measure(held_out: Batch) -> float:
        values = held_out_values(recovers, critic, held_out)
        return float(sum(loss(v.h_p, v.h_q) for v in values) / len(values))

    return measure


def train(
    critic: nn.Module,
    stage: Stage,
    loss: CriticLoss,
    penalties: tuple[Penalty, ...],
    recovers: Recovers,
    batches: Batches,
    *,
    seed: int,
    device: str,
    advance: Advance,
) -> History:
    """Train one critic in place.

    Args:
        critic: The critic, standardisation learnt.
        stage: How.
        loss: What it minimises.
        penalties: What else is asked of it.
        recovers: What both together recover of the ratio.
        batches: (theta, x) to train on, and those held out.
        seed: Of batches and dropout.
        device: Where.
        advance: Told of every step.
    """
    contrast = contrast_for(loss, stage.contrasts)

    def risk(batch: Batch, step: Step) -> Tensor:
        values = contrast(critic, batch, step.rng)
        return objective(loss, penalties, critic, values, step.rng, step.index)

    player = Player(
        stage.name,
        critic,
        risk,
        adamw(stage.learning_rate, weight_decay=stage.weight_decay),
        ema=AVERAGE,
        clip=CLIP,
    )
    with isolated(child(seed, 0)):  # dropout draws from the global state
        history = fit(
            [player],
            batches,
            steps=stage.steps,
            monitor=Monitor(
                held_out_loss(recovers, critic),
                every=max(1, stage.steps // JUDGEMENTS),
                patience=PATIENCE,
            ),
            schedule=one_cycle(),
            seed=child(seed, 1),
            device=device,
            callbacks=[lambda done, latest: advance(1, held_out_note(latest))],
        )
    advance(stage.steps - history.steps)
    return history


@torch.no_grad()
def weigh(
    recovers: Recovers, critics: Sequence[nn.Module], held_out: Batch
) -> Float[np.ndarray, " k"]:
    """Return the non-negative weights of critics whose sum has the least held-out log-loss."""
    loss = judge_for(recovers)
    values = [held_out_values(recovers, critic, held_out) for critic in critics]
    h_p = torch.stack([torch.stack([v.h_p for v in parts]) for parts in values]).double()
    h_q = torch.stack([torch.stack([v.h_q for v in parts]) for parts in values]).double()

    def risk(w: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(w, device=h_p.device, requires_grad=True)
        with torch.enable_grad():
            value = loss(
                torch.tensordot(weights, h_p, 1).flatten(0, 1),
                torch.tensordot(weights, h_q, 1).flatten(0, 1),
            )
            (slope,) = torch.autograd.grad(value, weights)
        return float(value), slope.cpu().numpy()

    start = np.full(len(critics), 1 / len(critics))
    bounds = [(0.0, None)] * len(critics)
    return minimize(risk, start, jac=True, bounds=bounds, method="L-BFGS-B").x


def keep(
    critics: Sequence[nn.Module], weights: Float[np.ndarray, " k"]
) -> tuple[list[nn.Module], list[float]]:
    """Return the critics of some weight, and their weights."""
    least = NEGLIGIBLE * weights.sum()
    kept = [i for i, weight in enumerate(weights) if weight >= least]
    return [critics[i] for i in kept], [float(weights[i]) for i in kept]


def joined(histories: Sequence[History], names: Sequence[str], *, said: str, seed: int) -> History:
    """Return the histories of critics trained one after the other as one.

    Args:
        histories: Of each.
        names: What stands before its columns' names where there are several.
        said: What became of them.
        seed: The seed that repeats the whole fit.
    """
    if len(histories) == 1:
        return replace(histories[0], stopped=f"{histories[0].stopped}; {said}", seed=seed)
    columns, offset = {}, 0
    for name, history in zip(names, histories, strict=True):
        for column, pairs in history.columns.items():
            title = name if column in name else f"{name}, {column}"
            columns[title] = tuple((offset + step, value) for step, value in pairs)
        offset += history.steps
    seconds = sum(history.seconds for history in histories)
    return History(columns, offset, None, seconds, said, seed)
