"""What tests of the command line share."""

import sys
from functools import partial

import pytest
from support.small_steps import QUICK, SmallSurrogate
from support.user_file import USER_FILE

from lfi.cli import main, timing, workflow
from lfi.inference.rounds import fit as rounds


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


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Steps of a moment, in a folder of the test's own; the names of those that are computed."""
    computed = []

    def told(name, function):
        def compute(*arguments, **options):
            computed.append(name)
            return function(*arguments, **options)

        return compute

    quick = partial(rounds.fit_rounds, preliminary=QUICK)
    monkeypatch.setattr(workflow, "fit_rounds", quick)
    methods = dict.fromkeys(workflow.METHODS, lambda: QUICK)
    monkeypatch.setattr(workflow, "METHODS", methods)
    monkeypatch.setattr(workflow, "SurrogateJob", SmallSurrogate)
    monkeypatch.setattr(workflow, "HELD_OUT", 30)
    monkeypatch.setattr(workflow, "IMPORTANCE_SAMPLES", 256)
    monkeypatch.setattr(workflow, "PARAMETERS", 2)
    monkeypatch.setattr(timing, "SAMPLES", 60)
    monkeypatch.setattr(timing, "MIN_SAMPLES", 60)
    steps = {name: told(name, step) for name, step in workflow.STEPS.items()}
    monkeypatch.setattr(workflow, "STEPS", steps)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(USER_FILE)
    return computed
