"""The name that a simulator goes by where its user has given none."""

import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lfi.runtime.calls import assigned_name

# what many simulators are called alike, which says nothing of one
COMMON = {"simulate", "simulator", "sim", "model", "wrapped", "run", "main", "<lambda>", "__call__"}


def own_name(function: Callable[..., Any]) -> str:
    """Return the name that a function or an object bears itself."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def telling_name(function: Callable[..., Any]) -> str:
    """Return a function's own name, or one that says more than "simulate".

    That is the variable to which what the user calls is assigned, or else the module or file that
    the function is from.

    Example:
        >>> def epidemic(theta):
        ...     return theta
        >>> telling_name(epidemic)
        'epidemic'
    """
    name = own_name(function)
    if name not in COMMON:
        return name
    while isinstance(function, partial):
        function = function.func
    module = getattr(inspect.unwrap(function), "__module__", None) or ""
    file = getattr(sys.modules.get(module), "__file__", None)
    variable = assigned_name()
    if variable is not None and variable not in COMMON:
        return variable
    if module == "__main__":
        module = Path(file).stem if file else ""
    return module.rpartition(".")[2] or variable or "simulator"
