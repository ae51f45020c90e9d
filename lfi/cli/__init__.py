"""The command line: `lfi list`, `lfi run`."""

from lfi.cli.app import main as main
