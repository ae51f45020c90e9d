"""What fits on a screen: wrapped descriptions, and settings by what differs from their defaults."""

import textwrap
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields, is_dataclass

WIDTH, LINES = 120, 25  # of a screen


def on_screen(text: str) -> str:
    r"""Return a text of at most 25 lines of at most 120 characters.

    Long lines are wrapped, and go on further to the right; what is left out is said.

    Example:
        >>> print(on_screen("\n".join(f"line {i}" for i in range(30)))[-50:])
        line 23
        ... 6 more lines: describe() has them all
    """
    lines = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        lines += (
            textwrap.wrap(line, WIDTH, subsequent_indent=indent) if len(line) > WIDTH else [line]
        )
    if len(lines) > LINES:
        left = len(lines) - LINES + 1
        lines[LINES - 1 :] = [f"... {left} more lines: describe() has them all"]
    return "\n".join(lines)


def aligned(table: Sequence[Sequence[object]]) -> list[str]:
    r"""Return the lines of a table of words and numbers: names to the left, the rest to the right.

    Example:
        >>> print("\n".join(aligned([("name", "mean", "sd"), ("rate", "0.5", "0.125")])))
          name  mean     sd
          rate   0.5  0.125
    """
    cells = [[str(cell) for cell in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            ["", f"{name:<{widths[0]}}"]
            + [f"{cell:>{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        )
        for name, *rest in cells
    ]


class BriefSettings:
    """Settings whose `repr` names what differs from the defaults; a dataclass needs `repr=False`.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True, repr=False)
        ... class Steps(BriefSettings):
        ...     count: int = 100
        ...     rate: float = 0.1
        >>> Steps(rate=0.5), Steps()
        (Steps(rate=0.5), Steps())
        >>> whole_repr(Steps())
        'Steps(count=100, rate=0.1)'
    """

    def __repr__(self) -> str:
        own = ((field, getattr(self, field.name)) for field in _shown(self))
        given = [f"{field.name}={_line(v)}" for field, v in own if not _usual(field, v)]
        return f"{type(self).__name__}({', '.join(given)})"


def _line(value: object) -> str:
    """Return the `repr` of a value, and its kind alone where that takes several lines."""
    text = repr(value)
    return f"{type(value).__name__}(...)" if "\n" in text else text


def whole_repr(value: object) -> str:
    """Return a `repr` in which settings name every field: what resumed runs are recognised by."""
    if isinstance(value, BriefSettings):
        own = [f"{field.name}={whole_repr(getattr(value, field.name))}" for field in _shown(value)]
        return f"{type(value).__qualname__}({', '.join(own)})"
    if type(value) is tuple:
        inside = ", ".join(map(whole_repr, value))
        return f"({inside}{',' * (len(value) == 1)})"
    return repr(value)


def _shown(settings: object) -> "list[Field[object]]":
    """Return the fields of a dataclass that its `repr` shows."""
    found = fields(settings) if is_dataclass(settings) else ()
    return [field for field in found if field.repr]


def _usual(field: "Field[object]", value: object) -> bool:
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    return value is default or (type(value) is type(default) and value == default)
