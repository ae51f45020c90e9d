"""The one loop: players take turns on batches until the steps are done or nothing improves.

Every method of the library trains here. What differs between a ratio, a GAN and an adversarial
posterior is who plays, not how.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lfi.training.batches import Batch, Batches
from lfi.training.players import Move, Player, Step, Turn, alternating
from lfi.training.schedules import Schedule, constant
from lfi.training.seeds import fresh, torch_rng

POINTS = 200  # the history keeps this many points of each column, each a mean over its steps

Callback = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True)
class Monitor:
    """An independent judge of the players, on data that they never see.

    Attributes:
        measure: What to make small, a number of the held-out batch. It sees the averaged weights
            where a player keeps them, and no gradient.
        every: How many steps lie between two judgements.
        patience: Stop after this many judgements without improvement; None for never.
        name: The column of the history.
    """

    measure: Callable[[Batch], float]
    every: int
    patience: int | None = None
    name: str = "held-out"


@dataclass(frozen=True)
class History:
    """What happened while training.

    Attributes:
        columns: For each name, pairs of step and value.
        steps: How many turns were taken.
        best_step: The step whose weights the modules ended with, where a monitor chose.
        seconds: How long it took.
        stopped: Why it ended.
        seed: The seed that repeats it.
    """

    columns: dict[str, tuple[tuple[int, float], ...]]
    steps: int
    best_step: int | None
    seconds: float
    stopped: str
    seed: int

    def describe(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        columns = {name: [list(pair) for pair in pairs] for name, pairs in self.columns.items()}
        return {**self.__dict__, "columns": columns}

    @classmethod
    def restore(cls, description: dict[str, Any]) -> "History":
        """Return the history that `describe` has described."""
        columns = {
            name: tuple((int(step), float(value)) for step, value in pairs)
            for name, pairs in description["columns"].items()
        }
        return cls(**{**description, "columns": columns})


@dataclass
class _Recorder:
    """Gathers columns: means over stretches of steps."""

    every: int
    columns: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    open: dict[str, list[Tensor | float]] = field(default_factory=dict)

    def log(self, name: str, value: Tensor | float) -> None:
        self.open.setdefault(name, []).append(value)

    def close(self, step: int) -> dict[str, float]:
        latest = {name: math.fsum(map(float, v)) / len(v) for name, v in self.open.items()}
        for name, value in latest.items():
            self.columns.setdefault(name, []).append((step, value))
        self.open.clear()
        return latest


@torch.no_grad()
def _judge(monitor: Monitor, moves: Sequence[Move], held_out: Batch) -> float:
    """Measure with the averaged weights in place, and put the players' own back."""
    own = [copy.deepcopy(m.player.module.state_dict()) for m in moves if m.average is not None]
    averaged = [m for m in moves if m.average is not None]
    for move in averaged:
        move.player.module.load_state_dict(move.average.state_dict())
    for move in moves:
        move.player.module.eval()
    try:
        return float(monitor.measure(held_out))
    finally:
        for move, state in zip(averaged, own, strict=True):
            move.player.module.load_state_dict(state)
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
) -> History:
    """Train the players' modules in place.

    The modules end with their averaged weights where the player keeps an average, and with those
    of the best judgement where there is a monitor; in evaluation mode, with gradients allowed.

    Args:
        players: Who moves, in the order of their turns.
        batches: Where everyone draws from.
        steps: How many turns to take at the most.
        turn: How one turn goes.
        monitor: Judges on `batches.held_out`.
        schedule: The learning rates' factor, of the share of steps done.
        seed: None takes fresh entropy, which the history records.
        device: Where the modules are trained, and stay.
        callbacks: Called after every step with its index and the latest values.

    Returns:
        The history.

    Raises:
        ValueError: If `steps` is not positive, nobody plays, or a monitor has no held-out data.
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
        raise ValueError("monitor: the batches hold nothing out to judge on")
    seed = fresh(seed)
    rng, begin = torch_rng(seed), time.monotonic()
    for player in players:
        player.module.to(device).train()
    moves = [Move(player) for player in players]
    for move in moves:
        move.freeze()
    record = _Recorder(max(1, steps // POINTS))
    best, best_step, best_states, bad, stopped = math.inf, None, None, 0, "all steps done"
    latest: dict[str, float] = {}
    try:
        for index in range(steps):
            for move in moves:
                move.scale_rate(schedule(index / steps))
            turn(moves, lambda: batches.draw(rng), Step(index, rng, record.log))
            done = index + 1
            if done % record.every == 0 or done == steps:
                latest |= record.close(done)
            if monitor is not None and (done % monitor.every == 0 or done == steps):
                value = _judge(monitor, moves, batches.held_out)
                record.columns.setdefault(monitor.name, []).append((done, value))
                latest[monitor.name] = value
                if value < best:
                    best, best_step, bad = value, done, 0
                    best_states = [copy.deepcopy(move.current.state_dict()) for move in moves]
                elif monitor.patience is not None and (bad := bad + 1) >= monitor.patience:
                    stopped = f"no improvement in {bad} judgements"
            for callback in callbacks:
                callback(done, latest)
            if stopped != "all steps done":
                break
    finally:
        for move in moves:
            move.freeze(False)
    for i, move in enumerate(moves):
        state = best_states[i] if best_states is not None else move.current.state_dict()
        move.player.module.load_state_dict(state)
        move.player.module.eval()
    columns = {name: tuple(pairs) for name, pairs in record.columns.items()}
    return History(columns, done, best_step, time.monotonic() - begin, stopped, seed)
