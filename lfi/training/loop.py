"""The training loop: players take turns on batches until the steps are done or nothing improves.

Every method of the library trains here: ratios, generators and posteriors differ in the players.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from lfi.runtime.seeds import fresh, torch_rng
from lfi.runtime.stages import logger, stage_path
from lfi.runtime.trackers import track
from lfi.training.batches import Batch, Batches
from lfi.training.checkpoints import Checkpoint, State, load_checkpoint, save_checkpoint
from lfi.training.history import POINTS, History, Recorder
from lfi.training.players import Move, Player, Step, Turn, alternating
from lfi.training.schedules import Schedule, constant
from lfi.training.step_limits import UNLIMITED, StepLimit

Callback = Callable[[int, dict[str, float]], None]
GiveUp = Callable[[float, float], bool]


@dataclass(frozen=True)
class Monitor:
    """Validation of the players, every so many steps, on data that they are not trained on.

    Attributes:
        measure: What to make small, a number of the held-out batch. It sees the averaged weights
            where a player keeps them, and no gradient.
        patience: Stop after this many validations without improvement; None for never.
        chooses: Whether the modules end with the weights of the best validation.
        watch: Called after each validation with the number of steps done, while the modules are as
            they were validated.
        notes: Called likewise; what it returns are further columns of the history, by name.
        give_up: Asked after each validation, with the share of steps done and the lowest value so
            far, whether to stop, as what is left of training cannot make up for it.
        limit: Asked after each validation how many steps there are in all.
    """

    measure: Callable[[Batch], float]
    every: int
    patience: int | None = None
    name: str = "held-out"
    chooses: bool = True
    watch: Callable[[int], None] | None = None
    notes: Callable[[int], Mapping[str, float]] | None = None
    give_up: GiveUp | None = None
    limit: StepLimit = UNLIMITED


@torch.no_grad()
def _validate(
    monitor: Monitor, moves: Sequence[Move], held_out: Batch, done: int
) -> tuple[float, Mapping[str, float]]:
    """Measure with the averaged weights in place, and put the players' own back."""
    averaged = [(m.player.module, m.average) for m in moves if m.average is not None]
    own = [copy.deepcopy(module.state_dict()) for module, _ in averaged]
    for module, average in averaged:
        module.load_state_dict(average.state_dict())
    for move in moves:
        move.player.module.eval()
    try:
        value = float(monitor.measure(held_out))
        notes = monitor.notes(done) if monitor.notes is not None else {}
        if monitor.watch is not None:
            monitor.watch(done)
        return value, notes
    finally:
        for (module, _), state in zip(averaged, own, strict=True):
            module.load_state_dict(state)
        for move in moves:
            move.player.module.train()


def fit(
    players: Sequence[Player],
    batches: Batches,
    *,
    steps: int,
    turn: Turn = alternating,
    monitor: Monitor | None = None,
    schedule: Schedule = constant,
    seed: int | None = None,
    device: str = "cpu",
    callbacks: Sequence[Callback] = (),
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train the players' modules in place, in the order of their turns, and return the history.

    The modules end with their averaged weights where the player keeps an average, and with those
    of the best validation where there is a monitor; in evaluation mode, with gradients allowed.

    Args:
        players: Who moves.
        batches: Where everyone draws from, and whose `held_out` the monitor validates on.
        steps: How many turns to take at the most.
        turn: How one turn goes.
        monitor: Validates, and may stop training.
        schedule: The learning rates' factor, of the share of steps done.
        seed: None takes fresh entropy, which the history records.
        device: Where the modules are trained, and stay.
        callbacks: Called after every step with its index and the latest values.
        checkpoint: Where to keep all that is needed to go on. If the file is there, training goes
            on from it, and ends as if it had never been interrupted.

    Raises:
        ValueError: If `steps` is not positive, nobody plays, a monitor has no held-out data, or a
            checkpoint is of another training or of one with a limit.
        Diverged: If an objective is no longer finite.

    Example:
        >>> from lfi.training import Player, Shuffled, adamw
        >>> line = torch.nn.Linear(1, 1, dtype=torch.float32)
        >>> x = torch.linspace(-1, 1, 64, dtype=torch.float32)[:, None]
        >>> objective = lambda batch, step: (line(batch[0]) - 3 * batch[0]).square().mean()
        >>> history = fit([Player("line", line, objective, adamw(0.1))], Shuffled((x,), size=64),
        ...               steps=200, seed=1)
        >>> round(line.weight.item(), 2)
        3.0
    """
    if steps < 1:
        raise ValueError(f"steps must be positive, got {steps}")
    if not players:
        raise ValueError("players: nobody plays")
    if monitor is not None and batches.held_out is None:
        raise ValueError("monitor: the batches hold nothing out to validate on")
    if monitor is not None and monitor.limit.exists and checkpoint is not None:
        raise ValueError("checkpoint: training with a limit of its steps keeps none")
    resumed = checkpoint if checkpoint is not None and checkpoint.exists else None
    seed = fresh(seed) if resumed is None else resumed.seed(seed)
    rng = torch_rng(seed)
    for player in players:
        player.module.to(device).train()
    moves = [Move(player) for player in players]
    for move in moves:
        move.freeze()
    state = State(Recorder(max(1, steps // POINTS)))
    if resumed is not None:
        load_checkpoint(resumed, state, moves, batches, rng, steps)
    begin, stage = time.monotonic() - state.seconds, ": ".join(stage_path()) or "training"
    try:
        while state.done < steps and not state.stopped:
            index = state.done
            for move in moves:
                move.scale_rate(schedule(index / steps))
            turn(moves, lambda: batches.draw(rng), Step(index, rng, state.record.log, steps))
            state.done = done = index + 1
            news: dict[str, float] = {}
            if done % state.record.every == 0 or done == steps:
                news = state.record.close(done)
                state.latest |= news
            held_out = batches.held_out
            if monitor and held_out and (done % monitor.every == 0 or done == steps):
                value, notes = _validate(monitor, moves, held_out, done)
                for name, noted in notes.items():
                    state.record.columns.setdefault(name, []).append((done, noted))
                news = {**news, **notes, monitor.name: value}
                logger.debug("%s: step %d of %d, %s %g", stage, done, steps, monitor.name, value)
                _note(monitor, value, state, moves, done / steps)
                if not state.stopped:
                    planned, steps = steps, monitor.limit(done, steps)
                    if done == steps < planned:
                        state.stopped = "time was up"
            track(done, news)
            for callback in callbacks:
                callback(done, state.latest)
            state.seconds = time.monotonic() - begin
            ended = done == steps or state.stopped
            if checkpoint is not None and (done % checkpoint.every == 0 or ended):
                save_checkpoint(checkpoint, state, moves, batches, rng, steps, seed)
    finally:
        for move in moves:
            move.freeze(False)
    for i, move in enumerate(moves):
        chosen = state.best_states[i] if state.best_states else move.current.state_dict()
        move.player.module.load_state_dict(chosen)
        move.player.module.eval()
    columns = {name: tuple(pairs) for name, pairs in state.record.columns.items()}
    stopped = state.stopped or "all steps done"
    return History(columns, state.done, state.best_step, state.seconds, stopped, seed)


def _note(
    monitor: Monitor, value: float, state: State, moves: Sequence[Move], share: float
) -> None:
    """Record a validation, keep the best weights, and stop where patience is at its end."""
    state.record.columns.setdefault(monitor.name, []).append((state.done, value))
    state.latest[monitor.name] = value
    if not monitor.chooses:
        return
    if value < state.best:
        state.best, state.best_step, state.bad = value, state.done, 0
        state.best_states = [copy.deepcopy(move.current.state_dict()) for move in moves]
    elif monitor.patience is not None:
        state.bad += 1
        if state.bad >= monitor.patience:
            state.stopped = f"no improvement in {state.bad} validations"
    if monitor.give_up is not None and share < 1 and monitor.give_up(share, state.best):
        state.stopped = f"given up at {share:.0%} of the steps"
