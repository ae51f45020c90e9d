"""Readers, functions of a `ProgramOutput`: `numbers` is one; `csv`, `json` and `npy` make one."""

import json as json_module
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ProgramOutput:
    """The output of a program: what it wrote to standard output, and its {folder}."""

    stdout: bytes
    folder: Path

    def bytes(self, file: str | None) -> bytes:
        """Return a file of the folder, or standard output for None; or FileNotFoundError."""
        if file is None:
            return self.stdout
        path = self.folder / file
        if not path.is_file():
            left = sorted(entry.name for entry in self.folder.iterdir())
            raise FileNotFoundError(f"the program left no {file} in {{folder}}, but {left}")
        return path.read_bytes()


Reader = Callable[[ProgramOutput], Any]


def numbers(output: ProgramOutput) -> np.ndarray:
    r"""Read all of standard output as numbers, separated by blanks, commas or line ends.

    ValueError if something there is not a number, or there is nothing.

    Example:
        >>> numbers(ProgramOutput(b"1, 2.5\n-3e1 nan", Path())).tolist()
        [1.0, 2.5, -30.0, nan]
    """
    words = output.stdout.replace(b",", b" ").split()
    if not words:
        raise ValueError("the program wrote nothing to standard output")
    return np.array([float(word) for word in words])


def csv(
    file: str | None = None, *, columns: Sequence[int] | None = None, header: int = 0
) -> Reader:
    r"""Return a reader of comma-separated rows, (rows, columns), below `header` lines.

    It reads a file in the folder, or standard output; all columns, or those given.

    Example:
        >>> csv(columns=[1], header=1)(ProgramOutput(b"day,ill\n1,3\n2,8\n", Path())).tolist()
        [[3.0], [8.0]]
    """

    def read(output: ProgramOutput) -> np.ndarray:
        text = BytesIO(output.bytes(file))
        return np.loadtxt(text, delimiter=",", usecols=columns, skiprows=header, ndmin=2)

    return read


def json(*keys: str, file: str | None = None) -> Reader:
    """Return a reader of a number or nested lists of them, below the keys of a JSON value.

    It reads a file in the folder, or standard output.

    Example:
        >>> json("result", "x")(ProgramOutput(b'{"result": {"x": [1, 2]}}', Path())).tolist()
        [1.0, 2.0]
    """

    def read(output: ProgramOutput) -> np.ndarray:
        value = json_module.loads(output.bytes(file))
        for key in keys:
            value = value[key]
        return np.asarray(value, dtype=float)

    return read


def npy(file: str | None = None) -> Reader:
    """Return a reader of an array that NumPy has saved to a file or to standard output."""
    return lambda output: np.load(BytesIO(output.bytes(file)), allow_pickle=False)
