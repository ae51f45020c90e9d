"""README: its snippets run, its links lead somewhere; promises name the tests that hold them."""

import ast
import os
import re
import stat
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
FEW = 2_500  # rows and draws at the most
STEPS = 25  # of any training
PROGRAM = f"""#!{sys.executable}
import random, sys
options = dict(zip(sys.argv[1::2], map(float, sys.argv[2::2])))
random.seed(options["--seed"])
print(*[random.gauss(options["--beta"], options["--gamma"]) for _ in range(14)])
"""


class Fewer(ast.NodeTransformer):
    """Larger whole numbers become that many."""

    def visit_Constant(self, node):
        large = isinstance(node.value, int) and node.value > FEW
        return ast.copy_location(ast.Constant(FEW), node) if large else node


def test_there_are_snippets():
    assert len(SNIPPETS) >= 7


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # fits of a few steps warn, rightly
def test_every_snippet_runs_after_those_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "epidemic"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    loops = ("training.train_one", "generation.validated_training", "generation.imitation.fit")
    for name in (*loops, "inference.implicit.fit"):
        module = import_module(f"lfi.{name}")
        loop = module.fit
        monkeypatch.setattr(
            module, "fit", lambda *a, steps, loop=loop, **k: loop(*a, steps=min(steps, STEPS), **k)
        )
    torch.set_default_dtype(torch.float32)
    names = {"__name__": "readme"}
    for number, snippet in enumerate(SNIPPETS, 1):
        tree = ast.fix_missing_locations(Fewer().visit(ast.parse(snippet)))
        exec(compile(tree, f"README.md, snippet {number}", "exec"), names)
    assert os.path.getsize("report.html") > 10_000
    assert len(names["x"]) == 10


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_every_link_leads_to_a_file(link):
    assert (ROOT / link).exists()


def test_every_tutorial_is_listed():
    listed = {Path(link).name for link in LINKS if link.startswith("tutorials/")}
    assert listed == {path.name for path in (ROOT / "tutorials").glob("*.py")}


def test_each_promise_names_tests_that_there_are():
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[^`]+\.py)::(\w+)`( \(slow\))?", page)
    assert len(named) == page.count("`tests/") > 30
    for path, name, slow in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        found = re.search(rf"((?:^@.*\n(?:^ .*\n|^\).*\n)*)*)^def {name}\(", text, re.MULTILINE)
        assert found, f"{path}::{name}"
        assert bool(slow) == ("@pytest.mark.slow" in found[1]), f"{path}::{name}"
    for promise in re.findall(r"^- \*\*.*?(?=^- \*\*|^## |\Z)", page, re.MULTILINE | re.DOTALL):
        assert "`tests/" in promise, promise
