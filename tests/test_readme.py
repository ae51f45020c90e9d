"""README and docs: snippets run, links lead somewhere, figures are those of results.csv."""

import ast
import inspect
import os
import re
import stat
import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch

import lfi

ROOT = Path(__file__).parent.parent
OWN = [ROOT / "docs" / name for name in ("api", "tutorials")]  # made when the site is built
DOCS = [p for p in (ROOT / "docs").rglob("*.md") if not set(OWN) & set(p.parents)]
NAMES = ("README", "CONTRIBUTING", "SECURITY", "CODE_OF_CONDUCT")
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (*(ROOT / f"{name}.md" for name in NAMES), *sorted(DOCS))
}
SNIPPETS = {
    name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in PAGES.items()
}
WITH_CODE = [name for name, snippets in SNIPPETS.items() if snippets]
COMMANDS = re.compile(r"(?:^    |`|&& |\$ )(lfi [a-z][^`\n&]*)", re.MULTILINE)
LINKS = [
    (name, link)
    for name, text in PAGES.items()
    for link in sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)))
]
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


def dotted(node):
    """The parts of `a.b.c`, None where it does not begin with a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else None


def resolved(node):
    """What a path that begins with `lfi` leads to; None of other paths."""
    path = dotted(node)
    if path is None or path[0] != "lfi":
        return None
    found = lfi
    for part in path[1:]:
        found = getattr(found, part)
    return found


def test_pages_have_snippets():
    assert len(SNIPPETS["README.md"]) >= 4
    assert sum(map(len, SNIPPETS.values())) >= 25


@pytest.mark.parametrize("name", WITH_CODE)
def test_names_and_arguments_in_snippets_are_those_of_lfi(name):
    for number, snippet in enumerate(SNIPPETS[name], 1):
        for node in ast.walk(ast.parse(snippet, f"{name}, snippet {number}")):
            if isinstance(node, ast.Attribute):
                resolved(node)
            if isinstance(node, ast.Call) and (called := resolved(node.func)):
                keywords = {k.arg: None for k in node.keywords if k.arg}
                unpacked = any(k.arg is None for k in node.keywords) or any(
                    isinstance(argument, ast.Starred) for argument in node.args
                )
                signature = inspect.signature(called)
                (signature.bind_partial if unpacked else signature.bind)(
                    *[None for a in node.args if not isinstance(a, ast.Starred)], **keywords
                )


@pytest.mark.parametrize("name", PAGES)
def test_names_of_lfi_in_prose_are_there(name):
    prose = re.sub(r"```.*?```", "", PAGES[name], flags=re.DOTALL)
    for path in set(re.findall(r"`(lfi(?:\.\w+)+)", prose)) - {"lfi.inference.types.Method"}:
        try:
            resolved(ast.parse(path, mode="eval").body)
        except AttributeError:  # of a module that no namespace lists
            import_module(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # fits of a few steps warn, rightly
@pytest.mark.parametrize("name", WITH_CODE)
def test_every_snippet_runs_after_those_before_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "epidemic"
    program.write_text(PROGRAM)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    loops = ("training.train_one", "generation.validated_training", "generation.imitation.fit")
    for module_name in (*loops, "inference.implicit.fit"):
        module = import_module(f"lfi.{module_name}")
        loop = module.fit
        monkeypatch.setattr(
            module, "fit", lambda *a, steps, loop=loop, **k: loop(*a, steps=min(steps, STEPS), **k)
        )
    torch.set_default_dtype(torch.float32)
    names = {"__name__": "readme"}
    for number, snippet in enumerate(SNIPPETS[name], 1):
        tree = ast.fix_missing_locations(Fewer().visit(ast.parse(snippet)))
        exec(compile(tree, f"{name}, snippet {number}", "exec"), names)
    if name == "README.md":
        assert os.path.getsize("report.html") > 10_000
        assert len(names["x"]) == 1_000


@pytest.mark.parametrize("name", [name for name in PAGES if COMMANDS.search(PAGES[name])])
def test_commands_on_pages_are_those_of_the_command_line(name):
    for line in COMMANDS.findall(PAGES[name]):
        command, *words = line.split()[1:]
        known = command_options(command)
        for option in (word.partition("=")[0] for word in words if word.startswith("--")):
            assert option in known, f"{name}: {line}"


def command_options(command):
    """The options of a command of `lfi`, with --help."""
    from typer.main import get_command

    from lfi.cli.app import app

    parameters = get_command(app).commands[command].params
    opts = (option for each in parameters for option in (*each.opts, *each.secondary_opts))
    return {"--help", *opts}


@pytest.mark.parametrize(("name", "link"), LINKS)
def test_every_link_leads_to_a_file(name, link):
    target = ((ROOT / name).parent / link).resolve()
    if OWN[1] in target.parents:  # a copy of a tutorial
        target = ROOT / "tutorials" / target.name
    assert target.exists(), f"{name}: {link}"


def test_every_tutorial_is_listed():
    listed = {Path(link).name for name, link in LINKS if link.startswith("tutorials/")}
    assert listed == {path.name for path in (ROOT / "tutorials").glob("*.py")}


def test_figures_on_pages_are_those_of_results(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "benchmarks"))
    figures = import_module("readme_figures")
    for page in figures.PAGES:
        text = page.read_text(encoding="utf-8")
        assert figures.BLOCK.search(text)
        assert figures.renewed(text) == text, f"{page.name}: run readme_figures.py"
        emptied = figures.BLOCK.sub(r"\1\n\3", text)
        assert len(emptied) < len(text) and figures.renewed(emptied) == text
    pages = [
        block[2] for page in figures.PAGES for block in figures.BLOCK.finditer(page.read_text())
    ]
    assert set(pages) == set(figures.TABLES)


def test_each_promise_names_tests_that_there_are():
    page = PAGES["docs/promises.md"]
    named = re.findall(r"`(tests/[^`]+\.py)::(\w+)`( \(slow\))?", page)
    assert len(named) == page.count("`tests/") > 30
    check_named(named)
    for promise in re.findall(r"^- \*\*.*?(?=^- \*\*|^## |\Z)", page, re.MULTILINE | re.DOTALL):
        assert "`tests/" in promise, promise


def test_each_line_of_the_first_day_has_its_test_or_its_sentence():
    page = PAGES["docs/first_day.md"]
    lines = re.findall(
        r"^(\d+)\. \*\*.+?\*\* (\S.*?)(?=^\d+\. |\Z)", page, re.MULTILINE | re.DOTALL
    )
    assert [int(number) for number, _ in lines] == list(range(1, 27))
    named = re.findall(r"`(tests/[^`]+\.py)::(\w+)`( \(slow\))?", page)
    assert len(named) == page.count("`tests/")
    check_named(named)


def check_named(named):
    """Named tests are there, and are marked slow where the page says so."""
    for path, name, slow in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        found = re.search(rf"((?:^@.*\n(?:^ .*\n|^\).*\n)*)*)^def {name}\(", text, re.MULTILINE)
        assert found, f"{path}::{name}"
        assert bool(slow) == ("@pytest.mark.slow" in found[1]), f"{path}::{name}"
