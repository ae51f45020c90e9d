"""What tests of the command line share."""

import sys

import pytest

from lfi.cli import main


@pytest.fixture
def call(monkeypatch, capsys):
    """Call the command line; return its exit code, output and errors."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lfi", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return run
