"""The command line: `lfi list`, `lfi run`."""

from lfi.cli.app import (
    main,
)

__all__ = [
    "main",
]
