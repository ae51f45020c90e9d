"""Every tutorial opens as a notebook, runs from top to bottom, and its closing claims hold."""

import ast
import runpy
from pathlib import Path

import jupytext
import pytest
import torch

TUTORIALS = sorted((Path(__file__).parent.parent / "tutorials").glob("*.py"))
QUICK = ("03",)  # one of seconds; the others take minutes
runs = [
    pytest.param(path, marks=[] if path.stem[:2] in QUICK else pytest.mark.slow)
    for path in TUTORIALS
]
each_tutorial = pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)


@each_tutorial
def test_tutorials_open_as_notebooks_of_prose_and_code(path):
    cells = jupytext.read(path).cells
    assert {cell.cell_type for cell in cells} == {"markdown", "code"}
    assert cells[0].source.startswith("# ")
    assert len(path.stem.split("_")[0]) == 2  # 00_..., 01_...: the order of reading


@each_tutorial
def test_tutorials_end_in_assertions_of_what_they_claim(path):
    statements = ast.parse(path.read_text()).body
    assert any(isinstance(node, ast.Assert) for node in ast.walk(statements[-1]))


@pytest.mark.parametrize("path", runs, ids=lambda path: path.stem)
def test_tutorials_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    torch.set_default_dtype(torch.float32)  # as a reader has it
    runpy.run_path(str(path))
