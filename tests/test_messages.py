"""Messages speak the field's English, without the idioms that readers had to guess at."""

import ast
import re
from pathlib import Path

import pytest

LFI = Path(__file__).parent.parent / "lfi"
FILES = [*sorted(LFI.rglob("*.py")), *sorted(LFI.rglob("*.j2"))]
IDIOMS = re.compile(
    r"for want of|want of effective|as of a right|of a right posterior|right posterior pass"
    r"|as the posterior predicts|(?:is|was|are|be) not to be had|to be had\b|tells? nothing"
    r"|without a mistake|seconds were over"
)


def messages(path: Path) -> str:
    """All strings of a module but docstrings, one a line; of a template, its text."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    tree = ast.parse(text)
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return "\n".join(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in statements
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LFI).as_posix())
def test_no_message_has_an_idiom_of_its_own(path):
    assert not IDIOMS.findall(messages(path))


def test_idioms_are_found(tmp_path):
    found = tmp_path / "module.py"
    found.write_text('"""Right posterior passes."""\nraise ValueError("for want of candidates")\n')
    assert IDIOMS.findall(messages(found)) == ["for want of"]
