"""Batches of rows to train on, and folds of rows held out.

Data that fit in memory are shuffled and sliced as whole tensors, without worker processes.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int
from torch import Tensor

from lfi.numerics.arrays import Batch
from lfi.runtime import stripped

MAX_HELD_OUT = 10_000  # rows: more do not validate better


@runtime_checkable
class Batches(Protocol):
    """A source of batches; `held_out` is never drawn in training, and None where there is none."""

    held_out: Batch | None

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next batch."""
        ...


@runtime_checkable
class Resumable(Protocol):
    """Batches whose place in the epoch a checkpoint can keep."""

    def position_of(self) -> dict[str, Tensor]:
        """Return where in the epoch they stand."""
        ...

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where others stood."""
        ...


def resumable(batches: Batches) -> Resumable:
    """Return the batches, or raise TypeError if they cannot tell where they stand."""
    if not isinstance(batches, Resumable):
        raise TypeError(f"batches: {type(batches).__name__} has no `position_of` to keep")
    return batches


class Shuffled:
    """Rows of tensors that belong together, each drawn once an epoch, in random order.

    An incomplete batch at the end of an epoch is left out, so all batches are of one size.

    Example:
        >>> batches = Shuffled((torch.arange(10.0),), size=4)
        >>> len(batches.draw(torch.Generator().manual_seed(0))[0])
        4
    """

    def __init__(
        self, train: Batch, held_out: Batch | None = None, *, size: int, device: str = "cpu"
    ) -> None:
        rows = {len(tensor) for tensor in train}
        if len(rows) != 1:
            raise ValueError(f"train: the tensors have different numbers of rows, {sorted(rows)}")
        n = rows.pop()
        if not 1 <= size <= n:
            raise ValueError(f"size: a batch of {size} cannot be drawn from {n} rows")
        self.train: Batch = tuple(tensor.to(device) for tensor in train)
        self.held_out: Batch | None = held_out and tuple(t.to(device) for t in held_out)
        self.size: int = size
        self.rows: int = n
        self.device: str = device
        self.order: Int[Tensor, " n"] = torch.empty(0, dtype=torch.long)
        self.position: int = n

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next `size` rows of every tensor."""
        if self.position + self.size > self.rows:
            self.order = torch.randperm(self.rows, generator=rng).to(self.device)
            self.position = 0
        rows = self.order[self.position : self.position + self.size]
        self.position += self.size
        return tuple(tensor[rows] for tensor in self.train)

    def position_of(self) -> dict[str, Tensor]:
        """Return where in the epoch it stands, for a checkpoint."""
        return {"order": self.order, "position": torch.tensor(self.position)}

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Go to where another one stood."""
        self.order, self.position = position["order"].to(self.device), int(position["position"])


class _Several:
    """Batches of several sources, each of which keeps its place."""

    def __init__(self, *sources: Batches) -> None:
        self.sources = sources

    def position_of(self) -> dict[str, Tensor]:
        """Return where the sources stand, for a checkpoint."""
        return {
            f"{i}.{name}": tensor
            for i, source in enumerate(self.sources)
            for name, tensor in resumable(source).position_of().items()
        }

    def go_to(self, position: dict[str, Tensor]) -> None:
        """Let every source go to where it stood."""
        for i, source in enumerate(self.sources):
            resumable(source).go_to(stripped(f"{i}.", position))


class JoinedBatches(_Several):
    """Batches of several sources joined, each at its own pace: samples of unequal sizes.

    What the sources hold out is joined too; it is None where one holds nothing out.

    Example:
        >>> few, many = Shuffled((torch.zeros(4),), size=4), Shuffled((torch.ones(90),), size=8)
        >>> [len(part) for part in JoinedBatches(few, many).draw(torch.Generator())]
        [4, 8]
    """

    def __init__(self, *sources: Batches) -> None:
        super().__init__(*sources)
        parts = [source.held_out for source in sources if source.held_out is not None]
        whole = len(parts) == len(sources)
        self.held_out: Batch | None = tuple(t for part in parts for t in part) if whole else None

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next batch of every source, joined."""
        return tuple(tensor for source in self.sources for tensor in source.draw(rng))


class StackedBatches(_Several):
    """Rows of several sources in one batch, for members of a stack that each have their own rows.

    `held_out` is what the first source holds out.

    Example:
        >>> rows = torch.arange(8.0)
        >>> pair = StackedBatches(Shuffled((rows,), size=3), Shuffled((rows,), size=3))
        >>> pair.draw(torch.Generator().manual_seed(0))[0].shape
        torch.Size([6])
    """

    def __init__(self, *sources: Batches) -> None:
        super().__init__(*sources)
        self.held_out: Batch | None = sources[0].held_out

    def draw(self, rng: torch.Generator) -> Batch:
        """Return the next batch of every source, the first one's rows first."""
        if len(self.sources) == 1:
            return self.sources[0].draw(rng)
        parts = zip(*(source.draw(rng) for source in self.sources), strict=True)
        return tuple(torch.cat(tensors) for tensors in parts)


@dataclass(frozen=True, eq=False)
class Fold:
    """The numbers of the rows to train on and of those to hold out, which are all others."""

    train: Int[Tensor, " train"]
    held_out: Int[Tensor, " held_out"]

    def split(self, tensors: Batch) -> tuple[Batch, Batch]:
        """Return the training rows and the held-out rows of tensors of n rows each."""
        return tuple(t[self.train] for t in tensors), tuple(t[self.held_out] for t in tensors)


def folds(
    n: int,
    share: float,
    rng: torch.Generator,
    *,
    number: int = 1,
    min_held_out: int = 1,
    max_held_out: int | None = MAX_HELD_OUT,
) -> list[Fold]:
    """Split n rows at random into those to train on and those to hold out, once or several times.

    The held-out rows of the folds follow one another in one random order, and begin again at its
    start where there are more folds than parts: 5 folds that hold a fifth out hold every row out
    once. The share is of rows to hold out, in (0, 1), but no fewer than `min_held_out` rows are,
    nor more than `max_held_out`; None for no limit.

    Example:
        >>> pair = folds(5, 0.4, torch.Generator().manual_seed(0), number=2)
        >>> [(len(fold.train), len(fold.held_out)) for fold in pair]
        [(3, 2), (3, 2)]
    """
    if not 0 < share < 1:
        raise ValueError(f"share must lie between 0 and 1, got {share}")
    held = max(int(n * share), min_held_out)
    held = held if max_held_out is None else min(held, max_held_out)
    if held >= n:
        raise ValueError(f"share: {share} of {n} rows, at least {min_held_out}, leaves none")
    order = torch.randperm(n, generator=rng)
    orders = (order.roll(-k * held) for k in range(number))
    return [Fold(rows[held:], rows[:held]) for rows in orders]


def hold_out(
    tensors: Batch, share: float, rng: torch.Generator, *, max_held_out: int | None = MAX_HELD_OUT
) -> tuple[Batch, Batch]:
    """Split the rows of tensors at random into those to train on and those to hold out."""
    (fold,) = folds(len(tensors[0]), share, rng, max_held_out=max_held_out)
    return fold.split(tensors)
