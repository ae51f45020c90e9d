"""Figures of results.csv and published.csv, as the pages show them."""

import csv
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
Row = dict[str, str]


@dataclass(frozen=True)
class Figure:
    """What one commit has measured.

    Attributes:
        values: One for each seed or observation.
        commit: Where.
        metric: Of which name the first of them is.
    """

    values: tuple[float, ...]
    commit: str
    metric: str

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def median(self) -> float:
        """Their median."""
        return statistics.median(self.values)


@cache
def results(name: str = "results.csv") -> tuple[Row, ...]:
    """Return all rows of a file."""
    with (HERE / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def measured(
    task: str,
    method: str,
    metric: str,
    *,
    simulations: int | None = None,
    seed: int | None = None,
    complete: int = 1,
) -> Figure:
    """Return the latest figures of which there are enough, of one commit.

    Args:
        task: As in results.csv.
        method: As in results.csv.
        metric: A regular expression of the whole name; of equal names and seeds the last counts.
        simulations: How many; None for any.
        seed: Of which seed; None for all.
        complete: How many values make a figure.
    """
    groups: dict[str, dict[tuple[str, str], Row]] = {}
    for row in sorted(results(), key=lambda row: row["date"]):  # stable: rows of a day in order
        if (
            (row["task"], row["method"]) == (task, method)
            and (simulations is None or row["simulations"] == str(simulations))
            and (seed is None or row["seed"] == str(seed))
            and re.fullmatch(metric, row["metric"])
        ):
            rows = groups.setdefault(row["commit"], {})
            rows[row["metric"], row["seed"]] = row
    for commit, rows in reversed(groups.items()):
        if len(rows) == complete:
            values = tuple(float(row["value"]) for row in rows.values())
            return Figure(values, commit, next(iter(rows))[0])
    raise ValueError(f"results.csv has no {complete} values of {task}, {method}, {metric}")


def published(task: str, simulations: int, setting: str) -> str:
    """Return a published figure with the method's name."""
    (row,) = (
        row
        for row in results("published.csv")
        if (row["task"], row["simulations"], row["setting"]) == (task, str(simulations), setting)
    )
    return f"{row['value']} {row['source']}"


def number(value: float, digits: int = 3) -> str:
    """Return a figure without the zero before the point."""
    text = f"{value:.{digits}f}"
    return re.sub(r"^(-?)0\.", r"\1.", text)


def at(figure: Figure, digits: int = 3) -> str:
    """Return the mean with its commit, and a star where C2ST compared 2,000 draws."""
    star = "\\*" if figure.metric.endswith("of 2000") else ""
    return f"{number(figure.mean, digits)}{star} `{figure.commit}`"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
