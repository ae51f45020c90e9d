"""Where a command's words go: the terminal, JSON in place of words, a log file beside them."""

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

LOGGER = logging.getLogger("lfi")
LOGGER.addHandler(logging.NullHandler())  # else Python prints errors a second time


@dataclass
class Output:
    """How a command speaks: a context, inside which words go to its log file too."""

    quiet: bool = False
    as_json: bool = False
    log: Path | None = None
    handlers: list[logging.Handler] = field(default_factory=list)

    def __enter__(self) -> "Output":
        if self.log is not None:
            try:
                handler = logging.FileHandler(self.log, encoding="utf-8")
            except OSError as error:
                raise ValueError(
                    f"--log: {self.log} cannot be written: {error.strerror}"
                ) from error
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            LOGGER.addHandler(handler)
            LOGGER.setLevel(min(LOGGER.level or logging.INFO, logging.INFO))
            self.handlers.append(handler)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, typer.Exit):
            LOGGER.error("%s", " ".join(str(error).split()) or type(error).__name__)
        while self.handlers:
            handler = self.handlers.pop()
            LOGGER.removeHandler(handler)
            handler.close()

    @property
    def progress(self) -> bool:
        """Whether bars are shown."""
        return not self.quiet

    def echo(self, line: str) -> None:
        """Say a line."""
        if line.strip():
            LOGGER.info(line)
        if not (self.quiet or self.as_json):
            typer.echo(line)

    def result(self, values: dict[str, Any]) -> None:
        """Print results as JSON, where that was asked for."""
        if self.as_json:
            typer.echo(json.dumps(values, indent=1))
