"""README: the names and arguments in its snippets exist, its links lead somewhere."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import lfi
from lfi.generation import Generator
from lfi.inference import RatioPosterior
from lfi.ratio import Ratio
from lfi.simulation import Simulations

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
RETURNS = {  # what a snippet's variables are, whose methods it calls
    "posterior": RatioPosterior,
    "generator": Generator,
    "ratio": Ratio,
    "simulations": Simulations,
    "sim": lfi.Simulator,
}


def resolve(node):
    """Return what a dotted name stands for, None for what is not of lfi."""
    if isinstance(node, ast.Name):
        return lfi if node.id == "lfi" else RETURNS.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = resolve(node.value)
        return None if owner is None else getattr(owner, node.attr)
    return None


CALLS = [
    node
    for snippet in SNIPPETS
    for node in ast.walk(ast.parse(snippet))
    if isinstance(node, ast.Call) and resolve(node.func) is not None
]


def test_there_are_snippets_and_calls_in_them():
    assert len(SNIPPETS) >= 5
    assert len(CALLS) >= 40


@pytest.mark.parametrize("call", CALLS, ids=lambda call: ast.unparse(call)[:60])
def test_every_call_takes_the_arguments_it_is_given(call):
    function = resolve(call.func)
    owner = resolve(call.func.value)
    named = inspect.getattr_static(owner, call.func.attr, None) if isinstance(owner, type) else None
    bound = inspect.isfunction(named)  # a method of an object, which takes itself first
    arguments = [object()] * (len(call.args) + bound)
    keywords = {keyword.arg: object() for keyword in call.keywords}
    inspect.signature(function).bind(*arguments, **keywords)  # raises where one is unknown


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_every_link_leads_to_a_file(link):
    assert (ROOT / link).exists()


def test_every_tutorial_is_listed():
    listed = {Path(link).name for link in LINKS if link.startswith("tutorials/")}
    assert listed == {path.name for path in (ROOT / "tutorials").glob("*.py")}
