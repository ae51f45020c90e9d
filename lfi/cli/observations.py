"""Observations from files: text of numbers in columns, JSON, .npy and netCDF.

Text has its columns apart by semicolons, tabs, commas or white space, whichever of these it holds
first; beside semicolons and tabs a comma is a decimal one. A first line without a number names the
columns. Lines that start with # are left out. Entries may be missing, in text as empty cells or
words such as NA, in JSON as null, and as NaN elsewhere.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

MISSING = {"", "na", "n/a", "nan", "null", "none", "-", ".", "?"}  # as words of a cell
MOST_NAMED = 5  # cells or columns that a message lists


@dataclass(frozen=True, eq=False)
class Observation:
    """An observation, with NaN where an entry is missing, and where that is in the user's words."""

    values: Float[np.ndarray, "..."]
    missing: tuple[str, ...]


def read_observation(path: Path, columns: Sequence[str] = ()) -> Observation:
    """Read an observation; a single row or column is one series.

    `columns` are names, or numbers from 1, of what to take; of netCDF, the name of a variable.
    ValueError if there is no such file or column, an entry is no finite number, or all are missing.
    """
    if not path.is_file():
        raise ValueError(f"--observation: there is no file {path}")
    try:
        kind = path.suffix.lower()
        if kind == ".npy":  # mapped, so that a header is compared with the file's size
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            return of_array(_numbered(np.asarray(array), columns))
        if kind == ".nc":
            return of_array(_variable(path, columns))
        if kind == ".json":
            return _of_json(json.loads(path.read_text(encoding="utf-8-sig")), columns)
        return _of_text(path.read_text(encoding="utf-8-sig"), columns)
    except Exception as error:  # of readers, of many kinds
        text = str(error) or type(error).__name__
        raise ValueError(f"--observation: {path} is no table of numbers: {text}") from error


def listed(places: Sequence[str]) -> str:
    """Return the first places, and how many more there are.

    Example:
        >>> listed(["line 2", "line 4"]), listed([str(i) for i in range(7)])
        ('line 2; line 4', '0; 1; 2; 3; 4 and 2 more')
    """
    more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
    return "; ".join(places[:MOST_NAMED]) + more


def of_array(array: np.ndarray) -> Observation:
    """Return an array as an observation; ValueError if an entry is infinite, or all are missing."""
    return _partly(*_values(array, "entry"))


def _values(array: np.ndarray, name: str) -> tuple[Float[np.ndarray, "..."], list[str]]:
    """Return an array in float64, and what is missing; ValueError names entries not finite."""
    values = np.array(array, dtype=np.float64)
    infinite, missing = (
        [f"{name} {', '.join(map(str, place))}".strip() for place in (np.argwhere(mask) + 1)]
        for mask in (np.isinf(values), np.isnan(values))
    )
    if infinite:
        raise ValueError(f"{len(infinite)} entries are not finite ({listed(infinite)})")
    return values, missing


def _partly(values: Float[np.ndarray, "..."], missing: Sequence[str]) -> Observation:
    """Return what was observed in part; ValueError if nothing was."""
    if values.size == 0:
        raise ValueError("it is empty")
    if len(missing) == values.size:
        raise ValueError(f"all {values.size} entries are missing ({listed(missing)})")
    return Observation(values, tuple(missing))


def _of_text(text: str, columns: Sequence[str]) -> Observation:
    """Return the numbers of a text, a series where there is one row or column."""
    lines = [
        (number, line.rstrip("\r\n"))
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise ValueError("it is empty")
    apart = next((mark for mark in ";\t," if any(mark in line for _, line in lines)), None)
    if apart == "\t" and any(len(line.split()) > len(line.split("\t")) for _, line in lines):
        apart = None  # tabs are white space among other
    rows = [(number, _cells(line, apart)) for number, line in lines]
    if all(len(row) > 1 and row[-1] == "" for _, row in rows):
        rows = [(number, row[:-1]) for number, row in rows]  # every line ends with a mark
    names: list[str] = []
    if all(_number(cell) is None for cell in rows[0][1]) and not all(map(_missing, rows[0][1])):
        names, rows = rows[0][1], rows[1:]
    if not rows:
        raise ValueError(f"it has a header only ({', '.join(names[:MOST_NAMED])})")
    width = len(names) or len(rows[0][1])
    for number, row in rows:
        if len(row) != width:
            raise ValueError(f"line {number} has {len(row)} entries, where {width} are expected")
    taken = [_index(column, names, width) for column in columns] or list(range(width))
    cells = [[row[place] for place in taken] for _, row in rows]
    where = [f"line {number}" for number, _ in rows]
    titles = [names[place] if names else f"column {place + 1}" for place in taken]
    table, missing = _table(cells, where, titles, choose=width > 1 and not columns)
    return _partly(_series(table), missing)


def _cells(line: str, apart: str | None) -> list[str]:
    """Return the cells of a line, decimal commas made points beside semicolons and tabs."""
    if apart is None:
        return [cell.strip('"') for cell in line.split()]
    (cells,) = csv.reader([line], delimiter=apart, skipinitialspace=True)
    cells = [cell.strip() for cell in cells]
    if apart == ",":
        return cells
    return [cell.replace(",", ".") if cell.count(",") == 1 else cell for cell in cells]


def _table(
    cells: Sequence[Sequence[str]], where: Sequence[str], titles: Sequence[str], *, choose: bool
) -> tuple[Float[np.ndarray, "n k"], list[str]]:
    """Return cells as numbers, and which are missing; ValueError names one that is no number."""
    missing = []
    table = np.full((len(cells), len(titles)), np.nan)
    for i, row in enumerate(cells):
        for j, cell in enumerate(row):
            value = _number(cell)
            if _missing(cell):
                missing.append(f"{where[i]}, {titles[j]}")
            elif value is None or not math.isfinite(value):
                what = "not finite" if value is not None else "not a number"
                advice = f": choose among {', '.join(titles)} by --column" if choose else ""
                raise ValueError(f"{cell!r} in {where[i]}, {titles[j]}, is {what}{advice}")
            else:
                table[i, j] = value
    return table, missing


def _of_json(value: object, columns: Sequence[str]) -> Observation:
    """Return the numbers of lists, of a dictionary of columns, or of a list of records."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        names = list(dict.fromkeys(name for row in value for name in row))
        value = {name: [row.get(name) for row in value] for name in names}
    if not isinstance(value, dict):
        return of_array(_numbered(_plain(value, "entry"), columns))
    names = list(value)
    if not columns and len(names) > 1 and len({np.shape(part) for part in value.values()}) > 1:
        raise ValueError(f"it holds {', '.join(names[:MOST_NAMED])}: choose by --column")
    taken = [names[_index(column, names, len(names))] for column in columns] or names
    parts = [_values(_plain(value[name], name), name) for name in taken]
    arrays, missing = [part[0] for part in parts], [place for part in parts for place in part[1]]
    return _partly(arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=-1), missing)


def _plain(value: object, name: str) -> Float[np.ndarray, "..."]:
    """Return nested lists of numbers as an array, NaN for null; ValueError for others."""
    array = np.array(value, dtype=object)
    wrong = [entry for entry in array.ravel() if isinstance(entry, bool | str | list | dict)]
    if wrong:
        raise ValueError(f"{wrong[0]!r} in {name} is not a number")
    return array.astype(np.float64)  # None becomes NaN


def _variable(path: Path, columns: Sequence[str]) -> np.ndarray:
    """Return a variable of a netCDF file, of its group observed_data where the root has none."""
    import xarray  # takes a second

    for group in (None, "observed_data"):
        with xarray.open_dataset(path, group=group) as data:
            names = list(map(str, data.data_vars))
            if not names and group is None:
                continue
            if len(columns) > 1 or (not columns and len(names) != 1):
                raise ValueError(f"it holds {', '.join(names)}: choose one by --column")
            name = names[_index(columns[0], names, len(names))] if columns else names[0]
            return data[name].to_numpy()
    raise ValueError("it holds no variable")


def _numbered(array: np.ndarray, columns: Sequence[str]) -> np.ndarray:
    """Return columns of an array, by their numbers."""
    if array.dtype.kind not in "fiub":
        raise ValueError(f"it is of dtype {array.dtype}, expected real numbers")
    if not columns:
        return array
    if array.ndim != 2:
        raise ValueError(f"it has shape {array.shape}, which has no columns to choose from")
    return _series(array[:, [_index(column, [], array.shape[1]) for column in columns]])


def _series(table: np.ndarray) -> np.ndarray:
    return table.ravel() if 1 in table.shape else table


def _index(column: str, names: Sequence[str], width: int) -> int:
    """Return the place of a column, given by its name or its number from 1."""
    if column in names:
        return list(names).index(column)
    if column.isdecimal() and 1 <= int(column) <= width:
        return int(column) - 1
    known = ", ".join(names) if names else f"numbers from 1 to {width}"
    raise ValueError(f"--column: there is no {column!r} among {known}")


def _number(cell: str) -> float | None:
    """Return the number that a cell holds, None where it holds none."""
    try:
        return float(cell)
    except ValueError:
        return None


def _missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING
