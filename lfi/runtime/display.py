"""The display of results: in words on a terminal, as a table in a notebook."""

from collections.abc import Sequence
from html import escape

from lfi.runtime.screens import on_screen

Rows = Sequence[Sequence[object]]


class Described:
    """A result that is shown by its description.

    A subclass has `describe`, whose first line is the verdict, and `_table` where a table helps;
    its `repr` is as much of the description as fits on a screen. A dataclass needs `repr=False`, or
    it makes a `repr` of its own.

    Example:
        >>> class Sum(Described):
        ...     def describe(self):
        ...         return "the sum is 3"
        ...     def _table(self):
        ...         return [("term", "value"), ("a", 1), ("b", 2)]
        >>> Sum()
        the sum is 3
        >>> Sum()._repr_html_()[:39]
        '<p>the sum is 3</p><table><tr><th>term<'
    """

    def describe(self) -> str:
        """Return the verdict and what it rests on, in words."""
        raise NotImplementedError

    def _table(self) -> Rows:
        """Return a header and rows; none for no table."""
        return ()

    def __repr__(self) -> str:
        return on_screen(self.describe())

    def _repr_html_(self) -> str:
        verdict, _, rest = self.describe().partition("\n")
        header, *rows = [*self._table()] or [()]
        if not header:
            return f"<p>{escape(verdict)}</p><pre>{escape(on_screen(rest))}</pre>"
        lines = [_row("th", header), *(_row("td", row) for row in rows)]
        return f"<p>{escape(verdict)}</p><table>{''.join(lines)}</table>"


def _row(tag: str, cells: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in cells)}</tr>"
