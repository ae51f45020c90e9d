"""Simulators that are programs in any language.

A command is run once for each simulation, without a shell. In its arguments and standard input,

    {beta}      becomes the parameter beta, with all its digits
    {seed}      a whole number below 2^31, from the run's seed
    {folder}    an empty folder, deleted afterwards

and a reader (readers.py) takes the data from its output. A program that starts slowly can be a
`PersistentCommand`: started once in each process, it answers a line for each simulation.
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

from lfi.simulation.simulators.readers import ProgramOutput, Reader, numbers

PLACEHOLDER = re.compile(r"\{(\w+)\}")
RESERVED = {"seed", "folder"}
STDERR_TAIL = 300  # characters of standard error that a message repeats


@dataclass(frozen=True, eq=False)
class Program:
    """A program as a function of one parameter vector; its texts have placeholders."""

    arguments: tuple[str, ...]
    names: tuple[str, ...]
    stdin: str | None = None
    read: Reader = numbers
    cwd: str = field(default_factory=os.getcwd)
    environment: tuple[tuple[str, str], ...] = ()  # variables that are set in addition

    def __post_init__(self) -> None:
        check_placeholders((*self.arguments, self.stdin or ""), self.names)

    @property
    def fingerprint(self) -> str:
        """A text that changes with its arguments and with the files that they name."""
        parts = [repr(self.arguments)]
        for i, argument in enumerate(self.arguments):
            found = shutil.which(argument) if i == 0 else None
            path = Path(found or Path(self.cwd) / argument)
            with suppress(OSError):  # no file, or none that can be read
                if path.is_file():
                    parts.append(hashlib.sha256(path.read_bytes()).hexdigest())
        return " ".join(parts) + repr(self.stdin)

    def _substitutes(self, theta: np.ndarray, rng: np.random.Generator) -> dict[str, str]:
        """Return the values of the placeholders of parameters and seed."""
        values = {name: repr(float(v)) for name, v in zip(self.names, theta, strict=True)}
        return {**values, "seed": str(rng.integers(2**31))}

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **dict(self.environment)}


class Command(Program):
    """A program run for each simulation; RuntimeError if it ends with another code than 0."""

    def __call__(self, theta: np.ndarray, rng: np.random.Generator) -> Any:  # noqa: ANN401
        """Return the data of one run."""
        needs_folder = any("{folder}" in text for text in (*self.arguments, self.stdin or ""))
        with tempfile.TemporaryDirectory() if needs_folder else nullcontext(os.devnull) as folder:
            values = self._substitutes(theta, rng) | {"folder": folder}
            done = subprocess.run(
                [substitute(argument, values) for argument in self.arguments],
                input=None if self.stdin is None else substitute(self.stdin, values).encode(),
                stdin=subprocess.DEVNULL if self.stdin is None else None,
                capture_output=True,
                cwd=self.cwd,
                env=self._environment(),
            )
            if done.returncode != 0:
                words = done.stderr.decode(errors="replace").strip()[-STDERR_TAIL:]
                raise RuntimeError(
                    f"{self.arguments[0]} ended with code {done.returncode}"
                    + (f": {words}" if words else "")
                )
            return self.read(ProgramOutput(done.stdout, Path(folder)))


class PersistentCommand(Program):
    """A program that keeps running, and answers each line `stdin` with a line that it flushes.

    One that ends raises a RuntimeError, and is started again for the next simulation.
    """

    def __post_init__(self) -> None:
        check_placeholders((self._request,), self.names)
        if "{folder}" in self._request or "\n" in self._request:
            raise ValueError(f"the request must be one line, without a folder: {self.stdin!r}")

    @property
    def _request(self) -> str:
        return (self.stdin or "").rstrip("\n")

    def __call__(self, theta: np.ndarray, rng: np.random.Generator) -> Any:  # noqa: ANN401
        """Return the data of one answer."""
        program = _running.get(self)
        if program is None or program.poll() is not None:
            program = _running[self] = subprocess.Popen(
                self.arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=self.cwd,
                env=self._environment(),
            )
            weakref.finalize(self, _finish, program)
        assert program.stdin is not None and program.stdout is not None  # it has pipes
        line = substitute(self._request, self._substitutes(theta, rng))
        try:
            program.stdin.write(f"{line}\n".encode())
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
        return self.read(ProgramOutput(answer, Path()))


_running: weakref.WeakKeyDictionary[PersistentCommand, subprocess.Popen[bytes]]
_running = weakref.WeakKeyDictionary()


def _finish(program: subprocess.Popen[bytes]) -> None:
    """End a program and close its pipes."""
    program.kill()
    program.wait()
    for pipe in filter(None, (program.stdin, program.stdout)):
        with suppress(BrokenPipeError):  # of a line it has not read
            pipe.close()


def check_placeholders(texts: Sequence[str], names: tuple[str, ...]) -> None:
    """Refuse unknown placeholders, and parameters without a placeholder."""
    found = {place for text in texts for place in PLACEHOLDER.findall(text)}
    unknown, unused = sorted(found - {*names, *RESERVED}), sorted(set(names) - found)
    if unknown:
        raise ValueError(
            f"command: unknown placeholder {{{'}, {'.join(unknown)}}}; there are "
            f"{{{'}, {'.join((*names, *sorted(RESERVED)))}}}"
        )
    if unused:
        raise ValueError(f"command: it has no placeholder for {{{'}, {'.join(unused)}}}")


def substitute(text: str, values: dict[str, str]) -> str:
    """Return the text with its placeholders replaced; other braces stay."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def split_command(command: str | Sequence[str]) -> tuple[str, ...]:
    """Return a command line as program and arguments."""
    arguments = tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)
    if not arguments:
        raise ValueError("command is empty: give a program and its arguments")
    return arguments


def check_program(program: str) -> None:
    """Raise FileNotFoundError if there is no such program here, unless a placeholder names it."""
    if not PLACEHOLDER.search(program) and shutil.which(program) is None:
        found = "is no executable file" if Path(program).is_file() else "is not there"
        raise FileNotFoundError(
            f"command: the program {program} {found}, in {os.getcwd()} or on the PATH"
        )
