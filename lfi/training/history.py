"""Histories: what happened while training, in columns of means over stretches of steps."""

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

POINTS = 200  # the history keeps this many points of each column, each a mean over its steps


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
class Recorder:
    """Gathers columns: means over stretches of steps."""

    every: int
    columns: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    open: dict[str, list[Tensor | float]] = field(default_factory=dict)

    def log(self, name: str, value: Tensor | float) -> None:
        """Note a value under a name."""
        self.open.setdefault(name, []).append(value)

    def close(self, step: int) -> dict[str, float]:
        """End a stretch at a step, and return its means."""
        latest = {name: math.fsum(map(float, v)) / len(v) for name, v in self.open.items()}
        for name, value in latest.items():
            self.columns.setdefault(name, []).append((step, value))
        self.open.clear()
        return latest
