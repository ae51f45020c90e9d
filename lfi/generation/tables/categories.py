"""Columns of categories as one-hot vectors, and back by the largest entry.

A generator's real numbers fall on the side of the nearest one-hot vector, so that the probability
of a category is that of its cell.
"""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

MAX_CATEGORIES = 200
KINDS = (str, bool, int, float)


@dataclass(frozen=True, eq=False)
class CategoryColumn:
    """A map of one column to one-hot vectors and back.

    Attributes:
        name: The column's.
        levels: The values that the data have, sorted.

    Example:
        >>> column = CategoryColumn.of("colour", np.array(["red", "blue", "red"]))
        >>> column.decode(np.array([[0.2, 0.7], [0.6, 0.1]])).tolist()
        ['red', 'blue']
    """

    name: str
    levels: tuple[str | bool | int | float, ...]

    @property
    def width(self) -> int:
        """How many numbers a value becomes."""
        return len(self.levels)

    @classmethod
    def of(cls, name: str, data: np.ndarray) -> "CategoryColumn":
        """Return the map of a column's data; ValueError if they have too many values."""
        found = set(data.tolist())
        strange = [value for value in found if not isinstance(value, KINDS)]
        if strange:
            raise TypeError(
                f"table: the column {name!r} holds a {type(strange[0]).__name__}: columns are "
                "numbers, text, booleans or categories of these"
            )
        if len(found) > MAX_CATEGORIES:
            raise ValueError(
                f"table: the column {name!r} has {len(found)} categories, at most "
                f"{MAX_CATEGORIES}: leave it out if it names rows"
            )
        mixed = len({isinstance(value, str) for value in found}) > 1
        return cls(name, tuple(sorted(found, key=str if mixed else None)))

    def encode(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return one-hot vectors, (n, width), of values, (n,); ValueError for other values."""
        place = {level: i for i, level in enumerate(self.levels)}
        if unknown := [value for value in set(x.tolist()) if value not in place]:
            raise ValueError(f"table: {unknown[0]!r} is no category of the column {self.name!r}")
        return np.eye(self.width)[[place[value] for value in x.tolist()]]

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Return values, (n,), of numbers, (n, width)."""
        return _array(self.levels)[z.argmax(axis=1)]

    def describe(self) -> str:
        """Return how many categories there are, and the first of them."""
        shown = ", ".join(map(str, self.levels[:5])) + (", ..." if self.width > 5 else "")
        return f"categorical, {self.width}: {shown}"

    def _spec(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        return {"name": self.name, "levels": [json.dumps(level) for level in self.levels]}, {}

    @classmethod
    def _restore(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> "CategoryColumn":
        levels = tuple(json.loads(text) for text in spec["levels"])
        known = levels and all(isinstance(level, KINDS) for level in levels)
        if not known or len(set(levels)) < len(levels) or not isinstance(spec["name"], str):
            raise ValueError("a column has no categories, or strange ones")
        return cls(spec["name"], levels)


def _array(levels: tuple[str | bool | int | float, ...]) -> np.ndarray:
    """Return levels as an array, of objects where they are no numbers."""
    numbers = all(isinstance(level, int | float) for level in levels)
    return np.array(levels) if numbers else np.array(levels, dtype=object)
