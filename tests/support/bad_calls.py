"""Bad calls of every public name, made from its signature: what each argument must refuse.

A call is a function and arguments that it takes; each argument in turn is given what its annotation
does not allow: wrong kinds (a string, a class, a complex number, None where it is not optional),
numbers out of range, and arrays that are empty, not finite, complex or of another shape. A refusal
is clear if it is a TypeError or a ValueError that lfi raises, and its text names the argument and
what came. Run as a program, away from the checks of shapes that tests make, it prints a line of
JSON for each call that is not refused clearly.
"""

import importlib
import json
import math
import re
import signal
import sys
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import lfi
from lfi.numerics.arguments import members_of_union

SECONDS = 5  # a bad call fails before anything is computed
INTERNAL = re.compile(
    r"has no attribute|not supported between|object is not|unsupported operand|positional argument"
    r"|invalid combination|object of type|must be Tensor, not|unpack"
)


class Wrong:
    """Stands for any class given in place of its instance."""


@dataclass(frozen=True)
class Call:
    """A public function, arguments that it takes, and what of each argument is not wrong."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)
    fine: dict[str, tuple[str, ...]] = field(default_factory=dict)  # labels of values, by argument
    skip: tuple[str, ...] = ()  # arguments that are left alone


@dataclass(frozen=True)
class BadCall:
    """A call with one bad argument."""

    call: Call
    argument: str
    label: str
    value: Any

    def __str__(self) -> str:
        return f"{self.call.name}({self.argument}={self.label})"


def kinds(annotation: object) -> set[str]:
    """Return which kinds of values an annotation allows."""
    found = set()
    for leaf in members_of_union(annotation):
        origin = typing.get_origin(leaf) or leaf
        text = str(leaf)
        if leaf is type(None) or leaf is None:
            found.add("none")
        elif leaf in (bool, int, float, str):
            found.add(leaf.__name__)
        elif hasattr(leaf, "array_type") or origin in (Tensor, np.ndarray) or "DataFrame" in text:
            found.add("array")
        elif origin in (tuple, list) or getattr(origin, "__name__", "") == "Sequence":
            element = (typing.get_args(leaf) or (object,))[0]
            found.add("names" if element is str else "sequence")
        elif getattr(origin, "__name__", "") in ("Mapping", "dict"):
            found.add("mapping")
        elif "Path" in text:
            found.add("path")
        elif getattr(origin, "__name__", "") == "Callable":
            found.add("function")
        else:
            found.add("object")
    return found


def bad_values(annotation: object, given: object) -> Iterator[tuple[str, object]]:
    """Return values that an argument must refuse, by label."""
    allowed = kinds(annotation)
    numbers = allowed & {"int", "float"}
    array = "array" in allowed
    yield "class", type(given) if "object" in allowed and given is not None else Wrong
    yield "object", object()
    if "none" not in allowed:
        yield "None", None
    if not allowed & {"str", "path"}:
        yield "string", "x"
    if "names" in allowed:
        yield "list of numbers", [3]
    if not array:
        yield "complex", 1j
    if not numbers and not array:
        yield "number", 3
    if numbers and not array:
        yield "NaN", math.nan
        yield "inf", math.inf
        yield "-1", -1
        yield "list", [1, "x"]
        if "bool" not in allowed:
            yield "True", True
    if numbers == {"int"} and not array:
        yield "2.5", 2.5
        yield "0", 0
    if "bool" in allowed and not numbers:
        yield "1.0", 1.0
    if isinstance(given, Tensor) and array:
        yield "array of strings", np.array(["a", "b"])
        yield "ragged list", [[1.0, 2.0], [3.0]]
        yield "complex tensor", torch.complex(given.double(), given.double())
        yield "NaN", torch.full_like(given.double(), math.nan).to(given.dtype)
        yield "inf", torch.full_like(given.double(), math.inf).to(given.dtype)
        yield "empty", given[:0]
        yield "another width", torch.cat([given, given, given], dim=-1)


def annotations(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Return the parameters of a function or class that are given by name."""
    found = signature(function).parameters
    skipped = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return {name: p for name, p in found.items() if p.kind not in skipped}


def bad_calls(calls: list[Call]) -> Iterator[BadCall]:
    """Return every call with each of its arguments bad in turn."""
    for call in calls:
        for name, parameter in annotations(call.function).items():
            if name in call.skip:
                continue
            given = call.arguments.get(name, parameter.default)
            given = None if given is Parameter.empty else given
            for label, value in bad_values(parameter.annotation, given):
                if label not in (*call.fine.get(name, ()), *(["0"] if name == "seed" else [])):
                    yield BadCall(call, name, label, value)


def missing_names(calls: list[Call]) -> list[str]:
    """Return the public names of lfi that take arguments, and that no call reaches.

    A method stands for its class and for those that it inherits from. Protocols and exceptions are
    never called by users.
    """
    reached: set[object] = set()
    for call in calls:
        owner = getattr(call.function, "__self__", call.function)
        reached |= {call.function, *(owner if isinstance(owner, type) else type(owner)).__mro__}
    package = Path(lfi.__file__).parent
    modules = {path.stem for path in package.glob("*.py")}
    namespaces = sorted(modules - {"__init__", "loading"})  # `load` is at the top
    places = [lfi, *(importlib.import_module(f"lfi.{name}") for name in namespaces)]
    missing = []
    for place in places:
        for name in getattr(place, "__all__", vars(place)):
            public = getattr(place, name)
            if name.startswith("_") or not callable(public) or public in reached:
                continue
            if not getattr(public, "__module__", "").startswith("lfi"):
                continue
            error = isinstance(public, type) and issubclass(public, Exception)
            if error or getattr(public, "_is_protocol", False):
                continue
            if annotations(public):
                missing.append(f"{place.__name__}.{name}")
    return missing


class TooSlow(BaseException):
    """A call that is not refused in time."""


def complaint(bad: BadCall) -> str | None:
    """Return what is wrong with the answer to a bad call, None if it is refused clearly."""
    given = {**bad.call.arguments, bad.argument: bad.value}
    return complaint_of(lambda: bad.call.function(**given), bad.argument)


def complaint_of(call: Callable[[], object], argument: str = "") -> str | None:
    """Return what is wrong with how a call ends, whose refusal names an argument."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        result = call()
        return f"accepted: {type(result).__name__} {str(result)[:80]!r}"
    except TooSlow:
        return f"ran for {SECONDS} s"
    except (TypeError, ValueError) as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        last = traceback.extract_tb(error.__traceback__)[-1]
        text, where = str(error), f"{last.filename.split('/lfi/')[-1]}:{last.lineno}"
        if "/lfi/" not in last.filename or INTERNAL.search(text):
            return f"internal {type(error).__name__} at {where}: {text[:200]}"
        if not re.search(rf"\b{argument}\b", text):
            return f"does not name {argument}, at {where}: {text[:200]}"
        if argument and not re.search(r"\bgot\b|\bhas\b|\bhold|not finite|\bis\b|\bare\b", text):
            return f"does not say what came, at {where}: {text[:200]}"
        return None
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename.split('/lfi/')[-1]}:{last.lineno}"
        return f"internal {type(error).__name__} at {where}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main(only: str = "") -> None:
    """Print the number of bad calls, and a line of JSON for each that is not refused clearly."""
    from support.good_calls import good_calls
    from support.listed_calls import listed_calls, parts

    def stop(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    total, calls = 0, good_calls()
    for bad in bad_calls([call for call in calls if only in call.name]):
        total += 1
        found = complaint(bad)
        if found:
            print(json.dumps({"call": str(bad), "complaint": found}), flush=True)
    names = parts()
    for text in [text for text in listed_calls() if only in text]:
        total += 1
        found = complaint_of(eval(f"lambda: {text}", names))
        if found:
            print(json.dumps({"call": text, "complaint": found}), flush=True)
    print(json.dumps({"total": total, "missing": missing_names(calls)}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(*sys.argv[1:])
