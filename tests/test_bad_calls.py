"""Bad calls of every public name are refused by a clear error: see `support.bad_calls`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.bad_calls import Wrong, bad_values, kinds

TESTS = Path(__file__).parent
KNOWN = 5_000  # bad calls that there are at least


@pytest.fixture(scope="module")
def answers():
    """What the calls answer in a process of its own, where no test checks shapes before lfi."""
    program = TESTS / "support" / "bad_calls.py"
    path = os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_bad_call_is_refused_clearly(answers):
    *unclear, last = answers
    assert last["total"] >= KNOWN
    assert not unclear, "\n".join(f"{one['call']}: {one['complaint']}" for one in unclear)


def test_every_public_name_is_called(answers):
    assert not answers[-1]["missing"], "give them right calls in tests/support/good_calls.py"


@pytest.mark.parametrize(
    "annotation, given, labels",
    [
        (int | None, 3, {"string", "2.5", "True", "NaN", "-1", "class"}),
        (float, 0.5, {"string", "None", "complex", "inf", "class"}),
        (str, "x", {"None", "number", "class"}),
    ],
)
def test_an_argument_is_given_what_its_annotation_does_not_allow(annotation, given, labels):
    made = dict(bad_values(annotation, given))
    assert labels <= set(made) and made["class"] is Wrong
    assert "None" not in made or "none" not in kinds(annotation)
