"""Maximum likelihood in stages, each kept only if what is held out says so.

    1. linear Gaussian: a regression in closed form
    2. Gaussian whose mean and covariance are networks: many cheap steps
    3. splines on top of it: fewer and dearer steps

A simple problem stops where it is solved. Without this, the splines of a flow learn the noise of a
Gaussian problem, at the price of a tenth of a nat.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from lfi.inference.methods.ratio_training import joined
from lfi.networks import ConditionalFlow
from lfi.runtime import bar, child, held_out_note, torch_rng
from lfi.training import Batch, History, Monitor, Player, Shuffled, Step, adamw, fit, one_cycle

JUDGEMENTS = 20  # how often a stage is judged on what is held out
EPOCHS = 100  # the most passes over the simulations that a stage makes
MOST_HELD_OUT = 5_120
AT_A_TIME = 1_024  # rows that are judged at a time


@dataclass(frozen=True)
class Stage:
    """How one stage trains.

    Attributes:
        name: Of the history's column.
        bent: Whether the splines are in use.
        steps: The most steps.
        batch_size: Rows in a batch.
        learning_rate: Its peak; a one-cycle schedule.
    """

    name: str
    bent: bool
    steps: int
    batch_size: int
    learning_rate: float


def stages(steps: tuple[int, int], batch_size: int, learning_rate: float) -> tuple[Stage, ...]:
    """Return the Gaussian stage, of half batches and three times the rate, and the splines'."""
    gaussian, splines = steps
    half = max(1, batch_size // 2)
    return (
        Stage("Gaussian", False, gaussian, half, 3 * learning_rate),
        Stage("splines", True, splines, batch_size, learning_rate),
    )


LEFT_OUT = "left out: not better"

LogProb = Callable[[Batch, torch.Generator], Tensor]


def maximise(
    module: nn.Module,
    flow: ConditionalFlow,
    log_prob: LogProb,
    train: Batch,
    held_out: Batch,
    stages: tuple[Stage, ...],
    *,
    weight_decay: float,
    seed: int,
    device: str,
    progress: bool,
    note: str,
) -> tuple[History, ...]:
    """Train a module around a flow in place, and return the stages' histories.

    Args:
        module: Whose parameters move.
        flow: The flow inside it, standing at its linear Gaussian start.
        log_prob: The log density of a batch's rows; the generator draws what it needs besides.
        train: Rows to train on.
        held_out: Rows to judge on.
        stages: What to try, one after the other.
        weight_decay: AdamW's.
        seed: Names the streams of all stages.
        device: Where to train.
        progress: Show a bar on a terminal.
        note: What stands before the bar.
    """

    @torch.no_grad()
    def judge(rows: Batch) -> float:
        rng, parts = torch_rng(seed, 0), zip(*(t.split(AT_A_TIME) for t in rows), strict=True)
        return -float(torch.cat([log_prob(part, rng) for part in parts]).mean())

    def loss(batch: Batch, step: Step) -> Tensor:
        return -log_prob(batch, step.rng).mean()

    module.to(device)
    held_out, n = tuple(t.to(device) for t in held_out), len(train[0])
    flow.bent.fill_(False)
    best, histories = judge(held_out), []
    start = {"held-out": ((0, best),)}
    histories.append(History(start, 0, 0, 0.0, "linear regression", seed))
    for index, stage in enumerate(stages):
        before = copy.deepcopy(module.state_dict())
        flow.bent.fill_(stage.bent)
        size = min(stage.batch_size, n)
        steps = max(1, min(stage.steps, EPOCHS * n // size))
        player = Player(
            stage.name,
            module,
            loss,
            adamw(stage.learning_rate, weight_decay=weight_decay),
            ema=0.995,
            clip=5.0,
        )
        with bar(f"{note}: {stage.name}", steps, progress) as advance:
            history = fit(
                [player],
                Shuffled(train, held_out, size=size, device=device),
                steps=steps,
                monitor=Monitor(judge, every=max(1, steps // JUDGEMENTS)),
                schedule=one_cycle(),
                seed=child(seed, 1, index),
                device=device,
                callbacks=[lambda done, latest, a=advance: a(1, held_out_note(latest))],
            )
        reached = min(value for _, value in history.columns["held-out"])
        if reached < best:
            best = reached
        else:
            module.load_state_dict(before)
            history = replace(history, stopped=f"{history.stopped}; {LEFT_OUT}")
        histories.append(replace(history, seed=seed))
    module.eval().requires_grad_(False)
    return tuple(histories)


def account(histories: Sequence[History], names: Sequence[str], *, seed: int) -> History:
    """Return what happened in all stages as one history, which says what was kept.

    Args:
        histories: Of the linear start and of what followed.
        names: What followed.
        seed: The seed that repeats the whole fit.
    """
    names = ("linear", *names)
    kept = [
        name
        for name, history in zip(names, histories, strict=True)
        if not history.stopped.endswith(LEFT_OUT)
    ]
    return joined(histories, names, said=f"kept: {', '.join(kept)}", seed=seed)
