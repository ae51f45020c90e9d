"""What a command line names, a simulator and data, found without importing any simulator."""

import ast
import importlib
import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from jaxtyping import Float

import lfi
import simulators


def available_simulators() -> dict[str, str]:
    """Return the names of the simulators that come with lfi, each with its first line."""
    return _first_lines({"prior", "simulate"})


def available_data() -> dict[str, str]:
    """Return names and first lines of lfi's data sets, samples without parameters to infer."""
    return _first_lines({"sample"})


def check_simulator(source: str) -> None:
    """Raise `ValueError` where there is no simulator of a name, nor a file that may hold it."""
    path = source.partition(":")[0]
    names = available_simulators()
    if path.endswith(".py"):
        if not Path(path).is_file():
            raise ValueError(f"there is no file {path}")
    elif source not in names:
        problem = f"there is no simulator {source!r}"
        if source in available_data():
            problem = f"{source!r} is a data set for generators and has no parameters to infer"
        raise ValueError(f"{problem}: give {', '.join(names)}, or a Python file")


def load_simulator(source: str) -> "lfi.Simulator":
    """Return what `lfi list` names, or "my_sim.py" or "my_sim.py:epidemic"; else ValueError."""
    from lfi.simulation import as_simulator

    check_simulator(source)
    path, _, name = source.partition(":")
    if not path.endswith(".py"):
        return as_simulator(importlib.import_module(f"simulators.{source}"))
    module = import_file(Path(path))
    if not name:
        return as_simulator(module)
    if not hasattr(module, name):
        raise ValueError(f"{path} holds nothing called {name!r}")
    return as_simulator(getattr(module, name))


def import_file(path: Path) -> ModuleType:
    """Import a Python file of the user's; where that fails, raise `ValueError`."""
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_of_the_user"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # as for every file called *.py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that its classes and functions can be found again
    sys.path.insert(0, str(path.parent.resolve()))
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a simulator's file is no program
        raise ValueError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def read_observation(path: Path) -> Float[np.ndarray, "..."]:
    """Read an observation from .npy, or from text with numbers apart by commas or white space.

    Lines that start with #, and a first line without numbers, are left out; a single row or column
    is one series. ValueError if there is no such file or it is not of numbers.
    """
    if not path.is_file():
        raise ValueError(f"--observation: there is no file {path}")
    try:
        if path.suffix == ".npy":  # mapped, so that a header is compared with the file's size
            return np.load(path, mmap_mode="r", allow_pickle=False).astype(np.float64)
        lines = [line for line in path.read_text().splitlines() if line.strip()]
        rows = [line.replace(",", " ").split() for line in lines if line[0] != "#"]
        rows = rows[1:] if rows and not _numbers(rows[0]) else rows
        values = np.array(rows, dtype=np.float64)
        if values.size == 0:
            raise ValueError("it is empty")
        return values.ravel() if 1 in values.shape else values
    except Exception as error:  # of NumPy's headers, of many kinds
        text = str(error) or type(error).__name__
        raise ValueError(f"--observation: {path} is no table of numbers: {text}") from error


def _first_lines(required: set[str]) -> dict[str, str]:
    """Return the first lines of the modules of `simulators` that define all of these names."""
    return {name: line for name, (line, defined) in _modules().items() if required <= defined}


@cache
def _modules() -> dict[str, tuple[str, set[str]]]:
    """Return the first line of each module of `simulators`, and the names that it defines."""
    found = {}
    for path in sorted(Path(simulators.__path__[0]).glob("*.py")):
        tree = ast.parse(path.read_text())
        defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        targets = [t for node in tree.body if isinstance(node, ast.Assign) for t in node.targets]
        defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0], defined
    return found


def _numbers(row: list[str]) -> bool:
    try:
        return all(isinstance(float(entry), float) for entry in row)
    except ValueError:
        return False
