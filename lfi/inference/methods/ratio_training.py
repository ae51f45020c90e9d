"""Training critics of pairs: kinds of growing freedom, weighed on what is held out.

Nobody knows beforehand how free a critic may be. On ten thousand simulations of a linear model a
network learns noise that a linear critic cannot; on two crescents a linear critic learns nothing.
So four kinds are trained on the same rows,

    family      an exponential family with natural parameters linear in x
    products    the family and inner products of networks, on all pairs of each batch
    head        the family and a network of the two embeddings' sum, on some pairs
    measured    features of x that are Gaussian given theta, by networks of theta,
    scatter     or, in its place where x is few numbers, a function of theta and noise of one shape

the second and third beginning where the first ended, and the log ratio is their sum with the
non-negative weights of least held-out log-loss, a convex problem of four numbers. Weights that sum
to less than 1 temper what is too sure of itself. Kinds whose weight vanishes are dropped.

Each is stopped where the held-out log-loss is least, whichever loss it minimises: Bernoulli's where
the ratio itself is claimed, and the softmax cross-entropy, which ignores functions of x, where it
is not, both over all pairs of 128 held-out rows. The weights are judged by the same losses among
2,048 parameters: what is finer than 128 can tell would be weighed blindly.

References:
    Breiman, Stacked regressions, Machine Learning 1996.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor, nn

from lfi.comparison import (
    NREB,
    Balance,
    Bernoulli,
    Contrast,
    Contrastive,
    CriticLoss,
    EmbeddingCritic,
    Penalty,
    Recovers,
    Values,
    joint_among,
    joint_vs_marginals,
    objective,
)
from lfi.runtime import Advance, child, held_out_note, isolated, torch_rng
from lfi.training import Batch, Batches, History, Monitor, Player, Step, adamw, fit, one_cycle

JUDGEMENTS = 25  # how often a critic is judged on what is held out
PATIENCE = 8  # judgements without improvement that end its training
PART = 128  # held-out rows whose pairs are all compared
OTHERS = 2_048  # parameters that each held-out x is compared with when critics are weighed
HALVINGS = 12  # of the interval in which a temper lies
ROWS = 16  # held-out x compared at a time: this bounds the memory
AVERAGE = 0.99  # decay of the averaged weights
CLIP = 5.0  # the largest norm of a gradient
NEGLIGIBLE = 0.02  # a kind's weight below which it is dropped


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


def held_out_values(recovers: Recovers, critic: EmbeddingCritic, held_out: Batch) -> list[Values]:
    """Return a critic's values at all pairs of each 128 held-out rows; an incomplete part is left.

    Fewer rows than that are one part.
    """
    contrast, rng = contrast_for(judge_for(recovers), None), torch_rng(0)
    size = min(PART, len(held_out[0]))
    whole = len(held_out[0]) // size * size
    parts = zip(*(tensor[:whole].split(size) for tensor in held_out), strict=True)
    return [contrast(critic, part, rng) for part in parts]


def held_out_loss(recovers: Recovers, critic: EmbeddingCritic) -> Callable[[Batch], float]:
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
    recovers: Recovers,
    penalties: tuple[Penalty, ...],
    critics: Sequence[nn.Module],
    held_out: Batch,
    others: Float[Tensor, "k ..."],
) -> Float[np.ndarray, " c"]:
    """Return the non-negative weights of critics whose sum has the least held-out log-loss.

    Each held-out x is compared with its own theta and with the same others, so many that the
    log-loss is, up to a constant, minus the log density of the posterior that the sum gives.

    Args:
        recovers: What the critics tell.
        penalties: A `Balance` among them is asked of the sum too, as that of balanced critics is
            not balanced, and the sum is tempered until its regions hold the truth as often as they
            say: a ratio can be balanced and too sure, on few simulations by a fifth of its cover.
        critics: The critics.
        held_out: (theta, x) that they have not been fitted to.
        others: Parameters drawn as these were, (k, D).
    """
    loss = judge_for(recovers)
    balances = tuple(penalty for penalty in penalties if isinstance(penalty, Balance))
    h_p, h_q = (
        torch.stack(parts).double()
        for parts in zip(*(_compared(critic, held_out, others) for critic in critics), strict=True)
    )
    rng = torch_rng(0)

    def risk(w: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.tensor(w, device=h_p.device, requires_grad=True)
        with torch.enable_grad():
            joint, shuffled = torch.tensordot(weights, h_p, 1), torch.tensordot(weights, h_q, 1)
            among = isinstance(loss, Contrastive)
            row = torch.cat([joint[:, None], shuffled[:, :-1]], 1) if among else joint
            values = Values(row, shuffled, (), (), contrastive=among)
            value = objective(loss, balances, critics[0], values, rng, 0)
            (slope,) = torch.autograd.grad(value, weights)
        return float(value.detach()), slope.cpu().numpy()

    start = np.full(len(critics), 1 / len(critics))
    bounds = [(0.0, None)] * len(critics)
    found = minimize(risk, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    if balances:
        weights = torch.from_numpy(found).to(h_p)
        found *= covering_factor(torch.tensordot(weights, h_p, 1), torch.tensordot(weights, h_q, 1))
    return found


def covering_factor(joint: Float[Tensor, " n"], others: Float[Tensor, "n k"]) -> float:
    """Return the largest factor of log ratios, at most 1, with which their regions are wide enough.

    The highest regions that just hold the true parameters have contents spread evenly over (0, 1)
    where content and coverage agree, and larger ones where regions are too small. With the factor,
    no content is larger than its place among the n held-out ones by more than 1 / (4 sqrt n); of a
    right posterior, chance makes one larger by 0.6 / sqrt n on average.

    Args:
        joint: Log ratios of held-out pairs.
        others: Log ratios of their x with parameters from the prior.

    Example:
        >>> theta, x = torch.randn(500), torch.zeros(500)
        >>> log_ratio = lambda theta: -4.5 * theta.square()  # of N(0, 1/10), and x tells nothing
        >>> round(covering_factor(log_ratio(theta), log_ratio(torch.randn(500, 999))), 1)
        0.0
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
    critic: EmbeddingCritic, held_out: Batch, others: Tensor
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n k"]]:
    """Return a critic's values at held-out pairs, and at their x with all others."""
    own, x = critic.embed(*held_out)
    embedded = critic.embed_theta(others)
    tables = [critic.pair(embedded[None], part[:, None]) for part in x.split(ROWS)]
    return critic.pair(own, x), torch.cat(tables)


def keep(
    critics: Sequence[nn.Module], weights: Float[np.ndarray, " k"]
) -> tuple[list[nn.Module], list[float]]:
    """Return the critics of some weight, and their weights."""
    least = NEGLIGIBLE * weights.sum()
    kept = [i for i, weight in enumerate(weights) if weight >= least]
    return [critics[i] for i in kept], [float(weights[i]) for i in kept]
