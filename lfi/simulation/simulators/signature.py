"""Signatures of users' functions: with or without a generator, NumPy or torch.

A function takes theta and perhaps a second argument, `rng`. By annotation, theta comes as a NumPy
array, else as a tensor; `rng` comes as a torch.Generator, else as NumPy's. A single vector beside
NumPy's generator, which no annotation describes, is an array first: it stays a tensor where the
function names torch, and where it fails with an array by a TypeError or an AttributeError.
"""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import CodeType
from typing import Any, get_origin

import numpy as np
import torch


@dataclass(frozen=True)
class Signature:
    """The arguments of a user's function."""

    rng: bool = False
    keyword: str | None = None  # the generator's name, where it is not the second by position
    torch_rng: bool = False
    numpy_theta: bool = False
    numpy_first: bool = False  # of a single vector, where nothing says which it is


@dataclass(frozen=True, eq=False)
class NumpyFunction:
    """A function that takes theta as a NumPy array, though it has no annotation that says so."""

    function: Callable[..., Any]
    keyword: str | None = None  # of the generator, where it is not the second by position

    @property
    def __name__(self) -> str:
        return _name(self.function)

    @property
    def fingerprint(self) -> str:
        """The text that identifies the function."""
        return source_text(self.function)

    def __call__(self, theta: np.ndarray, *rng: object) -> object:
        """Return what the function returns."""
        if self.keyword is None:
            return self.function(theta, *rng)
        return self.function(theta, **{self.keyword: rng[0]})


def signature_of(function: Callable[..., Any]) -> Signature:
    """Return how to call a function; TypeError if it takes more than theta and a generator."""
    if isinstance(function, NumpyFunction):
        found = signature_of(function.function)
        return replace(found, numpy_theta=True, numpy_first=False, keyword=None)
    if not callable(function):
        raise TypeError(f"simulate must be a function of theta, got {type(function).__name__}")
    try:
        taken = list(_parameters(function).values())
    except ValueError:  # written in C, without a signature
        return Signature()
    positional = [p for p in taken if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    starred = any(p.kind is p.VAR_POSITIONAL for p in taken)
    if not positional and not starred:
        raise TypeError(f"simulate must take theta as its first argument, got {_name(function)}()")
    second = next((p for p in taken if p.name == "rng" and p is not positional[0]), None)
    if second is None and len(positional) > 1 and positional[1].default is inspect.Parameter.empty:
        second = positional[1]
    more = [
        p.name
        for p in taken
        if p.default is p.empty
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        and p not in (second, *positional[:1])
    ]
    if more:
        raise TypeError(
            f"simulate may take theta and rng; {_name(function)} also needs {', '.join(more)}: "
            "bind other arguments with functools.partial"
        )
    theta_hint = positional[0].annotation if positional else inspect.Parameter.empty
    rng_hint = second.annotation if second else None
    torch_rng = rng_hint is torch.Generator or "torch.Generator" in str(rng_hint)
    plain = theta_hint is inspect.Parameter.empty and second is not None and not torch_rng
    return Signature(
        rng=second is not None,
        keyword=second.name if second is not None and second not in positional[1:2] else None,
        torch_rng=torch_rng,
        numpy_theta=_is_numpy(theta_hint),
        numpy_first=plain and not _names_torch(function),
    )


def source_text(function: Callable[..., Any]) -> str:
    """Return the text that identifies a function: its `fingerprint`, source or bytecode.

    Values bound by a closure or `functools.partial` belong to it; other modules and globals do not.
    """
    own = getattr(function, "fingerprint", None)
    if isinstance(own, str):
        return _text(type(function)) + own
    if isinstance(function, partial):
        bound = [*function.args, *(function.keywords.items())]
        return source_text(function.func) + "".join(map(_value, bound))
    function = inspect.unwrap(function)
    if isinstance(function, torch.nn.Module):
        return _text(type(function)) + _value(function)
    if inspect.ismethod(function):
        return _text(function.__func__) + _value(function.__self__)
    if not inspect.isfunction(function):
        return _text(function if inspect.isbuiltin(function) else type(function))
    cells = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    return _text(function) + "".join(map(_value, [*cells, *(function.__defaults__ or ())]))


def _parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    try:
        return dict(inspect.signature(function, eval_str=True).parameters)
    except (NameError, AttributeError, SyntaxError, TypeError):  # text that names nothing here
        return dict(inspect.signature(function).parameters)


def _is_numpy(hint: object) -> bool:
    if isinstance(hint, str):
        return "ndarray" in hint or "NDArray" in hint
    return np.ndarray in (hint, get_origin(hint), getattr(hint, "array_type", None))


def _names_torch(function: Callable[..., Any]) -> bool:
    """Return whether a function's own code names torch, or what comes from it."""
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function))
    function = function if inspect.isfunction(function) else type(function).__call__
    code, known = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    if code is None:
        return False
    bound = inspect.getclosurevars(function).nonlocals if inspect.isfunction(function) else {}
    names, waiting = set(bound), [code]
    while waiting:
        part = waiting.pop()
        names |= {*part.co_names, *part.co_freevars}
        waiting += [constant for constant in part.co_consts if isinstance(constant, CodeType)]
    values = [{**known, **bound}.get(name) for name in names]
    rooms = (getattr(v, "__module__", None) or getattr(v, "__name__", "") for v in values)
    kinds = (type(value).__module__ for value in values)
    return "torch" in names or any(str(room).split(".")[0] == "torch" for room in (*rooms, *kinds))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _text(obj: Any) -> str:  # noqa: ANN401
    try:
        return inspect.getsource(obj)
    except (OSError, TypeError):
        code = getattr(obj, "__code__", None)
        return _code(code) if code is not None else f"{obj.__module__}.{_name(obj)}"


def _code(code: CodeType) -> str:
    constants = (_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code.hex() + "".join(constants) + "".join(code.co_names)


def _value(value: object) -> str:
    """Return a text that identifies a bound value, where that is a number, text or an array."""
    if isinstance(value, torch.nn.Module):
        return "".join(f"{key}{_value(v)}" for key, v in value.state_dict().items())
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().flatten().view(torch.uint8).numpy()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, int | float | complex | str | bytes | None):
        return repr(value)
    if isinstance(value, tuple | list):
        return "".join(map(_value, value))
    if inspect.isfunction(value):
        return _text(value)
    return type(value).__qualname__


def _filled(cell: Any) -> bool:  # noqa: ANN401
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
