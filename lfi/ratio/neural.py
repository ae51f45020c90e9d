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

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from lfi.comparison import (
    Bernoulli,
    Contrastive,
    CriticLoss,
    Penalty,
    Recovers,
    objective,
    recovered,
    two_samples,
)
from lfi.networks import SampleCritic
from lfi.ratio import samples
from lfi.ratio.calibration import Calibration
from lfi.ratio.critic_ratio import CriticRatio
from lfi.ratio.samples import Sample
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
JUDGEMENTS = 20  # how often a member is judged on what is held out
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
    width: int = 64,
    depth: int = 1,
    steps: int = 300,
    batch_size: int = 512,
    learning_rate: float = 5e-3,
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
    p, q = p.to(torch.float32), q.to(torch.float32)
    shape = tuple(p.shape[1:])
    seed = fresh(seed)
    orders = [torch.randperm(len(x), generator=torch_rng(seed, 0, i)) for i, x in enumerate((p, q))]
    fitted, histories, calibrated = [], [], []
    with bar("fitting the ratio", members * steps, progress) as advance:
        for member in range(members):
            splits = [
                _fold(x, order, member, held_out) for x, order in zip((p, q), orders, strict=True)
            ]
            with isolated(child(seed, 1, member)):
                network = (
                    SampleCritic(shape, width=width, depth=depth)
                    if critic is None
                    else copy.deepcopy(critic)
                )
            if hasattr(network, "learn"):
                network.learn(torch.cat([train for train, _ in splits]))
            player = Player(
                "critic",
                network,
                lambda batch, step, network=network: _objective(
                    loss, penalties, network, batch, step
                ),
                adamw(learning_rate, weight_decay=weight_decay),
                ema=0.98,
                clip=5.0,
            )
            history = fit(
                [player],
                Together(
                    *(
                        Shuffled((train,), (held,), size=min(batch_size, len(train)), device=device)
                        for train, held in splits
                    )
                ),
                steps=steps,
                monitor=Monitor(
                    lambda held, network=network: _log_loss(network, held),
                    every=max(1, steps // JUDGEMENTS),
                ),
                schedule=one_cycle(),
                seed=child(seed, 2, member),
                device=device,
                callbacks=[lambda done, latest: advance(1)],
            )
            fitted.append(network)
            histories.append(replace(history, seed=seed))  # the one that repeats the whole fit
            if calibration is not None:
                with torch.no_grad():
                    h_p, h_q = (network(held.to(device)).cpu() for _, held in splits)
                calibrated.append(calibration.fit(h_p, h_q))
    return CriticRatio(tuple(fitted), shape, tuple(histories), tuple(calibrated))


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


def _fold(x: Tensor, order: Tensor, member: int, share: float) -> tuple[Tensor, Tensor]:
    """Return the rows that a member trains on and those it holds out: other ones for each."""
    held = min(max(1, int(len(x) * share)), MOST_HELD_OUT)
    order = order.roll(-member * held)
    return x[order[held:]], x[order[:held]]


def _objective(
    loss: CriticLoss, penalties: tuple[Penalty, ...], critic: nn.Module, batch: Batch, step: Step
) -> Tensor:
    values = two_samples(critic, batch, step.rng)
    return objective(loss, penalties, critic, values, step.rng)


def _log_loss(critic: nn.Module, held_out: Batch) -> float:
    """Return the log-loss of what is held out: the judge, whatever loss is trained."""
    h_p, h_q = (critic(x) for x in held_out)
    return float(Bernoulli()(h_p, h_q))
