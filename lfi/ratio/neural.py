"""Density ratios by critics: a classifier learns to tell samples of p from samples of q.

    h = argmin L(h_p, h_q) = log p/q

for every loss of the comparison room that recovers the ratio. L takes the means over p and over q
apart, so samples of unequal sizes need no class prior: the optimum is log p/q, and not
log (n p)/(m q), whatever n and m are. `WithPrior` is for those who want one side to weigh more.

References:
    Sugiyama, Suzuki & Kanamori, Density Ratio Estimation in Machine Learning, 2012.
    Menon & Ong, Linking losses for density ratio and class-probability estimation, ICML 2016.
    Mohamed & Lakshminarayanan, Learning in Implicit Generative Models, 2016. arXiv:1610.03483
"""

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lfi.comparison import (
    Bernoulli,
    Contrastive,
    Critic,
    CriticLoss,
    Divergence,
    Penalty,
    Recovers,
    Values,
    objective,
    recovered,
    two_samples,
)
from lfi.networks import Copies, SampleCritics
from lfi.ratio import samples
from lfi.ratio.calibration import Calibrated, Calibration
from lfi.ratio.critic_ratio import CriticRatio
from lfi.ratio.samples import Sample
from lfi.ratio.stacking import stack
from lfi.training import (
    Batch,
    Monitor,
    Player,
    Shuffled,
    Step,
    Together,
    adamw,
    bar,
    child,
    fit,
    fresh,
    isolated,
    one_cycle,
    torch_rng,
)

LEAST = 50  # rows of either sample
SHARES = (0.3, 0.5)  # of the steps of the last level, for the levels before it
SMOOTH_RATE = 0.05  # the learning rate of those, whose loss is convex for most losses
JUDGEMENTS = 10  # how often a level is judged on what is held out
MOST_HELD_OUT = 10_000  # rows of either sample


def fit_ratio(
    p_samples: Sample,
    q_samples: Sample,
    *,
    loss: CriticLoss = Bernoulli(),  # noqa: B008
    penalties: tuple[Penalty, ...] = (),
    critic: nn.Module | None = None,
    members: int = 5,
    calibration: Calibration | None = None,
    width: int = 32,
    depth: int = 1,
    steps: int = 400,
    batch_size: int = 256,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-2,
    held_out: float = 0.2,
    seed: int | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> CriticRatio:
    """Fit the density ratio of two samples by an ensemble of critics.

    Args:
        p_samples: Samples of p, (n,) or (n, *event), NumPy or torch.
        q_samples: Samples of q, (m,) or (m, *event).
        loss: Any loss that recovers the ratio.
        penalties: What else is asked of the critic; none that moves the optimum.
        critic: A network of your own, (n, *event) in float32 to (n,). Each member trains a copy. If
            it has a method `learn(x)`, that is called with the training rows first, to standardise.
        members: How many critics. Each holds other rows out and their log ratios are averaged.
        calibration: Corrects each member on what it held out, such as `lfi.ratio.Isotonic()`.
        width: The critics' width.
        depth: The number of their residual blocks.
        steps: How many steps each member trains.
        batch_size: Rows of either sample in a batch.
        learning_rate: Its peak; a one-cycle schedule.
        weight_decay: AdamW's.
        held_out: The share of rows on which the best weights are chosen, by log-loss.
        seed: None takes fresh entropy, which the history records.
        device: Where to train, such as "cuda".
        progress: Show a bar on a terminal.

    Raises:
        TypeError: If a sample is not an array of numbers.
        ValueError: If a row is not finite, a sample has fewer than 50 rows, the events of the
            samples differ in shape, or the loss does not recover the ratio.

    Example:
        >>> p, q = 1 + torch.randn(500), torch.randn(500)
        >>> ratio = lfi.fit_ratio(p, q, members=2, steps=100, seed=1)
        >>> ratio.log_ratio(torch.tensor([0.5])).abs() < 0.5  # exactly 0
        tensor([True])
        >>> ratio.importance_weights(q).effective_sample_size < 500
        True
    """
    _check(loss, penalties, members, steps, held_out)
    p, q = samples.two_samples(p_samples, q_samples, LEAST)
    p, q = p.to(device, torch.float32), q.to(device, torch.float32)
    shape, seed = tuple(p.shape[1:]), fresh(seed)
    folds = [_folds(len(x), members, held_out, torch_rng(seed, 0, i)) for i, x in enumerate((p, q))]
    with isolated(child(seed, 1)):
        critics = (
            SampleCritics(shape, members, width=width, depth=depth)
            if critic is None
            else Copies(critic, members)
        )
    critics.to(device)
    rows = [x[train] for x, (train, _) in zip((p, q), folds, strict=True)]
    critics.learn(torch.cat(rows))
    levels = len(critics.levels)
    lengths = [max(1, round(steps * share)) for share in (*SHARES[: levels - 1], 1.0)]
    histories = []
    with bar("fitting the ratio", sum(lengths), progress) as advance:
        for level, length in enumerate(lengths):
            critics.begin(level)

            at = partial(critics.at, level)

            def values(batch: Batch, rng: torch.Generator, at: Critic = at) -> Values:
                return two_samples(at, (p[batch[0]], q[batch[1]]), rng)

            def risk(batch: Batch, step: Step, at: Critic = at) -> Tensor:
                return _objective(loss, penalties, at, values(batch, step.rng), step)

            rate = learning_rate if level == levels - 1 else SMOOTH_RATE
            player = Player(
                "critic",
                critics.levels[level],
                risk,
                adamw(rate, weight_decay=weight_decay),
                ema=0.98,
                clip=1.0,
            )
            history = fit(
                [player],
                Together(*(_batches(fold, batch_size, device) for fold in folds)),
                steps=length,
                monitor=Monitor(
                    lambda held: _log_loss(values(held, torch_rng(0))),
                    every=max(1, length // JUDGEMENTS),
                ),
                schedule=one_cycle(),
                seed=child(seed, 2, level),
                device=device,
                callbacks=[lambda done, latest: advance(1, _note(latest))],
            )
            histories.append(replace(history, seed=seed))  # the one that repeats the whole fit
    critics.eval().requires_grad_(False)
    held = [x[out] for x, (_, out) in zip((p, q), folds, strict=True)]
    if levels > 1:
        h_p, h_q = (torch.stack([critics.at(k, x).flatten() for k in range(levels)]) for x in held)
        critics.weights.copy_(stack(h_p.cpu(), h_q.cpu()))
    calibrated: tuple[Calibrated, ...] = ()
    if calibration is not None:
        h_p, h_q = (critics(x).cpu().T for x in held)
        calibrated = tuple(calibration.fit(*pair) for pair in zip(h_p, h_q, strict=True))
    return CriticRatio(critics, shape, tuple(histories), calibrated)


def _check(
    loss: CriticLoss, penalties: tuple[Penalty, ...], members: int, steps: int, held_out: float
) -> None:
    recovers = recovered(loss, penalties)
    if recovers != Recovers.RATIO:
        raise ValueError(
            f"loss: {loss} with penalties {penalties} recovers {recovers.name}, and a density "
            "ratio needs RATIO: take a strictly proper loss such as Bernoulli()"
        )
    if isinstance(loss, Contrastive):
        raise ValueError(f"loss: {loss} compares pairs (theta, x), and these samples are no pairs")
    for name, value in (("members", members), ("steps", steps)):
        if value < 1:
            raise ValueError(f"{name} must be positive, got {value}")
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must lie between 0 and 1, got {held_out}")


def _folds(
    n: int, members: int, share: float, rng: torch.Generator
) -> tuple[Int[Tensor, "train members"], Int[Tensor, "held members"]]:
    """Return the rows that each member trains on and those it holds out: other ones for each."""
    held = min(max(1, int(n * share)), MOST_HELD_OUT)
    order = torch.randperm(n, generator=rng)
    orders = torch.stack([order.roll(-member * held) for member in range(members)], dim=1)
    return orders[held:], orders[:held]


def _batches(fold: tuple[Tensor, Tensor], size: int, device: str) -> Shuffled:
    train, held = fold
    return Shuffled((train,), (held,), size=min(size, len(train)), device=device)


def _objective(
    loss: CriticLoss,
    penalties: tuple[Penalty, ...],
    critics: Critic,
    values: Values,
    step: Step,
) -> Tensor:
    """Return the mean of the members' objectives."""
    if isinstance(loss, Divergence) and not penalties:  # one mean is the mean of means
        return loss(values.h_p, values.h_q)
    members, total = values.h_p.shape[1], 0.0
    for i in range(members):

        def alone(x: Tensor, i: int = i) -> Tensor:
            return critics(x.unsqueeze(1).expand(-1, members, *x.shape[1:]))[:, i]

        own = Values(values.h_p[:, i], values.h_q[:, i], (values.p[0][:, i],), (values.q[0][:, i],))
        total = total + objective(loss, penalties, alone, own, step.rng, step.index) / members
    return total


def _log_loss(values: Values) -> float:
    """Return the log-loss of what is held out: the judge, whatever loss is trained."""
    return float(Bernoulli()(values.h_p, values.h_q))


def _note(latest: dict[str, float]) -> str:
    return f"held-out {latest['held-out']:.4f}" if "held-out" in latest else ""
