"""Results of simulations by row; a failed row keeps its theta, its status and the message."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from lfi.numerics.arrays import as_tensor
from lfi.runtime.display import Described

BLOCK = 1024  # rows that share a stream of random numbers; part of the record, never changed
OK, NONFINITE, ERROR, TIMEOUT = range(4)
STATUS = ("ok", "nonfinite", "error", "timeout")  # by code
MAX_MESSAGE_LENGTH = 500
FLOATING = (np.dtype(np.float64), np.dtype(np.float32))  # what x is allowed to be


@dataclass(frozen=True, eq=False, repr=False)
class RowResults(Described):
    """Results of consecutive rows of a run.

    `x` is NaN in rows that raised, None where all did; `codes` index `STATUS`; `errors` are
    messages by the rows' numbers in the run; `dtype` is that of the first row that did not raise;
    `cause` is the first exception.
    """

    x: Shaped[Tensor, " n *event"] | None
    codes: UInt8[Tensor, " n"]
    errors: dict[int, str] = field(default_factory=dict)
    dtype: torch.dtype | None = None
    cause: Exception | None = None
    seconds: float = 0.0

    def __len__(self) -> int:
        return len(self.codes)

    def describe(self) -> str:
        """Return how many rows of each status, and of what shape."""
        shape = "no x" if self.x is None else f"x {tuple(self.x.shape)}"
        return f"{len(self):,} rows ({counted_status(self.codes)}), {shape}"


def counted_status(codes: UInt8[Tensor, " n"]) -> str:
    """Return how many rows have each status, in words.

    Example:
        >>> counted_status(torch.tensor([0, 0, 2], dtype=torch.uint8))
        '2 ok, 1 error'
    """
    counts = torch.bincount(codes.long(), minlength=len(STATUS)).tolist()
    return ", ".join(f"{n:,} {name}" for n, name in zip(counts, STATUS, strict=True) if n)


class InvalidOutput(ValueError):
    """An output that can never be a row of data: a mistake in the simulator, not a failure."""


def as_x(value: object, *, graph: bool = False) -> Shaped[Tensor, "*event"]:
    """Return output as a tensor of its own on the CPU; InvalidOutput if not real numbers.

    Float32 and float64 stay what they are, numbers of other kinds become float64; `graph` keeps a
    tensor's device and computation graph.
    """
    if type(value) is np.ndarray and value.dtype in FLOATING:
        return torch.from_numpy(value.copy())  # the most frequent case
    if isinstance(value, Tensor):
        x = value if graph else value.detach().to("cpu", copy=True)
        if x.is_complex():
            raise InvalidOutput("simulate returned x of dtype complex: real numbers are needed")
        return x.contiguous() if x.dtype in (torch.float32, torch.float64) else x.double()
    if isinstance(value, list | tuple) and any(isinstance(part, Tensor) for part in value):
        return torch.stack([as_x(part, graph=graph) for part in value])
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        kind = type(value).__name__
        raise InvalidOutput(f"simulate returned a ragged {kind}: {error}") from error
    if array.dtype.kind not in "fiub":
        raise InvalidOutput(
            f"simulate returned a {type(value).__name__} of dtype {array.dtype}: "
            "x must be an array of real numbers"
        )
    kept = array if array.dtype in FLOATING else array.astype(np.float64)
    return torch.from_numpy(np.array(kept, order="C", copy=True))


def as_data(name: str, values: object) -> Shaped[Tensor, "*event"]:
    """Return a user's data, the argument `name`, as `as_tensor` takes them, in a dtype of x."""
    return as_x(as_tensor(name, values))


def results_of_batch(x: Shaped[Tensor, " n *event"]) -> RowResults:
    """Return the results of a batched call that succeeded."""
    finite = x.reshape(len(x), -1).isfinite().all(dim=1)
    codes = torch.where(finite, OK, NONFINITE).to(torch.uint8)
    return RowResults(x, codes, dtype=x.dtype)


def results_of_rows(rows: Sequence[Tensor | Exception], first: int) -> RowResults:
    """Return the results of one call a row, data or exceptions; ValueError if shapes differ."""
    good = [row for row in rows if not isinstance(row, Exception)]
    raised = {i: row for i, row in enumerate(rows, start=first) if isinstance(row, Exception)}
    errors = {i: f"{type(e).__name__}: {e}"[:MAX_MESSAGE_LENGTH] for i, e in raised.items()}
    cause = next(iter(raised.values()), None)
    status = [ERROR if isinstance(row, Exception) else OK for row in rows]
    codes = torch.tensor(status, dtype=torch.uint8)
    if not good:
        return RowResults(None, codes, errors, None, cause)
    event, dtype = good[0].shape, good[0].dtype
    wide = torch.float64 if any(row.dtype == torch.float64 for row in good) else dtype
    blank = torch.full(event, torch.nan, dtype=wide)
    for i, row in enumerate(rows, start=first):
        if not isinstance(row, Exception) and row.shape != event:
            raise ValueError(
                f"simulate returned x of shape {tuple(row.shape)} for row {i}, and of shape "
                f"{tuple(event)} before: every row must have the same shape"
            )
    x = torch.stack([blank if isinstance(row, Exception) else row.to(wide) for row in rows])
    nonfinite = (codes == OK) & ~x.reshape(len(x), -1).isfinite().all(dim=1)
    codes[nonfinite] = NONFINITE
    return RowResults(x, codes, errors, dtype, cause)


def concatenate_results(blocks: Sequence[RowResults]) -> RowResults:
    """Return the results of consecutive rows as one."""
    if len(blocks) == 1:
        return blocks[0]
    rows = ResultsBuffer()
    for block in blocks:
        rows.add(torch.empty(len(block), 0), block)
    x = None if rows.event is None else rows.concatenate()[1]
    codes = torch.cat([block.codes for block in blocks])
    return RowResults(x, codes, rows.errors, rows.dtype, rows.cause, sum(b.seconds for b in blocks))


class ResultsBuffer:
    """Results of a run in order, of the event shape and dtype of its first good row."""

    def __init__(self, event: torch.Size | None = None, dtype: torch.dtype | None = None) -> None:
        self.event: torch.Size | None = event
        self.dtype: torch.dtype | None = dtype
        self.cause: Exception | None = None
        self.clear()

    def clear(self) -> None:
        """Forget the rows, but not their shape."""
        self.parts: list[tuple[Tensor, RowResults]] = []
        self.errors: dict[int, str] = {}

    def __len__(self) -> int:
        return sum(len(block) for _, block in self.parts)

    def add(self, theta: Float[Tensor, "n dim"], block: RowResults) -> None:
        """Append rows; an x of another shape than before, or not one a theta, is an error."""
        rows = (len(theta), len(block), len(block) if block.x is None else len(block.x))
        if len(set(rows)) > 1:
            raise RuntimeError(
                f"simulate was given {rows[0]} vectors of parameters, and {rows[1]} results with "
                f"{rows[2]} rows of x came back: there must be one for each"
            )
        if block.x is not None:
            event = block.x.shape[1:]
            if self.event is None:
                self.event, self.dtype = event, block.dtype
            if event != self.event:
                raise ValueError(
                    f"simulate returned x of shape {tuple(event)} a row, and of shape "
                    f"{tuple(self.event)} before: every row must have the same shape"
                )
        self.cause = self.cause or block.cause
        self.errors |= block.errors
        self.parts.append((theta, block))

    def concatenate(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return theta, x and codes of all rows."""
        assert self.event is not None  # a row has succeeded
        thetas, blocks = zip(*self.parts, strict=True)
        blank = torch.full(self.event, torch.nan, dtype=self.dtype)
        xs = [blank.expand(len(b), *self.event) if b.x is None else b.x for b in blocks]
        x = torch.cat([x.to(self.dtype) for x in xs])
        return torch.cat(thetas), x, torch.cat([block.codes for block in blocks])
