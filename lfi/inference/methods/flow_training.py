"""Maximum likelihood of conditional flows in stages, each kept only if it improves held-out rows.

    1. linear Gaussian: a regression in closed form
    2. Gaussian whose mean and covariance are networks: many cheap steps
    3. splines on top of it: fewer and dearer steps

Before 2 and 3 a likelihood tries the same with entries of x that are independent given theta, as
measurements with errors of their own are: few weights are left to estimate. Where entries depend on
those before them (`serially_dependent`), as in a series, an autoregression is tried too, at first
linear. Where it is kept, nothing else follows but splines that it shapes.

Where entries are whole numbers of few values, the stages are a multinomial logistic regression, and
a network on top of it.

A stage that is not better once in three tenths of its steps is given up, and one that no time is
left for is not begun. Independent entries are trained in cycles of the learning rate, as long as
half a cycle still gains. A simple problem stops where it is solved. Without this, the splines of a
flow learn the noise of a Gaussian problem, at the price of a tenth of a nat.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lfi.inference.methods.flow_stages import CategoricalStage, Flow, FlowStage, Stage
from lfi.networks import CategoricalFlow, ConditionalFlow
from lfi.numerics.checks import check_instance, check_whole
from lfi.runtime import bar, child, torch_rng
from lfi.training import (
    NO_CHECKPOINTS,
    UNLIMITED,
    Batch,
    Checkpoints,
    CompleteSettings,
    Fold,
    History,
    Shuffled,
    Step,
    StepLimit,
    TrainSettings,
    hold_out,
    train_one,
)

DEFAULTS = CompleteSettings(steps=1_500, learning_rate=3e-3, average=0.995, patience=8)
MAX_EPOCHS, TRIALS_EPOCHS = 100, 200  # passes over the simulations, or their trials, in a cycle
MAX_HELD_OUT = 5_120  # simulations
LEFT_OUT = "left out: "
NOT_BETTER, NO_TIME = f"{LEFT_OUT}not better", f"{LEFT_OUT}time was up"
NOT_MEANT = f"{LEFT_OUT}not for such entries"
HELD_OUT_ROWS = 1_024  # simulations at a time
TRIALS_ROWS = 2**16  # trials of simulations at a time
SERIES_BATCH = 128  # simulations at a time
LOGISTIC_RATE = 5.0  # times that of the network, as it has few weights
GENTLE = 1 / 3  # times the learning rate of a posterior's splines: that of a likelihood's
PROMISING = 0.3  # the share of a stage's steps in which it has to be better once
CYCLES = 3  # at most
GAIN = 0.3  # nats in half a cycle, of which there is one more
CYCLE_RATE = 0.25  # of the cycles that follow the first

LogProb = Callable[[Batch, torch.Generator], Tensor]
Worth = Callable[[Stage[Any], float], bool]


def always(stage: Stage[Any], best: float) -> bool:
    """Return that a stage is worth its steps."""
    return True


@dataclass(frozen=True, kw_only=True)
class FlowMethod:
    """Fields of methods that fit a conditional flow.

    Attributes:
        width: The width of the networks.
        layers: Residual blocks that the condition passes through.
        couplings: Spline couplings.
        bins: Bins of each spline.
        gaussian_steps: The most optimiser steps of the Gaussian stage, whose batches are half as
            large as those of the splines' stage, and whose learning rate is three times as high.
        settings: How the splines' stage is trained; what is None in it is 1,500 steps, batches of
            256, a rate of 3e-3, a weight decay of 1e-2, an average of 0.995, a patience of 8 of 20
            validations, and a tenth of the simulations, at most 5,120, held out.
    """

    width: int = 128
    layers: int = 2
    couplings: int = 4
    bins: int = 8
    gaussian_steps: int = 2_000
    settings: TrainSettings | None = None

    def __post_init__(self) -> None:
        for name in ("width", "layers", "couplings", "gaussian_steps"):
            check_whole(name, getattr(self, name))
        check_whole("bins", self.bins, minimum=2)
        check_instance("settings", self.settings, TrainSettings, optional=True)

    @property
    def restorable(self) -> bool:
        """Whether `lfi.load` rebuilds the posterior from its file alone."""
        return True

    @property
    def limitable(self) -> bool:
        """Whether `fit` takes a `limit`."""
        return True

    @property
    def resumable(self) -> bool:
        """Whether `fit` takes `checkpoints`."""
        return True

    @property
    def takes_fold(self) -> bool:
        """Whether `fit` takes a `fold`: unless the settings say how many are held out."""
        return self.settings is None or self.settings.held_out is None

    @property
    def stages(self) -> tuple[FlowStage, ...]:
        """The Gaussian stage, of half batches and three times the rate, and that of splines."""
        splines = self.filled
        gaussian = replace(
            splines,
            steps=self.gaussian_steps,
            batch_size=max(1, splines.batch_size // 2),
            learning_rate=3 * splines.learning_rate,
        )
        return (
            FlowStage("Gaussian", gaussian, independent=False),
            FlowStage("splines", splines, splines=True),
        )

    @property
    def stages_by_entry(self) -> tuple[FlowStage, ...]:
        """The same for a flow whose entries may be independent, which is tried before each."""
        gaussian, splines = self.stages
        third = replace(gaussian.settings, steps=max(1, gaussian.settings.steps // 3))
        gentle = replace(
            splines.settings,
            steps=max(1, splines.settings.steps // 2),
            learning_rate=GENTLE * splines.settings.learning_rate,
        )
        series = replace(
            splines.settings, steps=max(1, self.gaussian_steps // 4), batch_size=SERIES_BATCH
        )
        return (
            FlowStage("independent", gaussian.settings, independent=True, cycles=CYCLES),
            FlowStage("neighbours", series, independent=True, neighbours=True),
            FlowStage("nonlinear", series, independent=True, neighbours=True, nonlinear=True),
            replace(gaussian, settings=third),
            FlowStage("splines of entries", splines.settings, entries=True),
            replace(splines, settings=gentle),
        )

    @property
    def stages_by_level(self) -> tuple[CategoricalStage, ...]:
        """The same for whole numbers of few values: a logistic regression, then a network."""
        network = self.filled
        logistic = replace(network, learning_rate=LOGISTIC_RATE * network.learning_rate)
        return (
            CategoricalStage("logistic", logistic),
            CategoricalStage("network", network, network=True),
        )

    @property
    def filled(self) -> CompleteSettings:
        """The settings of the splines' stage, defaults filled in."""
        return DEFAULTS.updated(self.settings)

    @property
    def shape(self) -> dict[str, int]:
        """The network's arguments."""
        return dict(width=self.width, layers=self.layers, couplings=self.couplings, bins=self.bins)

    def _split(
        self, tensors: Batch, fold: Fold | None, rng: torch.Generator
    ) -> tuple[Batch, Batch]:
        """Return the rows to train on and those held out, of a fold or at random."""
        if fold is not None:
            return fold.split(tensors)
        return hold_out(tensors, self.filled.held_out, rng, max_held_out=MAX_HELD_OUT)

    def _train(
        self,
        network: nn.Module,
        flow: ConditionalFlow | CategoricalFlow,
        log_prob: LogProb,
        train: Batch,
        held_out: Batch,
        *,
        seed: int,
        stream: int,
        device: str,
        progress: bool,
        limit: StepLimit,
        checkpoints: Checkpoints,
        note: str,
        worth: Worth = always,
        trials: int = 1,
    ) -> History:
        """Train a network around a flow in a stream of the seed; the history names what is kept.

        Where a simulation holds several `trials`, there may be more passes over them.
        """

        def run(flow: Flow, stages: Sequence[Stage[Flow]]) -> dict[str, History]:
            return maximise_likelihood(
                network,
                flow,
                log_prob,
                train,
                held_out,
                stages,
                most=max(1, TRIALS_ROWS // trials),
                epochs=MAX_EPOCHS if trials == 1 else TRIALS_EPOCHS,
                worth=worth,
                seed=child(seed, stream),
                device=device,
                progress=progress,
                limit=limit,
                checkpoints=checkpoints,
                note=note,
            )

        if isinstance(flow, CategoricalFlow):
            histories = run(flow, self.stages_by_level)
        else:
            histories = run(flow, self.stages if flow.entries is None else self.stages_by_entry)
        kept = [name for name, history in histories.items() if LEFT_OUT not in history.stopped]
        notes = "; ".join([f"kept: {', '.join(kept)}", *limit.left_out])
        return History.joined(list(histories.values()), list(histories), notes=notes, seed=seed)


def maximise_likelihood(
    network: nn.Module,
    flow: Flow,
    log_prob: LogProb,
    train: Batch,
    held_out: Batch,
    stages: Sequence[Stage[Flow]],
    *,
    most: int | None = None,
    epochs: int = MAX_EPOCHS,
    worth: Worth = always,
    seed: int,
    device: str,
    progress: bool,
    limit: StepLimit = UNLIMITED,
    checkpoints: Checkpoints = NO_CHECKPOINTS,
    note: str,
) -> dict[str, History]:
    """Train a network around a flow in place; return histories by name, of the start and of cycles.

    The flow stands at its start. The generator draws what `log_prob` needs besides the batch. At
    most `most` rows are seen at a time, and a cycle passes over those to train on `epochs` times at
    most. `worth` tells, given the best loss so far, whether a stage is.
    """

    @torch.no_grad()
    def validate(held_out: Batch) -> float:
        rows, rng = min(HELD_OUT_ROWS, most or HELD_OUT_ROWS), torch_rng(seed, 0)
        chunks = zip(*(t.split(rows) for t in held_out), strict=True)
        return -float(torch.cat([log_prob(chunk, rng) for chunk in chunks]).mean())

    def risk(batch: Batch, step: Step) -> Tensor:
        return -log_prob(batch, step.rng).mean()

    network.to(device)
    held_out, n = tuple(t.to(device) for t in held_out), len(train[0])
    best = validate(held_out)
    start = History({"held-out": ((0, best),)}, 0, 0, 0.0, "linear regression", seed)
    histories = {"linear": start}
    for index, stage in enumerate(stages):
        left = 1 + sum(not later.rare for later in stages[index + 1 :])  # these are rare
        settings = stage.settings
        for cycle in range(stage.cycles):
            name = f"{stage.name} {cycle + 1}" if cycle else stage.name
            own = limit.part(name, share=1 / left)
            if own is None:
                histories[name] = History({}, 0, None, 0.0, NO_TIME, seed)
                break
            before = copy.deepcopy(network.state_dict())
            if not cycle and not (worth(stage, best) and stage.enter(network, flow)):
                histories[name] = History({}, 0, None, 0.0, NOT_MEANT, seed)
                break
            size = min(stage.most_rows(flow), most or n, n)
            steps = max(1, min(math.ceil(stage.settings.steps / stage.cycles), epochs * n // size))
            if cycle == 1:  # which begins by losing what it gains later
                rate = CYCLE_RATE * settings.learning_rate
                settings = replace(settings, learning_rate=rate, patience=settings.steps)
            with bar(f"{note}: {name}", steps, progress) as advance:
                history = train_one(
                    network,
                    risk,
                    Shuffled(train, held_out, size=size, device=device),
                    replace(settings, steps=steps),
                    validate=validate,
                    give_up=None if cycle else partial(_not_promising, best),
                    limit=own,
                    checkpoint=checkpoints.of(name, network),
                    name=name,
                    seed=child(seed, 1, index, *([cycle] if cycle else [])),
                    device=device,
                    advance=advance,
                )
            reached = [value for _, value in history.columns["held-out"]]
            half_way = min([best, *reached[: len(reached) // 2]])
            if min(reached) >= best:
                network.load_state_dict(before)
                history = replace(history, stopped=f"{history.stopped}; {NOT_BETTER}")
            histories[name] = replace(history, seed=seed)
            best = min([best, *reached])
            if half_way - best < GAIN:
                break
    network.eval().requires_grad_(False)
    return histories


def _not_promising(before: float, share: float, best: float) -> bool:
    """Return whether a stage has not been better than what was before it."""
    return share >= PROMISING and best >= before
