"""Simulators that are programs in any language: parameters in, files or lines out.

A command is run once for each simulation. In its arguments, and in what it gets as standard input,

    {beta}      becomes the parameter beta, with all its digits
    {seed}      a whole number below 2^31, from the run's seed
    {folder}    an empty folder, deleted afterwards

and a reader makes data of what it leaves: `numbers` of its standard output, or `csv`, `json`, `npy`
of that or of a file in the folder, or any function of a `Finished`. No shell is involved.

A program with a long start can stay: a `Dialogue` starts it once in each process, writes a line for
each simulation and reads a line back.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lfi.simulation.simulators.readers import Finished, Reader, numbers

PLACE = re.compile(r"\{(\w+)\}")
OWN = {"seed", "folder"}
LAST_WORDS = 300  # characters of standard error that a message repeats


@dataclass(frozen=True, eq=False)
class Command:
    """A program that is run for each simulation, as a function of one parameter vector.

    Attributes:
        arguments: The program and its arguments, with places.
        names: The parameters' names.
        stdin: What it gets as standard input, with places; None for nothing.
        read: Makes data of what it leaves.
        cwd: The folder it is started in.
        environment: Variables that are set besides those there are.

    Raises:
        RuntimeError: When called, if the program ends with another code than 0.
        FileNotFoundError: When called, if there is no such program.
    """

    arguments: tuple[str, ...]
    names: tuple[str, ...]
    stdin: str | None = None
    read: Reader = numbers
    cwd: str = field(default_factory=os.getcwd)
    environment: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_places((*self.arguments, self.stdin or ""), self.names)

    @property
    def fingerprint(self) -> str:
        """What tells it from another command: its arguments, and the files that they name."""
        return fingerprint(self.arguments, self.cwd) + repr(self.stdin)

    def __call__(self, theta: np.ndarray, rng: np.random.Generator) -> Any:  # noqa: ANN401
        """Return the data of one run."""
        needs_folder = any("{folder}" in text for text in (*self.arguments, self.stdin or ""))
        with tempfile.TemporaryDirectory() if needs_folder else nullcontext(os.devnull) as folder:
            values = places(self.names, theta, rng) | {"folder": folder}
            done = subprocess.run(
                [filled(argument, values) for argument in self.arguments],
                input=None if self.stdin is None else filled(self.stdin, values).encode(),
                stdin=subprocess.DEVNULL if self.stdin is None else None,
                capture_output=True,
                cwd=self.cwd,
                env={**os.environ, **dict(self.environment)} if self.environment else None,
            )
            if done.returncode != 0:
                words = done.stderr.decode(errors="replace").strip()[-LAST_WORDS:]
                raise RuntimeError(
                    f"{self.arguments[0]} ended with code {done.returncode}"
                    + (f": {words}" if words else "")
                )
            return self.read(Finished(done.stdout, Path(folder)))


@dataclass(frozen=True, eq=False)
class Dialogue:
    """A program that stays and answers line by line, as a function of one parameter vector.

    It must end each answer with a line end and flush it. One that ends is started again for the
    next simulation.

    Attributes:
        arguments: The program and its arguments, without places.
        names: The parameters' names.
        question: The line that asks for a simulation, with places.
        read: Makes data of the line of the answer.
        cwd: The folder it is started in.
        environment: Variables that are set besides those there are.

    Raises:
        RuntimeError: When called, if the program ends instead of answering.
    """

    arguments: tuple[str, ...]
    names: tuple[str, ...]
    question: str
    read: Reader = numbers
    cwd: str = field(default_factory=os.getcwd)
    environment: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_places((self.question,), self.names)
        if "{folder}" in self.question or "\n" in self.question.rstrip("\n"):
            raise ValueError(f"the question must be one line, without a folder: {self.question!r}")

    @property
    def fingerprint(self) -> str:
        """What tells it from another program: its arguments, and the files that they name."""
        return fingerprint(self.arguments, self.cwd) + repr(self.question)

    def __call__(self, theta: np.ndarray, rng: np.random.Generator) -> Any:  # noqa: ANN401
        """Return the data of one answer."""
        program = _running.get(self)
        if program is None or program.poll() is not None:
            program = _running[self] = subprocess.Popen(
                self.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self.cwd,
                env={**os.environ, **dict(self.environment)},
            )
            weakref.finalize(self, _finish, program)
        line = filled(self.question, places(self.names, theta, rng)).rstrip("\n") + "\n"
        try:
            program.stdin.write(line.encode())
            program.stdin.flush()
            answer = program.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer.endswith(b"\n"):
            _running.pop(self, None)
            _finish(program)
            raise RuntimeError(
                f"{self.arguments[0]} ended with code {program.returncode} instead of answering"
            )
        return self.read(Finished(answer, Path()))


_running: "weakref.WeakKeyDictionary[Dialogue, subprocess.Popen]" = weakref.WeakKeyDictionary()


def _finish(program: subprocess.Popen) -> None:
    """End a program and close its pipes."""
    program.kill()
    program.wait()
    for pipe in (program.stdin, program.stdout):
        with suppress(BrokenPipeError):  # of a line it has not read
            pipe.close()


def check_places(texts: Sequence[str], names: tuple[str, ...]) -> None:
    """Refuse places that nothing fills, and parameters without a place.

    Raises:
        ValueError: If a place is unknown, or a parameter has none.
    """
    found = {place for text in texts for place in PLACE.findall(text)}
    unknown, unused = sorted(found - {*names, *OWN}), sorted(set(names) - found)
    if unknown:
        raise ValueError(
            f"command: nothing fills {{{'}, {'.join(unknown)}}}; there are "
            f"{{{'}, {'.join((*names, *sorted(OWN)))}}}"
        )
    if unused:
        raise ValueError(f"command: it has no place for {{{'}, {'.join(unused)}}}")


def places(names: tuple[str, ...], theta: np.ndarray, rng: np.random.Generator) -> dict[str, str]:
    """Return what fills the places of parameters and seed."""
    values = {name: repr(float(value)) for name, value in zip(names, theta, strict=True)}
    return {**values, "seed": str(rng.integers(2**31))}


def fingerprint(arguments: Sequence[str], cwd: str) -> str:
    """Return a text that changes with the arguments and with the files that they name."""
    parts = [repr(tuple(arguments))]
    for i, argument in enumerate(arguments):
        found = shutil.which(argument) if i == 0 else None
        path = Path(found or Path(cwd) / argument)
        with suppress(OSError):  # no file, or none that can be read
            if path.is_file():
                parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return " ".join(parts)


def filled(text: str, values: dict[str, str]) -> str:
    """Return the text with its places filled; other braces stay.

    Example:
        >>> filled("--a={a} {not a place}", {"a": "1.5"})
        '--a=1.5 {not a place}'
    """
    return PLACE.sub(lambda match: values.get(match[1], match[0]), text)


def split(command: str | Sequence[str]) -> tuple[str, ...]:
    """Return a command line as program and arguments.

    Raises:
        ValueError: If it is empty.
    """
    arguments = tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)
    if not arguments:
        raise ValueError("command is empty: give a program and its arguments")
    return arguments
