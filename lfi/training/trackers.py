"""Trackers: the numbers of every training while it runs, in a file or on TensorBoard.

    with lfi.trackers.tracking(lfi.trackers.CsvTracker("training.csv")):
        posterior = lfi.fit_posterior(simulations)

A tracker is any object with a method `track(step, values)`. What trains inside the `with` is told
to it: a posterior, a ratio or a generator, by whatever method and however deep inside another fit.
What is computed in worker processes is told when they are done.

The values are those of the training's `History`: its columns, at the same steps. Their names have
the stages in front: "round 2 of 3/fitting the ratio/exponential family/held-out".
"""

import csv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from lfi.numerics.arguments import checked
from lfi.runtime.trackers import GuardedTracker, Tracker, told_to

HEADER = ("column", "step", "value")


@contextmanager
def tracking(*trackers: Tracker) -> Iterator[None]:
    """Tell trackers the numbers of whatever trains inside.

    Where one raises, a warning says so; it is told no more, and training goes on.

    Args:
        trackers: Objects with a method `track(step, values)`.

    Raises:
        TypeError: If one has no such method.

    Example:
        >>> class Printed:
        ...     def track(self, step, values):
        ...         print(step, *values)
        >>> p, q = torch.randn(200, 1), torch.randn(200, 1)
        >>> with tracking(Printed()):
        ...     _ = lfi.fit_ratio(p, q, settings=lfi.TrainSettings(steps=1), seed=1)
        1 fitting the ratio/...
    """
    for tracker in trackers:
        if isinstance(tracker, type) or not callable(getattr(tracker, "track", None)):
            kind = tracker.__name__ if isinstance(tracker, type) else type(tracker).__name__
            raise TypeError(f"trackers must be objects with track(step, values), got {kind}")
    with told_to(*map(GuardedTracker, trackers)):
        yield


@checked
class CsvTracker:
    """Writes one line for each value to a CSV file: column, step, value.

    Lines are written at once, so that the file can be read while training runs; a file that is
    there already is continued.

    Args:
        path: The file.

    Raises:
        ValueError: If there is a file of another kind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     CsvTracker(f"{folder}/training.csv").track(50, {"held-out": 0.5})
        ...     print(Path(f"{folder}/training.csv").read_text())
        column,step,value
        held-out,50,0.5
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        expected = ",".join(HEADER)
        if self.path.exists() and self.path.stat().st_size:
            with self.path.open(errors="replace") as file:
                if file.readline().strip() != expected:
                    raise ValueError(f"path: {path} is there, and does not begin with {expected}")
        else:
            self._write([HEADER])

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Write values."""
        self._write([(name, step, value) for name, value in values.items()])

    def _write(self, rows: list[tuple[object, ...]] | list[tuple[str, ...]]) -> None:
        with self.path.open("a", newline="") as file:  # whole lines, also of several processes
            csv.writer(file, lineterminator="\n").writerows(rows)


@checked
class TensorBoardTracker:
    """Writes scalars for TensorBoard, by `torch.utils.tensorboard`.

    Args:
        folder: The folder of the run, `log_dir` of TensorBoard.

    Raises:
        ModuleNotFoundError: If TensorBoard is not installed (`pip install tensorboard`).
    """

    def __init__(self, folder: str | Path) -> None:
        module: Any = import_module("torch.utils.tensorboard")
        self.writer: Any = module.SummaryWriter(str(folder))

    def track(self, step: int, values: Mapping[str, float]) -> None:
        """Write values."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()
