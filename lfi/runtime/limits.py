"""Limits to what a file makes the library build, so that its sizes are not believed.

The tensors of a file are there, and their sizes are known. What the file describes is built by
operations of torch, which together may take a few times what the tensors do. One that might take
too much is first asked how much, on tensors without memory.
"""

import json
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

ROOM, COPIES = 2**24, 4  # bytes that may be taken besides, and how often those of the tensors
CALLS, CALLS_PER_TENSOR = 2_000, 25  # operations that may be made, twice as many as are
CHARACTERS_PER_CALL, MAX_CALLS = 2, 400_000  # for a prior of many parameters
MAX_COUNT = 10**6  # of anything in a description, where there are fewer numbers in the tensors
ELSEWHERE = ("history", "choice", "seed")  # parts that count what has been, and build nothing

_own = threading.local()


class Limits(TorchFunctionMode):
    """Inside, more than what tensors explain is refused by a ValueError, before it is taken.

    Example:
        >>> with Limits({"weight": torch.zeros(3)}, {"layers": 3}):
        ...     torch.zeros(10**5, 10**5)
        Traceback (most recent call last):
        ValueError: it describes more than its tensors hold
    """

    def __init__(self, tensors: Mapping[str, Tensor], spec: object) -> None:
        super().__init__()
        said = min(len(json.dumps(spec)) // CHARACTERS_PER_CALL, MAX_CALLS)
        self.bytes_left: int = ROOM + COPIES * sum(tensor.nbytes for tensor in tensors.values())
        self.calls_left: int = said + CALLS + CALLS_PER_TENSOR * len(tensors)

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> object:
        """Count an operation, and carry it out."""
        kwargs = kwargs or {}
        if getattr(_own, "paused", False):
            return func(*args, **kwargs)
        self.calls_left -= 1
        if _at_most((args, kwargs)) > self.bytes_left:
            self._take(_bytes_of(func, args, kwargs))
        self._take(0)
        results = func(*args, **kwargs)
        self.bytes_left -= _new_bytes(results, (args, kwargs))
        return results

    def _take(self, size: int) -> None:
        if self.bytes_left < size or self.calls_left < 0:
            raise ValueError("it describes more than its tensors hold")


@contextmanager
def unlimited() -> Iterator[None]:
    """Suspend limits inside: for what no file describes, such as networks of the caller's own."""
    before = getattr(_own, "paused", False)
    _own.paused = True
    try:
        yield
    finally:
        _own.paused = before


def check_description(spec: object, tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError for a count that is larger than all that tensors hold.

    Example:
        >>> check_description({"layers": 10**9}, {"weight": torch.zeros(3)})
        Traceback (most recent call last):
        ValueError: it describes 1000000000 of something, more than its tensors hold
    """
    most = max(MAX_COUNT, sum(tensor.numel() for tensor in tensors.values()))
    waiting = [spec]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [value for name, value in part.items() if name not in ELSEWHERE]
        elif isinstance(part, list):
            waiting += part
        elif isinstance(part, int) and abs(part) > most:
            raise ValueError(f"it describes {part} of something, more than its tensors hold")


def _leaves(part: object) -> Iterator[object]:
    if isinstance(part, tuple | list):
        for inner in part:
            yield from _leaves(inner)
    elif isinstance(part, dict):
        yield from _leaves([*part.values()])
    else:
        yield part


def _storage(part: Tensor) -> int:
    return part.untyped_storage()._cdata


def _bytes_of(func: Callable[..., object], args: tuple, kwargs: dict[str, Any]) -> int:
    """Return how many bytes an operation's results take, 0 where only its values tell."""

    def weightless(part: object) -> object:
        return part.to("meta") if isinstance(part, Tensor) else part

    options = tree_map(weightless, kwargs)
    options |= {"device": torch.device("meta")} if "device" in kwargs else {}
    options |= {"generator": None} if "generator" in kwargs else {}
    given = tree_map(weightless, args)
    try:
        with torch.device("meta"):
            return _new_bytes(func(*given, **options), (given, options))
    except Exception:  # what depends on values makes nothing larger than they are
        return 0


def _new_bytes(results: object, given: object) -> int:
    """Return the bytes of results that are no views of what was given."""
    known = {_storage(part) for part in _leaves(given) if isinstance(part, Tensor)}
    made = [part for part in _leaves(results) if isinstance(part, Tensor)]
    return sum(part.nbytes for part in made if _storage(part) not in known)


def _at_most(parts: object) -> int:
    """Return a bound of an operation's bytes, quickly: as if all sizes were multiplied."""
    sizes = [leaf.numel() if isinstance(leaf, Tensor) else leaf for leaf in _leaves(parts)]
    return 16 * math.prod(abs(size) or 1 for size in sizes if isinstance(size, int))
