"""Training histories, in columns of means over stretches of steps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from lfi.runtime.display import Described
from lfi.training.step_limits import StageSteps

POINTS = 200  # the history keeps this many points of each column, each a mean over its steps


@dataclass(frozen=True, repr=False)
class History(Described):
    """The history of a training.

    Attributes:
        columns: For each name, pairs of step and value.
        steps: How many turns were taken.
        best_step: The step whose weights the modules ended with, where a monitor chose.
        seconds: How long it took.
        stopped: Why it ended.
        seed: The seed that repeats it.
        stages: Of a fit with limited time, and only in the last of its histories: the steps of all
            its stages, which repeat it without a clock.

    Example:
        >>> History({"held-out": ((50, 0.7), (100, 0.6))}, 100, 100, 2.5, "all steps done", 1)
        100 steps in 2.5 s: all steps done
          held-out  0.6 at step 100, lowest 0.6 at step 100
          weights of step 100, seed 1
    """

    columns: dict[str, tuple[tuple[int, float], ...]]
    steps: int
    best_step: int | None
    seconds: float
    stopped: str
    seed: int
    stages: tuple[StageSteps, ...] = ()

    def describe(self) -> str:
        """Return how long training took, why it ended, and where each column ended."""
        width = max(map(len, self.columns), default=0)
        lines = [f"{self.steps} steps in {self.seconds:.1f} s: {self.stopped}"]
        for name, pairs in self.columns.items():
            (step, value), (at, least) = pairs[-1], min(pairs, key=lambda pair: pair[1])
            lines.append(
                f"  {name:<{width}}  {value:.4g} at step {step}, lowest {least:.4g} at step {at}"
            )
        chosen = "last weights" if self.best_step is None else f"weights of step {self.best_step}"
        return "\n".join([*lines, f"  {chosen}, seed {self.seed}"])

    def _spec(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        columns = {name: [list(pair) for pair in pairs] for name, pairs in self.columns.items()}
        stages = [asdict(stage) for stage in self.stages]
        return {**self.__dict__, "columns": columns, "stages": stages}

    @classmethod
    def _restore(cls, spec: Mapping[str, Any]) -> "History":
        """Return the history that `_spec` has described."""
        columns = {
            name: tuple((int(step), float(value)) for step, value in pairs)
            for name, pairs in spec["columns"].items()
        }
        stages = tuple(StageSteps(**stage) for stage in spec.get("stages", ()))
        return cls(**{**spec, "columns": columns, "stages": stages})

    @classmethod
    def joined(
        cls, histories: Sequence["History"], names: Sequence[str], *, notes: str, seed: int
    ) -> "History":
        """Return the histories of stages, or of networks, trained one after the other as one.

        Where there are several, `names` stand before the columns' names. `notes`, of what became
        of them, stand in place of why they ended. The seed is that of the whole fit.

        Example:
            >>> one = History({"loss": ((5, 1.0),)}, 5, None, 1.0, "all steps done", 1)
            >>> both = History.joined([one, one], ["first", "second"], notes="done", seed=3)
            >>> both.columns
            {'first, loss': ((5, 1.0),), 'second, loss': ((10, 1.0),)}
        """
        if len(histories) == 1:
            return replace(histories[0], stopped=f"{histories[0].stopped}; {notes}", seed=seed)
        columns, offset = {}, 0
        for name, history in zip(names, histories, strict=True):
            for column, pairs in history.columns.items():
                title = name if column in name else f"{name}, {column}"
                columns[title] = tuple((offset + step, value) for step, value in pairs)
            offset += history.steps
        seconds = sum(history.seconds for history in histories)
        return cls(columns, offset, None, seconds, notes, seed)


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
