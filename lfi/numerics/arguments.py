"""Checks of a public function's arguments, read off its signature.

`checked` refuses, before anything is computed, what the annotations do not allow: a string for a
number, a class in place of its instance, a NaN, a tensor of another number of axes. What range a
number lies in, and what an array holds, is up to the function (`lfi.numerics.checks` and
`lfi.numerics.arrays`). What it calls computes in modes of torch of its own (`lfi.runtime.modes`).
"""

import math
import re
import reprlib
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from inspect import Parameter, signature
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from lfi.numerics.arrays import DataFrame
from lfi.runtime.modes import own_modes

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 60
DIFFERENTIABLE = ("__call__", "forward")  # functions of theta, with gradients if they are wanted
HINTS = {  # how users come by what is asked for, by its class
    "Simulations": "lfi.Simulations.from_arrays(theta, x, prior=prior) makes one of arrays",
    "Method": "such as lfi.NeuralRatio()",
}
DTYPES = frozenset(
    name
    for name, dtype in vars(torch).items()
    if isinstance(dtype, torch.dtype) and not dtype.is_complex
)
PARTS = {int: "whole numbers", float: "numbers", str: "strings"}  # what sequences are made of


def checked(target: Decorated) -> Decorated:
    """Return a function, or a class with its constructor, that refuses arguments of wrong kinds.

    TypeError says which argument is of a wrong kind, ValueError that a number is NaN, a tensor has
    another number of axes, a `seed` is negative, or a `device` is not there. The caller's default
    device and gradient mode do not matter: what takes a `seed` fits or draws, and may need
    gradients.

    Example:
        >>> @checked
        ... def repeat(text: str, times: int | None = None) -> str:
        ...     return text * (times or 1)
        >>> repeat("a", 2.5)
        Traceback (most recent call last):
        TypeError: times must be a whole number, got 2.5
    """
    if not isinstance(target, type):
        return typing.cast(Decorated, _checked_function(target))
    setattr(target, "__init__", _checked_function(target.__init__, settings=True))  # noqa: B010
    return typing.cast(Decorated, target)


def _checked_function(function: Callable[..., Any], settings: bool = False) -> Callable[..., Any]:
    """Return a function that checks its arguments; settings say themselves why not NaN."""
    parameters = signature(function).parameters
    positional = [
        name
        for name, parameter in parameters.items()
        if parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    annotations = {
        name: parameter.annotation
        for name, parameter in parameters.items()
        if parameter.annotation is not Parameter.empty
    }
    trains = "seed" in parameters and function.__name__ not in DIFFERENTIABLE

    @wraps(function)
    def call(*args: object, **given: object) -> object:
        for name, value in (*zip(positional, args, strict=False), *given.items()):
            if name in annotations and value is not defaults[name]:
                allowed = annotations[name]
                if isinstance(allowed, str):  # of a class that was not defined yet
                    allowed = annotations[name] = function.__globals__.get(allowed, object)
                check_kind(name, value, allowed, nan=settings)
                if name in EVERYWHERE and value is not None:
                    EVERYWHERE[name](value)
        with own_modes(gradients=trains):
            result = function(*args, **given)
        for name, value in (*zip(positional, args, strict=False), *given.items()):
            if settings and isinstance(value, Real) and math.isnan(value):
                raise ValueError(f"{name} must be a number, got nan")
        return result

    return call


def check_device(device: object) -> None:
    """Check that an argument `device` names one that torch has here."""
    try:
        kind = torch.device(str(device)).type
    except RuntimeError:
        raise ValueError(
            f"device must name one of torch's, such as 'cuda', got {device!r}"
        ) from None
    if kind == "mps":
        raise ValueError(
            "device must have numbers of 64 bits, in which data are standardised: 'mps' has none, "
            "take 'cpu'"
        )
    backends: list[Any] = [getattr(place, kind, None) for place in (torch, torch.backends)]
    if not any(backend.is_available() for backend in backends if hasattr(backend, "is_available")):
        raise ValueError(f"device must be one that torch has here, got {device!r}")


def _check_seed(seed: object) -> None:
    if isinstance(seed, Integral) and seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")


EVERYWHERE: dict[str, Callable[[object], None]] = {"device": check_device, "seed": _check_seed}


@dataclass(frozen=True)
class Kind:
    """A kind of values, in words: its test raises ValueError, by name, for what is out of range."""

    words: str
    holds: Callable[[str, Any], bool]


def check_kind(name: str, value: object, annotation: object, *, nan: bool = False) -> None:
    """Check that an argument is what its annotation says; of others than lfi checks, anything is.

    A number that is NaN raises ValueError, unless `nan`.

    Example:
        >>> check_kind("seed", True, int | None)
        Traceback (most recent call last):
        TypeError: seed must be a whole number, got True
    """
    allowed = _kinds(annotation)
    if nan and isinstance(value, float) and math.isnan(value) and SIMPLE[float] in allowed:
        return
    if not allowed or any(kind.holds(name, value) for kind in allowed):
        return
    words = [kind.words for kind in allowed if kind.words != "None"] or ["None"]
    expected = " or ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)
    raise TypeError(f"{name} must be {expected}, got {shown(value)}")


def shown(value: object) -> str:
    """Return what came, for a message: short, and a class in place of an instance is told."""
    if isinstance(value, type):
        return f"the class {value.__name__}: give an instance, {value.__name__}()"
    if isinstance(value, Tensor | np.ndarray):
        return f"{_article(type(value).__name__)} of {value.dtype}, shape {tuple(value.shape)}"
    if isinstance(value, tuple | list) and any(isinstance(v, Tensor | np.ndarray) for v in value):
        parts = [shown(v) for v in value[:3]] + ["..."] * (len(value) > 3)
        return f"{_article(type(value).__name__)} of {'; '.join(parts)}"
    return SHORT.repr(value).partition("\n")[0]


@cache
def _kinds(annotation: object) -> tuple[Kind, ...]:
    """Return the kinds an annotation allows, None last; none where one of them is not checked."""
    leaves = list(members_of_union(annotation))
    found: dict[str, Kind] = {}
    array = any(leaf is np.ndarray or leaf is DataFrame for leaf in leaves)
    for leaf in leaves:
        kind = ARRAY if array and _part_of_array(leaf) else _kind(leaf)
        if kind is None:
            return ()
        found[kind.words] = kind
    return tuple(sorted(found.values(), key=lambda kind: kind.words == "None"))


def members_of_union(annotation: object) -> Iterator[Any]:
    """Return the members of unions, without the parameters of generic types."""
    if isinstance(annotation, UnionType) or typing.get_origin(annotation) is typing.Union:
        for member in typing.get_args(annotation):
            yield from members_of_union(member)
    else:
        yield annotation


def _part_of_array(leaf: object) -> bool:
    return (
        leaf in (Tensor, np.ndarray, DataFrame)
        or hasattr(leaf, "array_type")
        or (typing.get_origin(leaf) is Sequence and typing.get_args(leaf) == (Any,))
    )


def _kind(leaf: object) -> Kind | None:
    """Return the kind of one member of a union, None if it is not checked."""
    if leaf in SIMPLE:
        return SIMPLE[leaf]
    if hasattr(leaf, "array_type"):  # of jaxtyping
        return Kind(
            f"a torch tensor, ({', '.join(_axes(leaf))})", lambda name, v: _fits(name, v, leaf)
        )
    origin, parts = typing.get_origin(leaf), typing.get_args(leaf)
    if origin in (Sequence, tuple, list):
        return _sequence(parts, exact=origin is tuple and ... not in parts)
    if origin in (Mapping, dict):
        return _mapping(parts)
    if origin is PathLike:
        return SIMPLE[Path]
    if getattr(origin, "__name__", "") == "Callable" or leaf is Callable:
        return Kind("a function", lambda name, v: callable(v) and not isinstance(v, type))
    if origin is not None:
        return None
    protocol = getattr(leaf, "_is_protocol", False)
    if not isinstance(leaf, type) or leaf is object:
        return None
    if protocol and not getattr(leaf, "_is_runtime_protocol", False):
        return None
    words = re.sub("(?<=[a-z])(?=[A-Z])", " ", leaf.__name__).lower() if protocol else leaf.__name__
    words = _article(words)
    if protocol and leaf.__name__.startswith("Has"):
        members = dict.fromkeys((*vars(leaf).get("__annotations__", ()), *vars(leaf)))
        words = f"an object with {' and '.join(m for m in members if not m.startswith('_'))}"
    words += f" ({HINTS[leaf.__name__]})" if leaf.__name__ in HINTS else ""
    return Kind(words, lambda name, v: is_one(v, leaf))


def is_one(value: object, kind: type) -> bool:
    """Return whether a value is an instance, and no class; a function takes what a protocol names.

    That is, the arguments that the protocol's `__call__` takes by keyword: what lacks those of a
    discrepancy, `weight_p` and `weight_q`, is a loss or something else that can be called.
    """
    if isinstance(value, type) or not isinstance(value, kind):
        return False
    if not getattr(kind, "_is_protocol", False) or "__call__" not in vars(kind):
        return True
    named = {
        name
        for name, parameter in signature(vars(kind)["__call__"]).parameters.items()
        if parameter.kind is Parameter.KEYWORD_ONLY
    }
    try:
        taken = signature(typing.cast(Callable[..., Any], value)).parameters
    except (TypeError, ValueError):  # it does not say
        return True
    return named <= set(taken) or any(p.kind is Parameter.VAR_KEYWORD for p in taken.values())


def _article(words: str) -> str:
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def _dtypes(leaf: object) -> frozenset[str]:
    """Return the names of dtypes that jaxtyping's annotation allows, without complex ones."""
    allowed = getattr(leaf, "dtypes", ())
    return DTYPES & frozenset(allowed) if isinstance(allowed, list | tuple) else DTYPES


def _axes(leaf: object) -> list[str]:
    return getattr(leaf, "dim_str", "").split()


def _fits(name: str, value: object, leaf: object) -> bool:
    """Return whether a value is a tensor of real numbers; ValueError if of other axes."""
    if not isinstance(value, Tensor):
        return False
    if str(value.dtype).removeprefix("torch.") not in _dtypes(leaf):
        return False
    axes = _axes(leaf)
    if any(axis[0] in "*." for axis in axes):
        return True
    sizes = dict(zip(axes, value.shape, strict=False))
    if len(axes) != value.ndim or any(a.isdigit() and int(a) != n for a, n in sizes.items()):
        raise ValueError(f"{name} has shape {tuple(value.shape)}, expected ({', '.join(axes)})")
    return True


def _any_of(kinds: tuple[Kind, ...], name: str, value: object) -> bool:
    return not kinds or any(kind.holds(name, value) for kind in kinds)


def _mapping(parts: tuple[Any, ...]) -> Kind:
    """Return the kind of dictionaries, of what their keys and values are."""
    kinds = [_kinds(part) for part in parts]
    of = f" from strings to {PARTS[parts[1]]}" if parts[1:] and parts[1] in PARTS else ""

    def holds(name: str, value: object) -> bool:
        return isinstance(value, Mapping) and all(
            _any_of(allowed, name, each)
            for item in value.items()
            for allowed, each in zip(kinds, item, strict=False)
        )

    return Kind(f"a dictionary{of}", holds)


def _sequence(parts: tuple[Any, ...], *, exact: bool) -> Kind:
    """Return the kind of lists and tuples, of what their elements are."""
    kinds = [_kinds(part) for part in parts if part is not ...]
    words = "a list" if not exact else f"a tuple of {len(parts)}"
    if not exact and parts and parts[0] in PARTS:
        words = f"a list of {PARTS[parts[0]]}"
    elif not exact and kinds and kinds[0]:
        words = f"a list, each {' or '.join(kind.words for kind in kinds[0])}"

    def holds(name: str, value: object) -> bool:
        if isinstance(value, np.ndarray | Tensor):
            return not exact and bool(parts) and parts[0] in (int, float)
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            return False
        allowed = kinds if exact else kinds[:1] * len(value)
        if exact and len(value) != len(parts):
            return False
        return all(map(lambda k, each: _any_of(k, name, each), allowed, value))

    return Kind(words, holds)


def _is_number(name: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    if math.isnan(value):
        raise ValueError(f"{name} must be a number, got nan")
    return True


def _is_array(name: str, value: object) -> bool:
    if isinstance(value, type | str | bytes | bool | complex):
        return False
    return isinstance(value, Tensor | np.ndarray | DataFrame | Sequence | Real) or hasattr(
        value, "__array__"
    )


ARRAY = Kind("a torch tensor, a NumPy array, a list of numbers or a data frame", _is_array)
SIMPLE = {
    None: Kind("None", lambda name, v: v is None),
    type(None): Kind("None", lambda name, v: v is None),
    bool: Kind("True or False", lambda name, v: isinstance(v, bool | np.bool_)),
    int: Kind(
        "a whole number",
        lambda name, v: isinstance(v, Integral) and v is not True and v is not False,
    ),
    float: Kind("a number", _is_number),
    str: Kind("a string", lambda name, v: isinstance(v, str)),
    Path: Kind("a path", lambda name, v: isinstance(v, PathLike)),
    Tensor: Kind("a torch tensor", lambda name, v: isinstance(v, Tensor) and not v.is_complex()),
    torch.Generator: Kind("a torch generator", lambda name, v: isinstance(v, torch.Generator)),
}
