"""Training of nested critics, level after level, each member on rows of its own.

Members are trained together on the mean of their objectives: they share the batches' order, the
limit on the gradient's norm and the step whose weights are kept. Each holds other rows out; with
as many members as such parts, each level's step is chosen by the cross-validated log-loss.
"""

from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

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
from lfi.networks import NestedCritics
from lfi.runtime import Advance, child, silent, torch_rng, within
from lfi.training import (
    Batch,
    CompleteSettings,
    History,
    JoinedBatches,
    Shuffled,
    Step,
    folds,
    stack,
    train_one,
)

SHARES = (0.3, 0.5)  # of the last level's steps, for the levels before it
SMOOTH_RATE = 0.05  # their learning rate: they have few weights, and most losses are convex in them


@dataclass(frozen=True, eq=False)
class FoldedSample:
    """A sample with the rows that each member trains on and those that it holds out."""

    x: Float[Tensor, "n ..."]
    train: Int[Tensor, "train members"]
    held_out: Int[Tensor, "held members"]

    @classmethod
    def of(
        cls, x: Float[Tensor, "n ..."], members: int, share: float, rng: torch.Generator
    ) -> "FoldedSample":
        """Return a sample of which each member holds another part out."""
        parts = folds(len(x), share, rng, number=members)
        train = torch.stack([fold.train for fold in parts], dim=1)
        return cls(x, train, torch.stack([fold.held_out for fold in parts], dim=1))

    def batches(self, size: int, device: str) -> Shuffled:
        """Return a source of batches of rows, (size, members)."""
        size = min(size, len(self.train))
        return Shuffled((self.train,), (self.held_out,), size=size, device=device)


def level_settings(settings: CompleteSettings, levels: int) -> list[CompleteSettings]:
    """Return the settings of each level, of which the last has those that are given."""
    steps = [max(1, round(settings.steps * share)) for share in SHARES[: levels - 1]]
    lower = (replace(settings, steps=few, learning_rate=SMOOTH_RATE) for few in steps)
    return [*lower, settings]


def mean_risk(
    loss: CriticLoss, penalties: tuple[Penalty, ...], critics: Critic, values: Values, step: Step
) -> Float[Tensor, ""]:
    """Return the mean of the members' objectives."""
    if isinstance(loss, Divergence) and not penalties:
        return loss(values.h_p, values.h_q)  # a mean of means over as many rows each
    members, total = values.h_p.shape[1], values.h_p.new_zeros(())
    for i in range(members):

        def alone(x: Tensor, i: int = i) -> Tensor:
            return critics(x.unsqueeze(1).expand(-1, members, *x.shape[1:]))[:, i]

        p, q = values.p[0][:, i], values.q[0][:, i]
        own = Values(values.h_p[:, i], values.h_q[:, i], (p,), (q,))
        total = total + objective(loss, penalties, alone, own, step.rng, step.index)
    return total / members


def train_nested(
    critics: NestedCritics,
    p: FoldedSample,
    q: FoldedSample,
    loss: CriticLoss,
    settings: CompleteSettings,
    *,
    penalties: tuple[Penalty, ...] = (),
    seed: int,
    device: str = "cpu",
    advance: Advance = silent,
) -> tuple[History, ...]:
    """Train nested levels in place, find their stacking weights, and return each level's history.

    The settings are those of the last level; the critics are on the device.
    """
    critics.fit_from_data(torch.cat([p.x[p.train], q.x[q.train]]))
    histories = []
    for level, own in enumerate(level_settings(settings, len(critics.levels))):
        critics.begin(level)
        at = partial(critics.at, level)

        def values(batch: Batch, rng: torch.Generator, at: Critic = at) -> Values:
            return two_samples(at, (p.x[batch[0]], q.x[batch[1]]), rng)

        def risk(batch: Batch, step: Step, at: Critic = at) -> Tensor:
            return mean_risk(loss, penalties, at, values(batch, step.rng), step)

        def log_loss(held_out: Batch) -> float:
            validated = values(held_out, torch_rng(0))
            return float(Bernoulli()(validated.h_p, validated.h_q))

        with within(f"level {level + 1}" if len(critics.levels) > 1 else ""):
            history = train_one(
                critics.levels[level],
                risk,
                JoinedBatches(*(sample.batches(settings.batch_size, device) for sample in (p, q))),
                own,
                validate=log_loss,
                name="critic",
                seed=child(seed, 2, level),
                device=device,
                advance=advance,
            )
        histories.append(history)
    critics.eval().requires_grad_(False)
    if len(critics.levels) > 1:
        levels = range(len(critics.levels))
        h_p, h_q = (
            torch.stack([critics.at(k, s.x[s.held_out]).flatten() for k in levels]).cpu()
            for s in (p, q)
        )
        critics.weights.copy_(stack(h_p, h_q))
    return tuple(histories)


def check_loss(loss: CriticLoss, penalties: tuple[Penalty, ...] = ()) -> None:
    """Refuse losses and penalties that recover less than a ratio, or compare rows of pairs."""
    recovers = recovered(loss, penalties)
    if recovers != Recovers.RATIO:
        under = f" under {penalties}" if penalties else ""
        raise ValueError(
            f"loss: {loss}{under} recovers {recovers.name}, and a density ratio needs RATIO: take "
            "a strictly proper loss, such as Bernoulli(), and no penalty that moves its optimum"
        )
    if isinstance(loss, Contrastive):
        raise ValueError(
            f"loss: {loss} looks for a joint pair (theta, x) among shuffled ones, and two samples "
            "hold no pairs: take a loss such as Bernoulli()"
        )
